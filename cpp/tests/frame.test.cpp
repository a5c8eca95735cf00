// The Clifford frame against dense matrices: its images are C^-1 P C, and C|0...0> is where it says.
#include "passes/frame.hpp"

#include <array>
#include <functional>
#include <numbers>

#include "tests/reference.hpp"

namespace {

using namespace ketgrad;
using namespace ketgrad::tests;

constexpr int num_qubits = 3;
constexpr std::size_t size = std::size_t(1) << num_qubits;

/// C as its action on the basis states.
using Columns = std::array<Vector, size>;

Columns identity() {
    Columns columns;
    for (std::size_t k = 0; k < size; ++k) columns[k] = Vector(size), columns[k][k] = 1;
    return columns;
}

Vector times(const Columns& columns, const Vector& psi) {
    Vector result(size);
    for (std::size_t k = 0; k < size; ++k)
        for (std::size_t j = 0; j < size; ++j) result[j] += columns[k][j] * psi[k];
    return result;
}

void rotate(Columns& columns, const Pauli& word, double angle) {
    for (Vector& column : columns) column = rotated(column, word, angle, [](std::size_t) { return true; });
}

/// One random change of the frame, and of the matrix.
void absorb(Numbers& numbers, Frame& frame, Columns& columns) {
    constexpr double pi = std::numbers::pi;
    const std::uint64_t x = 1 + numbers.below(size - 1), z = numbers.below(size);
    const int count = int(numbers.below(9)) - 4;
    switch (numbers.below(3)) {
    case 0:
        absorb_diagonal(frame, z ? z : 1, count);
        return rotate(columns, {0, z ? z : 1, 0}, count * pi / 2);
    case 1:
        absorb_word(frame, x, z, count);
        return rotate(columns, hermitian(x, z), count * pi);
    default:
        const std::vector<int> bits{int(numbers.below(3)), 0};
        std::vector<int> pair{bits[0], (bits[0] + 1 + int(numbers.below(2))) % 3};
        static constexpr std::size_t affine[4][4] = {{0, 1, 3, 2}, {0, 2, 1, 3}, {2, 3, 0, 1}, {3, 1, 0, 2}};
        const auto& chosen = affine[numbers.below(4)];
        absorb_permutation(frame, pair, {chosen, chosen + 4});
        for (Vector& column : columns) {
            Vector moved(size);
            for (std::size_t k = 0; k < size; ++k) {
                const std::size_t digits = (k >> pair[0] & 1) * 2 + (k >> pair[1] & 1);
                moved[spelled(k, pair, chosen[digits])] = column[k];
            }
            column = moved;
        }
    }
}

void check(const Frame& frame, const Columns& columns, const std::string& place) {
    for (std::uint64_t x = 0; x < size; ++x)
        for (std::uint64_t z = 0; z < size; ++z) {
            double worst = 0;  // P C = C (C^-1 P C), column by column
            for (std::size_t k = 0; k < size; ++k) {
                Vector basis(size);
                basis[k] = 1;
                worst = std::max(worst, distance(applied(hermitian(x, z), columns[k]), times(columns, applied(image(frame, x, z), basis))));
            }
            holds(worst < 1e-12, "the image of a word is C^-1 P C" + place);
        }
    Vector start(size);
    start[frame.origin] = frame.phase;
    holds(distance(columns[0], start) < 1e-12, "C|0...0> is the phase times the origin" + place);
}

void images_are_conjugates() {
    Numbers numbers(2);
    for (int trial = 0; trial < 60; ++trial) {
        Frame frame = identity_frame(num_qubits);
        Columns columns = identity();
        for (int step = 0; step < 8; ++step) absorb(numbers, frame, columns);
        check(frame, columns, " (trial " + std::to_string(trial) + ")");
    }
}

/// C' = C g, and the factors are those of g^-1: C' times them is C again.
void flushed_signs_are_returned() {
    Numbers numbers(3);
    for (int trial = 0; trial < 60; ++trial) {
        Frame frame = identity_frame(num_qubits);
        Columns columns = identity();
        for (int step = 0; step < 8; ++step) absorb(numbers, frame, columns);
        Frame flushed = frame;
        const auto factors = flush_signs(flushed);
        Columns undone = identity();  // g^-1
        for (const DiagonalClifford& factor : factors) rotate(undone, factor.word, factor.quarters * std::numbers::pi / 2);
        Columns changed = identity();  // C g, from C = (C g) g^-1, g^-1 diagonal
        for (std::size_t k = 0; k < size; ++k)
            for (std::size_t j = 0; j < size; ++j) changed[k][j] = columns[k][j] / undone[k][k];
        const std::string place = " after signs are flushed (trial " + std::to_string(trial) + ")";
        check(flushed, changed, place);
        for (const Pauli& flip : flushed.x) holds(flip.z == 0, "no flip carries signs" + place);
    }
}

}  // namespace

int main() {
    images_are_conjugates();
    flushed_signs_are_returned();
    return verdict("frame");
}
