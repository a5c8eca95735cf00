// The process's own worker threads: started when first needed, forgotten and started anew in a forked child.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>

namespace ketgrad {

/// Stops a long call. Only the calling thread polls (it may hold a Python thread state); workers read the flag.
struct Interrupt {
    std::atomic<bool> stop{false};
    std::function<bool()> poll;  // true when the call must end
};

/// Calls work(worker, block) for every block, worker < threads; the calling thread is worker 0.
/// When the pool is busy with another call, the calling thread does all blocks itself: same result, no waiting.
void parallel(int threads, std::int64_t blocks, Interrupt& interrupt,
              const std::function<void(int worker, std::int64_t block)>& work);

}  // namespace ketgrad
