#include "program/linear.hpp"

namespace ketgrad {
namespace {

std::uint64_t lowest(std::uint64_t mask) { return mask & -mask; }

}  // namespace

std::optional<RowSet> solve(int num_bits, const std::vector<Constraint>& constraints) {
    std::vector<Constraint> reduced;  // each owns a pivot, which no other row contains
    std::vector<std::uint64_t> pivots;
    for (Constraint row : constraints) {
        for (std::size_t i = 0; i < reduced.size(); ++i)
            if (row.mask & pivots[i]) row = {row.mask ^ reduced[i].mask, row.bit ^ reduced[i].bit};
        if (row.mask == 0) {
            if (row.bit) return std::nullopt;
            continue;
        }
        const std::uint64_t pivot = lowest(row.mask);
        for (Constraint& other : reduced)
            if (other.mask & pivot) other = {other.mask ^ row.mask, other.bit ^ row.bit};
        reduced.push_back(row);
        pivots.push_back(pivot);
    }
    RowSet rows;
    std::uint64_t taken = 0;
    for (std::size_t i = 0; i < reduced.size(); ++i) {
        taken |= pivots[i];
        if (reduced[i].bit) rows.base |= pivots[i];
    }
    for (int bit = 0; bit < num_bits; ++bit) {
        const std::uint64_t free = std::uint64_t(1) << bit;
        if (taken & free) continue;
        std::uint64_t vector = free;
        for (std::size_t i = 0; i < reduced.size(); ++i)
            if (reduced[i].mask & free) vector |= pivots[i];
        rows.basis[rows.dim++] = vector;
    }
    return rows;
}

}  // namespace ketgrad
