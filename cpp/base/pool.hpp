// The process's own worker threads: started when first needed, forgotten and started anew in a forked child.
#pragma once
#include <cstdint>
#include <functional>

#include "base/interrupt.hpp"

namespace ketgrad {

/// Calls work(worker, chunk) for every chunk, worker < threads; the calling thread is worker 0.
/// When the pool is busy with another call, the calling thread does all chunks itself: same result, no waiting.
void parallel(int threads, std::int64_t chunks, Interrupt& interrupt,
              const std::function<void(int worker, std::int64_t chunk)>& work);

}  // namespace ketgrad
