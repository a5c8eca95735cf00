// The definition of what a program does, amplitude by amplitude.
#pragma once
#include <bit>
#include <cmath>

#include "program/pauli.hpp"
#include "program/program.hpp"
#include "tests/claims.hpp"

namespace ketgrad::tests {

inline Vector zero_state(int num_qubits) {
    Vector psi(std::size_t(1) << num_qubits);
    psi[0] = 1;
    return psi;
}

inline Complex power_of_i(int power) {
    constexpr int re[4] = {1, 0, -1, 0}, im[4] = {0, 1, 0, -1};
    return {double(re[power & 3]), double(im[power & 3])};
}

/// P psi.
inline Vector applied(const Pauli& word, const Vector& psi) {
    Vector result(psi.size());
    for (std::size_t k = 0; k < psi.size(); ++k)
        result[k ^ word.x] = power_of_i(word.power) * (parity(word.z & k) ? -psi[k] : psi[k]);
    return result;
}

/// The Hermitian word i^|x & z| X^x Z^z.
inline Pauli hermitian(std::uint64_t x, std::uint64_t z) { return {x, z, std::popcount(x & z) & 3}; }

inline Complex dot(const Vector& a, const Vector& b) {
    Complex sum = 0;
    for (std::size_t k = 0; k < a.size(); ++k) sum += std::conj(a[k]) * b[k];
    return sum;
}

/// exp(-i angle / 2 P) psi where `acts(k)`.
template <class Acts>
Vector rotated(const Vector& psi, const Pauli& word, double angle, Acts acts) {
    const Vector moved = applied(word, psi);
    Vector result = psi;
    for (std::size_t k = 0; k < psi.size(); ++k)
        if (acts(k)) result[k] = std::cos(angle / 2) * psi[k] - Complex(0, std::sin(angle / 2)) * moved[k];
    return result;
}

inline double angle_of(const std::vector<Term>& terms, const std::vector<double>& slots) {
    double sum = 0;
    for (const Term& term : terms) sum += term.coefficient * slots[std::size_t(term.a)] * slots[std::size_t(term.b)];
    return sum;
}

/// Index `k` with the target bits, the first one most significant, spelling `digits`.
inline std::size_t spelled(std::size_t k, const std::vector<int>& targets, std::size_t digits) {
    for (std::size_t t = 0; t < targets.size(); ++t) {
        const std::size_t bit = std::size_t(1) << targets[t];
        k = digits >> (targets.size() - 1 - t) & 1 ? k | bit : k & ~bit;
    }
    return k;
}

inline Vector multiplied(const Instruction& instruction, const Vector& psi) {
    const std::size_t size = std::size_t(1) << instruction.targets.size();
    Vector result = psi;
    for (std::size_t k = 0; k < psi.size(); ++k) {
        if ((k & instruction.controls) != instruction.controls || k != spelled(k, instruction.targets, 0)) continue;
        for (std::size_t i = 0; i < size; ++i) {
            Complex sum = 0;
            for (std::size_t j = 0; j < size; ++j) sum += instruction.data[i * size + j] * psi[spelled(k, instruction.targets, j)];
            result[spelled(k, instruction.targets, i)] = sum;
        }
    }
    return result;
}

/// The final state of a program without state preparations.
inline Vector final_state(const Program& program, const std::vector<double>& slots) {
    Vector psi = zero_state(program.num_qubits);
    for (const Instruction& one : program.instructions)
        psi = one.kind == InstructionKind::unitary
                  ? multiplied(one, psi)
                  : rotated(psi, hermitian(one.x, one.z), angle_of(one.angle, slots),
                            [&](std::size_t k) { return (k & one.controls) == one.controls; });
    return psi;
}

inline std::vector<double> expectations(const Program& program, const std::vector<double>& slots) {
    const Vector psi = final_state(program, slots);
    std::vector<double> values;
    for (const auto& observable : program.observables) {
        double sum = 0;
        for (const Word& word : observable) sum += word.coefficient * dot(psi, applied(hermitian(word.x, word.z), psi)).real();
        values.push_back(sum);
    }
    return values;
}

inline Instruction unitary(std::vector<int> targets, std::uint64_t controls, Vector data) {
    return {InstructionKind::unitary, 0, 0, controls, {}, std::move(targets), std::move(data), {}, false};
}

/// Rotations by constants, weights and products, with and without controls; Clifford gates; a matrix on two bits.
inline Program random_program(Numbers& numbers, int num_qubits, int length) {
    Program program;
    program.num_qubits = num_qubits;
    program.num_weights = 2;
    const std::uint64_t masks = std::uint64_t(1) << num_qubits;
    const double h = std::sqrt(0.5);
    for (int i = 0; i < length; ++i) {
        const int bit = int(numbers.below(std::uint64_t(num_qubits))), other = (bit + 1) % num_qubits;
        switch (numbers.below(7)) {
        case 0: program.instructions.push_back(unitary({bit}, 0, {h, h, h, -h})); break;
        case 1: program.instructions.push_back(unitary({bit}, std::uint64_t(1) << other, {0, 1, 1, 0})); break;
        case 2: program.instructions.push_back(unitary({bit}, 0, {1, 0, 0, {0, 1}})); break;
        case 3: program.instructions.push_back(unitary({bit, other}, 0, {0.6, 0, 0, 0.8, 0, 1, 0, 0, 0, 0, 1, 0, -0.8, 0, 0, 0.6})); break;
        default:
            Instruction turn{InstructionKind::pauli_rotation, numbers.below(masks), numbers.below(masks), 0, {}, {}, {}, {}, false};
            if (numbers.below(3) == 0) turn.controls = numbers.below(masks) & ~(turn.x | turn.z);
            turn.angle = {{numbers.between(-2, 2), 0, std::int64_t(numbers.below(3))}, {numbers.between(-1, 1), 1, 2}};
            if (numbers.below(3) == 0) turn.angle = {{std::acos(0.0) * double(numbers.below(4)), 0, 0}};
            program.instructions.push_back(std::move(turn));
        }
    }
    program.observables = {{{0, numbers.below(masks), 1.0}, {numbers.below(masks), numbers.below(masks), 0.5}},
                           {{numbers.below(masks), numbers.below(masks), -0.3}}};
    return program;
}

}  // namespace ketgrad::tests
