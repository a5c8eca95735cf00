// Linear algebra over F2, and Pauli words as pairs of rows.
#pragma once
#include <optional>
#include <vector>

#include "kernels.hpp"
#include "rows.hpp"

namespace ketgrad {

/// parity(mask & k) == bit.
struct Constraint {
    std::uint64_t mask;
    int bit;
};

/// A Pauli word on row indices: P|k> = i^power (-1)^parity(z & k) |k ^ x>.
struct Pauli {
    std::uint64_t x = 0, z = 0;
    int power = 0;
};

/// All k of n bits that satisfy the constraints, or nothing when they contradict each other.
std::optional<RowSet> solve(int num_bits, const std::vector<Constraint>& constraints);

/// The pairs that P (with x != 0) couples, restricted to rows that satisfy the constraints; one or two sets.
std::vector<PairSet> pair_sets(int num_bits, const Pauli& word, const std::vector<Constraint>& controls);

struct SignedRows {
    RowSet rows;
    int sign;
};

/// The rows on which a diagonal P (x == 0) is +1 and those on which it is -1.
std::vector<SignedRows> signed_rows(int num_bits, const Pauli& word, const std::vector<Constraint>& controls);

}  // namespace ketgrad
