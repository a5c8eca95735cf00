// What a call will allocate, known before it runs.
#pragma once
#include <cstdint>

#include "passes/schedule.hpp"

namespace ketgrad {

/// The sizes of a call on which its memory depends.
struct CallSize {
    std::int64_t batch = 1;
    int threads = 1, lanes = 1, real_size = 8;
    bool backward = false;
};

/// Bytes of everything that grows with the state, the values returned not included: a bound that is nearly reached.
std::uint64_t bytes_in_lanes(const Schedule& schedule, const Lowered& lowered, const CallSize& size);

}  // namespace ketgrad
