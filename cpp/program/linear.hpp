// Linear algebra over F2.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "program/row_sets.hpp"

namespace ketgrad {

/// parity(mask & k) == bit.
struct Constraint {
    std::uint64_t mask;
    int bit;
};

/// All k of n bits that satisfy the constraints, or nothing when they contradict each other. Pivots are low bits, so that the
/// rows run through memory nearly in order and high bits stay free.
std::optional<RowSet> solve(int num_bits, const std::vector<Constraint>& constraints);

}  // namespace ketgrad
