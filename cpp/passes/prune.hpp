// Drops what cannot reach the question, and the bits of row indices that nothing left flips.
#pragma once
#include "passes/schedule.hpp"

namespace ketgrad {

void prune(Schedule& schedule);

}  // namespace ketgrad
