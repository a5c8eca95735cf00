// What a question about a few qubits can see of a circuit.
#pragma once
#include "program/program.hpp"

namespace ketgrad {

/// Leaves out the qubits on which nothing acts that can reach the question: they would stay as they are in a state of twice
/// the size. Instructions that act on none of the others go with them; returns how many.
/// Nothing is done if every qubit is reached, and to programs that ask for the state.
int restrict_to_light_cone(Program& program);

/// The bits of `mask` at the places of the bits of `kept`, moved together.
std::uint64_t gather(std::uint64_t mask, std::uint64_t kept);

}  // namespace ketgrad
