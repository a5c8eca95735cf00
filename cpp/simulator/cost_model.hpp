// Which engine is expected to be faster for one large state.
#pragma once
#include "blocks/plan.hpp"
#include "passes/lower.hpp"

namespace ketgrad {

/// Expected nanoseconds per amplitude in double precision on one core: of a value, or of a value with its gradient when the
/// program has slots to derive by. Only the ratio of the two means something on another machine.
double cost_in_lanes(const Schedule& schedule, const Lowered& lowered, int real_size);
double cost_in_blocks(const blocks::Plan& plan);

}  // namespace ketgrad
