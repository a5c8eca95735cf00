// Solutions of parity constraints, against all bit strings.
#include "program/linear.hpp"

#include <set>

#include "program/pauli.hpp"
#include "tests/claims.hpp"

namespace {

using namespace ketgrad;
using namespace ketgrad::tests;

std::set<std::uint64_t> members(const RowSet& rows) {
    std::set<std::uint64_t> found{rows.base};
    for (int i = 0; i < rows.dim; ++i)
        for (const std::uint64_t member : std::set<std::uint64_t>(found)) found.insert(member ^ rows.basis[i]);
    return found;
}

std::set<std::uint64_t> strings_that_satisfy(int num_bits, const std::vector<Constraint>& constraints) {
    std::set<std::uint64_t> found;
    for (std::uint64_t k = 0; k < std::uint64_t(1) << num_bits; ++k) {
        bool all = true;
        for (const Constraint& one : constraints) all = all && parity(one.mask & k) == one.bit;
        if (all) found.insert(k);
    }
    return found;
}

void solutions_are_all_strings_that_satisfy_the_constraints() {
    Numbers numbers(1);
    for (int trial = 0; trial < 2000; ++trial) {
        const int num_bits = int(numbers.below(8));
        std::vector<Constraint> constraints;
        for (std::uint64_t i = numbers.below(6); i-- > 0;)
            constraints.push_back({numbers.below(std::uint64_t(1) << num_bits), int(numbers.below(2))});
        const auto rows = solve(num_bits, constraints);
        const auto wanted = strings_that_satisfy(num_bits, constraints);
        const std::string place = " (trial " + std::to_string(trial) + ")";
        holds(rows.has_value() == !wanted.empty(), "there are rows exactly where a string satisfies all constraints" + place);
        if (!rows) continue;
        holds(members(*rows) == wanted, "rows are all strings that satisfy the constraints" + place);
        holds(std::uint64_t(1) << rows->dim == wanted.size(), "no row is there twice" + place);
    }
}

void free_bits_stay_in_their_order() {
    const auto rows = solve(5, {{0b00011, 1}});
    holds(rows && rows->base == 1 && rows->dim == 4, "one constraint takes one bit, the lowest");
    holds(rows && rows->basis[0] == 0b00011 && rows->basis[3] == 0b10000, "the other bits are free, from the lowest on");
}

}  // namespace

int main() {
    solutions_are_all_strings_that_satisfy_the_constraints();
    free_bits_stay_in_their_order();
    return verdict("linear");
}
