/* What one core of this machine can do: fused multiply-adds from registers, and bytes read and written from each cache.
 *
 *     cc -O3 -march=native ceilings.c -o ceilings && ./ceilings
 *
 * prints lines "fma SLOTS_PER_SECOND LANES" and "copy BYTES BYTES_PER_SECOND": a slot is one vector instruction on LANES
 * doubles; the second kind scales an array of BYTES in place, each byte counted once read and once written. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
enum { LANES = 8 };
#elif defined(__AVX__)
enum { LANES = 4 };
#else
enum { LANES = 2 };
#endif
typedef double Vector __attribute__((vector_size(LANES * sizeof(double))));

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Ten independent sums hide the latency of four or five cycles on two units. */
static double multiply_adds(long rounds) {
    Vector sum[10], factor, term;
    for (int l = 0; l < LANES; ++l) factor[l] = 0.999999, term[l] = 1e-6;
    for (int i = 0; i < 10; ++i) sum[i] = factor + (double)i;
    const double start = now();
    for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 10
        for (int i = 0; i < 10; ++i) sum[i] = sum[i] * factor + term;
        __asm__ volatile("" ::: "memory");
    }
    const double seconds = now() - start;
    volatile double sink = 0;
    for (int i = 0; i < 10; ++i) sink += sum[i][0];
    return 10 * (double)rounds / seconds;
}

static double scale_in_place(size_t bytes) {
    const size_t count = bytes / sizeof(Vector);
    Vector* array = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!array) exit(1);
    Vector factor;
    for (int l = 0; l < LANES; ++l) factor[l] = 1.0000001;
    for (size_t i = 0; i < count; ++i) array[i] = factor;
    const long repeats = 1 + (long)(4e8 / (double)bytes);
    double best = 1e30;
    for (int trial = 0; trial < 7; ++trial) {
        const double start = now();
        for (long repeat = 0; repeat < repeats; ++repeat) {
#pragma GCC unroll 8
            for (size_t i = 0; i < count; ++i) array[i] *= factor;
            __asm__ volatile("" ::: "memory");
        }
        const double seconds = (now() - start) / (double)repeats;
        if (seconds < best) best = seconds;
    }
    free(array);
    return 2 * (double)bytes / best;
}

int main(void) {
    double best = 0;
    for (int trial = 0; trial < 7; ++trial) {
        const double rate = multiply_adds(10000000);
        if (rate > best) best = rate;
    }
    printf("fma %.6g %d\n", best, LANES);
    const size_t sizes[] = {16u << 10, 128u << 10, 256u << 10, 2u << 20, 8u << 20, 256u << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) printf("copy %zu %.6g\n", sizes[i], scale_in_place(sizes[i]));
    return 0;
}
