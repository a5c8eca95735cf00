// Pauli words on row indices.
#pragma once
#include <bit>
#include <cstdint>

namespace ketgrad {

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

}  // namespace ketgrad
