// What a call will allocate, known before it runs.
#pragma once
#include <cstdint>

#include "base/arrays.hpp"
#include "passes/lower.hpp"

namespace ketgrad {

/// Bytes of everything that grows with the state, the values returned not included: a bound that is nearly reached.
std::uint64_t bytes_in_lanes(const Schedule& schedule, const Lowered& lowered, const CallSize& size);

}  // namespace ketgrad
