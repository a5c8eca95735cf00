// Linear algebra over F2, and Pauli words on row indices.
#pragma once
#include <bit>
#include <optional>
#include <vector>

#include "lanes/kernels.hpp"
#include "program/row_sets.hpp"

namespace ketgrad {

/// parity(mask & k) == bit.
struct Constraint {
    std::uint64_t mask;
    int bit;
};

/// A Pauli word: P|k> = i^power (-1)^parity(z & k) |k ^ x>. Hermitian when power and parity(x & z) agree modulo 2.
struct Pauli {
    std::uint64_t x = 0, z = 0;
    int power = 0;
};

inline int parity(std::uint64_t mask) { return std::popcount(mask) & 1; }

inline Pauli operator*(const Pauli& a, const Pauli& b) {
    return {a.x ^ b.x, a.z ^ b.z, (a.power + b.power + 2 * parity(a.z & b.x)) & 3};
}

inline bool commute(const Pauli& a, const Pauli& b) { return parity(a.x & b.z) == parity(a.z & b.x); }

/// All k of n bits that satisfy the constraints, or nothing when they contradict each other. Pivots are low bits, so that the
/// rows run through memory nearly in order and high bits stay free.
std::optional<RowSet> solve(int num_bits, const std::vector<Constraint>& constraints);

}  // namespace ketgrad
