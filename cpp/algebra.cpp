#include "algebra.hpp"

#include <bit>

namespace ketgrad {

std::optional<RowSet> solve(int num_bits, const std::vector<Constraint>& constraints) {
    std::vector<Constraint> reduced;  // each owns a pivot, its highest bit, which no other row contains
    for (Constraint row : constraints) {
        for (const Constraint& other : reduced)
            if (row.mask & std::bit_floor(other.mask)) row = {row.mask ^ other.mask, row.bit ^ other.bit};
        if (row.mask == 0) {
            if (row.bit) return std::nullopt;
            continue;
        }
        for (Constraint& other : reduced)
            if (other.mask & std::bit_floor(row.mask)) other = {other.mask ^ row.mask, other.bit ^ row.bit};
        reduced.push_back(row);
    }
    RowSet rows;
    std::uint64_t pivots = 0;
    for (const Constraint& row : reduced) {
        pivots |= std::bit_floor(row.mask);
        if (row.bit) rows.base |= std::bit_floor(row.mask);
    }
    for (int bit = 0; bit < num_bits; ++bit) {
        const std::uint64_t free = std::uint64_t(1) << bit;
        if (pivots & free) continue;
        std::uint64_t vector = free;
        for (const Constraint& row : reduced)
            if (row.mask & free) vector |= std::bit_floor(row.mask);
        rows.basis[rows.dim++] = vector;
    }
    return rows;
}

std::vector<PairSet> pair_sets(int num_bits, const Pauli& word, const std::vector<Constraint>& controls) {
    std::vector<PairSet> sets;
    const int sign = word.power & 2 ? -1 : 1;
    std::vector<Constraint> constraints = controls;
    if (std::popcount(word.x & word.z) & 1) {
        constraints.push_back({word.z, 0});
        if (auto rows = solve(num_bits, constraints)) sets.push_back({*rows, word.x, Coupling::real, sign});
        return sets;
    }
    constraints.push_back({std::bit_floor(word.x), 0});
    for (int bit = 0; bit < (word.z ? 2 : 1); ++bit) {
        constraints.push_back({word.z, bit});
        if (auto rows = solve(num_bits, constraints))
            sets.push_back({*rows, word.x, Coupling::imaginary, bit ? -sign : sign});
        constraints.pop_back();
    }
    return sets;
}

std::vector<SignedRows> signed_rows(int num_bits, const Pauli& word, const std::vector<Constraint>& controls) {
    std::vector<SignedRows> sets;
    const int sign = word.power & 2 ? -1 : 1;
    std::vector<Constraint> constraints = controls;
    for (int bit = 0; bit < (word.z ? 2 : 1); ++bit) {
        constraints.push_back({word.z, bit});
        if (auto rows = solve(num_bits, constraints)) sets.push_back({*rows, bit ? -sign : sign});
        constraints.pop_back();
    }
    return sets;
}

}  // namespace ketgrad
