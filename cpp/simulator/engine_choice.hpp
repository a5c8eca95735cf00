// Which engine runs a program: the rules, and what each engine is expected to take. In doubt the lanes run it.
#pragma once
#include "blocks/plan.hpp"
#include "passes/lower.hpp"

namespace ketgrad {

/// Whether the engine of blocks can run it: no bit of the rows is dead, unless that is `forced`, and a vector of lanes is filled.
bool fits_blocks(const Schedule& schedule, int lanes, bool forced);

/// Whether a few large states may go through the cache block by block: small ones stay in the cache whatever is done with them.
bool may_gain_from_blocks(const Schedule& schedule, bool one_by_one);

/// Whether the estimates differ enough: where they agree, lanes have been measured to be faster.
bool is_sure_advantage(double cost_blocks, double cost_lanes);

/// Expected nanoseconds per amplitude in double precision on one core: of a value, or of a value with its gradient when the
/// program has slots to derive by. Only the ratio of the two means something on another machine.
double cost_in_lanes(const Schedule& schedule, const Lowered& lowered, int real_size);
double cost_in_blocks(const blocks::Plan& plan);

}  // namespace ketgrad
