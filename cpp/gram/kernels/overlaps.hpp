// Overlaps of many states at once: planes of lane groups are panels of real matrix products (base/panels.hpp).
#pragma once
#include "simd/vectors.hpp"

namespace ketgrad {
namespace {

constexpr int overlap_columns = KETGRAD_VECTOR_BYTES == 64 ? 8 : KETGRAD_VECTOR_BYTES == 32 ? 4 : 2;

/// sums[c][g] += sum_k a[g][k] b[k][c]: 3 groups of lanes, `stride` numbers apart, against `overlap_columns` samples of a
/// fourth, whose values are broadcast; all sums stay in registers. They start at zero: short sums that are added up in the end
/// round less than a long one.
template <class Real>
void overlap_tile(const Real* a, u64 stride, const Real* b, u64 rows, Real* sums) {
    using V = Vector<Real>;
    constexpr int L = lanes<Real>;
    const Real *a0 = a, *a1 = a + stride, *a2 = a + 2 * stride;
    V acc[overlap_columns][3];
    for (int c = 0; c < overlap_columns; ++c)
        for (int g = 0; g < 3; ++g) acc[c][g] = V{};
    u64 k = 0;
    do {  // there is at least one row: a loop that may be skipped would keep the sums in memory
        const V v[3] = {load(a0 + k * L), load(a1 + k * L), load(a2 + k * L)};
        for (int c = 0; c < overlap_columns; ++c) {
            const V column = broadcast(b[k * L + c]);
            for (int g = 0; g < 3; ++g) acc[c][g] += v[g] * column;
        }
    } while (++k < rows);
    for (int c = 0; c < overlap_columns; ++c)
        for (int g = 0; g < 3; ++g) add_to(sums + (c * 3 + g) * L, acc[c][g]);
}

/// The planes r, r + i and r - i, `stride` numbers apart, of scale times rows of {re[lanes], im[lanes]}.
template <class Real>
void split_planes(const Real* psi, u64 rows, Real factor, Real* planes, u64 stride) {
    using V = Vector<Real>;
    constexpr int L = lanes<Real>;
    const V scale = broadcast(factor);
    for (u64 k = 0; k < rows; ++k) {
        const V re = scale * at(psi, k)[0], im = scale * at(psi, k)[1];
        *reinterpret_cast<V*>(planes + k * L) = re;
        *reinterpret_cast<V*>(planes + stride + k * L) = re + im;
        *reinterpret_cast<V*>(planes + 2 * stride + k * L) = re - im;
    }
}

}  // namespace
}  // namespace ketgrad
