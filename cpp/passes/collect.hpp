// Moves rotations forward past what they commute with, collects diagonal ones into tables and single-qubit beginnings into a
// product state.
#pragma once
#include "passes/schedule.hpp"

namespace ketgrad {

void collect(Schedule& schedule);

}  // namespace ketgrad
