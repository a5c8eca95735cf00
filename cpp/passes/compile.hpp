// Program -> Schedule: the passes one after the other. `lower` follows, for each layout of the lanes.
#pragma once
#include "passes/schedule.hpp"

namespace ketgrad {

Schedule compile(Program program, const Passes& passes);

}  // namespace ketgrad
