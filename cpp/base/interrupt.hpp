// How a long call is stopped.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>

namespace ketgrad {

/// Stops a long call. Only the calling thread polls (it may hold a Python thread state); workers read the flag.
struct Interrupt {
    std::atomic<bool> stop{false};
    std::function<bool()> poll;  // true when the call must end
};

/// Thrown out of a call that was stopped.
struct Stopped {};

/// Worker 0 is the calling thread: it asks every 50 ms; every worker obeys the flag.
inline void check_interrupt(Interrupt& interrupt, int worker) {
    using Clock = std::chrono::steady_clock;
    if (worker == 0 && interrupt.poll) {
        thread_local Clock::time_point last = Clock::now();
        const Clock::time_point now = Clock::now();
        if (now - last > std::chrono::milliseconds(50)) {
            last = now;
            if (interrupt.poll()) interrupt.stop = true;
        }
    }
    if (interrupt.stop) throw Stopped{};
}

}  // namespace ketgrad
