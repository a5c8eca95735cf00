#include "base/pool.hpp"

#ifndef _WIN32
#include <pthread.h>
#endif
#ifdef __linux__
#include <sched.h>
#endif

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

namespace ketgrad {
namespace {

using Work = std::function<void(int, std::int64_t)>;

struct Job {
    const Work* work = nullptr;
    std::int64_t chunks = 0;
    int workers = 0;  // how many pool threads may join
    std::atomic<std::int64_t> next{0};
    std::exception_ptr error;
};

// Never destroyed: at interpreter exit its sleeping threads end with the process.
struct Pool {
    std::mutex busy;  // held by the call that uses the pool
    std::mutex mutex;
    std::condition_variable wake, done;
    int threads = 0;
    std::atomic<std::uint64_t> generation{0};
    std::atomic<int> running{0};
    int joined = 0;
    Job* job = nullptr;
};

std::atomic<Pool*> the_pool{nullptr};

void take_chunks(Pool& pool, Job& job, int worker) {
    try {
        for (std::int64_t chunk; (chunk = job.next.fetch_add(1)) < job.chunks;) (*job.work)(worker, chunk);
    } catch (...) {
        job.next = job.chunks;
        const std::lock_guard lock(pool.mutex);
        if (!job.error) job.error = std::current_exception();
    }
}

/// Waits a few microseconds for what usually comes at once: the next call of a loop, or the end of the last chunk.
template <class Condition>
void spin_until(Condition condition) {
    for (int i = 0; i < 2000 && !condition(); ++i) {
#ifdef __x86_64__
        __builtin_ia32_pause();
#endif
    }
}

void work_forever(Pool* pool) {
    std::uint64_t seen = 0;
    std::unique_lock lock(pool->mutex);
    for (;;) {
        lock.unlock();
        spin_until([&] { return pool->generation != seen; });
        lock.lock();
        pool->wake.wait(lock, [&] { return pool->job && pool->generation != seen; });
        seen = pool->generation;
        Job& job = *pool->job;
        if (pool->joined == job.workers) continue;
        const int worker = ++pool->joined;
        ++pool->running;
        lock.unlock();
        take_chunks(*pool, job, worker);
        lock.lock();
        if (--pool->running == 0) pool->done.notify_one();
    }
}

Pool* pool_of_this_process() {
    if (Pool* pool = the_pool.load()) return pool;
#ifndef _WIN32  // where processes do not fork
    [[maybe_unused]] static const int registered = pthread_atfork(nullptr, nullptr, [] { the_pool = nullptr; });
#endif
    Pool *fresh = new Pool, *expected = nullptr;
    if (the_pool.compare_exchange_strong(expected, fresh)) return fresh;
    delete fresh;
    return expected;
}

bool wants_pinned_threads() {
    const char* const wish = std::getenv("KETGRAD_PIN_THREADS");
    return wish && std::strcmp(wish, "1") == 0;
}

/// Keeps worker `index` on one of the CPUs that its process may use: the second one, the third, ... The first is the caller's,
/// who is not pinned. Where the system does not know of this, or refuses, threads go where it sends them.
void pin(std::thread& thread, int index) {
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
    int left = (index + 1) % CPU_COUNT(&allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed) || left-- > 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(thread.native_handle(), sizeof(one), &one);
        return;
    }
#else
    (void)thread, (void)index;
#endif
}

void start_threads(Pool& pool, int wanted) {
    const bool pinned = wants_pinned_threads();
    try {
        for (; pool.threads < wanted; ++pool.threads) {
            std::thread thread(work_forever, &pool);
            if (pinned) pin(thread, pool.threads);
            thread.detach();
        }
    } catch (const std::system_error&) {
        // The system allows no more threads: those that run do all the chunks, with the same result.
    }
}

void finish(Pool& pool, Interrupt& interrupt) {
    using namespace std::chrono_literals;
    {
        const std::lock_guard lock(pool.mutex);
        pool.job = nullptr;  // nobody joins from here on
    }
    spin_until([&] { return pool.running == 0; });
    std::unique_lock lock(pool.mutex);
    while (!pool.done.wait_for(lock, 50ms, [&] { return pool.running == 0; })) {
        lock.unlock();
        if (interrupt.poll && interrupt.poll()) interrupt.stop = true;
        lock.lock();
    }
}

}  // namespace

void parallel(int threads, std::int64_t chunks, Interrupt& interrupt, const Work& work) {
    if (threads > chunks) threads = int(chunks);  // more would be started, and never have anything to do
    Pool* pool = threads > 1 && chunks > 1 ? pool_of_this_process() : nullptr;
    std::unique_lock<std::mutex> busy;
    if (pool) busy = std::unique_lock(pool->busy, std::try_to_lock);
    if (!pool || !busy.owns_lock()) {
        for (std::int64_t chunk = 0; chunk < chunks; ++chunk) work(0, chunk);
        return;
    }
    Job job;
    job.work = &work;
    job.chunks = chunks;
    {
        const std::lock_guard lock(pool->mutex);
        job.workers = threads - 1;
        start_threads(*pool, job.workers);
        pool->job = &job;
        pool->joined = 0;
        ++pool->generation;
    }
    pool->wake.notify_all();
    take_chunks(*pool, job, 0);
    finish(*pool, interrupt);
    if (job.error) std::rethrow_exception(job.error);
}

}  // namespace ketgrad
