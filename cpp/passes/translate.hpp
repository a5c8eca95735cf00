// Program -> Schedule, following a Clifford frame: state = C |phi>, phi is what the rows hold. Gates that map Z words to Z words
// (X, CNOT, SWAP, S, CZ, ...) only change C; every rotation becomes a rotation by the word C^-1 P C.
#pragma once
#include "passes/schedule.hpp"

namespace ketgrad {

Schedule translate(Program program, const Passes& passes);

}  // namespace ketgrad
