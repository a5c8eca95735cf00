// Instructions -> Pauli rotations, CNOTs and constant matrices.
#include <algorithm>
#include <bit>
#include <cmath>

#include "blocks/plan.hpp"

namespace ketgrad::blocks {
namespace {

using Complex = std::complex<double>;
using u64 = std::uint64_t;
constexpr int most_controls = 4;  // a rotation under c controls becomes 2^c rotations, beyond that two and two matrices

bool parity(u64 mask) { return std::popcount(mask) & 1; }
bool near(Complex a, Complex b) { return std::abs(a - b) < 1e-14; }

void add_matrix(Plan& plan, const std::vector<int>& targets, u64 controls, std::vector<Complex> data) {
    PauliOp op;
    for (int target : targets) op.x |= u64(1) << target;
    op.z = op.x | controls;
    op.matrix = int(plan.matrices.size());
    plan.matrices.push_back({targets, controls, std::move(data)});
    plan.ops.push_back(op);
}

void add_rotation(Plan& plan, const PauliOp& word, u64 controls);

PauliOp scaled(PauliOp word, double factor) {
    word.scale *= factor;
    word.constant *= factor;
    return word;
}

// A Pauli operator Q that anticommutes with P turns exp(-i t/4 P) into its inverse: R(t/2) CQ R(-t/2) CQ is R(t) where the
// controls hold and 1 elsewhere. For P = 1 the controls themselves take the phase, one by one.
void add_controlled(Plan& plan, const PauliOp& word, u64 controls) {
    if (!word.x && !word.z) {
        PauliOp phase = scaled(word, -0.5);
        phase.z = controls & -controls;
        add_rotation(plan, scaled(word, 0.5), controls & (controls - 1));
        add_rotation(plan, phase, controls & (controls - 1));
        return;
    }
    const std::vector<int> target{std::countr_zero(word.z ? word.z : word.x)};
    const auto q = word.z ? std::vector<Complex>{0, 1, 1, 0} : std::vector<Complex>{1, 0, 0, -1};
    add_matrix(plan, target, controls, q);
    plan.ops.push_back(scaled(word, -0.5));
    add_matrix(plan, target, controls, q);
    plan.ops.push_back(scaled(word, 0.5));
}

// The projector on controls is the product of (1 - Z_c) / 2, so a controlled rotation is a product of rotations about
// P Z_s over subsets s of the controls, with angles +-t / 2^c.
void add_rotation(Plan& plan, const PauliOp& word, u64 controls) {
    if (std::popcount(controls) > most_controls) return add_controlled(plan, word, controls);
    const double share = 1.0 / double(u64(1) << std::popcount(controls));
    for (u64 subset = controls;; subset = (subset - 1) & controls) {
        PauliOp part = scaled(word, parity(subset) ? -share : share);
        part.z |= subset;
        plan.ops.push_back(part);
        if (subset == 0) return;
    }
}

void add_constant(Plan& plan, u64 x, u64 z, double angle, u64 controls) {
    PauliOp word;
    word.x = x;
    word.z = z;
    word.power = std::popcount(x & z) & 3;
    word.constant = angle;
    if (angle != 0) add_rotation(plan, word, controls);
}

void add_cnot(Plan& plan, int control, int target) {
    PauliOp& cnot = plan.ops.emplace_back();
    cnot.control = control;
    cnot.target = target;
}

bool is_flip(const std::vector<Complex>& u) { return near(u[0], 0) && near(u[3], 0) && near(u[1], 1) && near(u[2], 1); }

bool is_unitary(const std::vector<Complex>& u) {
    const double columns = std::abs(std::norm(u[0]) + std::norm(u[2]) - 1) + std::abs(std::norm(u[1]) + std::norm(u[3]) - 1);
    return columns + std::abs(std::conj(u[0]) * u[1] + std::conj(u[2]) * u[3]) < 1e-9;
}

// U = exp(i alpha) RZ(phi) RY(theta) RZ(lambda), read off the matrix.
void add_one_qubit(Plan& plan, const Instruction& instruction) {
    const u64 bit = u64(1) << instruction.targets[0];
    const auto& u = instruction.data;
    const double theta = 2 * std::atan2(std::abs(u[2]), std::abs(u[0]));
    const bool diagonal = std::abs(u[2]) < 1e-14, flip = std::abs(u[0]) < 1e-14;
    const double alpha = flip ? (std::arg(u[2]) + std::arg(-u[1])) / 2 : (std::arg(u[0]) + std::arg(u[3])) / 2;
    const double sum = flip ? 0 : 2 * (std::arg(u[3]) - alpha);
    const double difference = diagonal ? 0 : 2 * (std::arg(u[2]) - alpha);
    add_constant(plan, 0, bit, (sum - difference) / 2, instruction.controls);
    if (!diagonal) add_constant(plan, bit, bit, theta, instruction.controls);
    add_constant(plan, 0, bit, (sum + difference) / 2, instruction.controls);
    add_constant(plan, 0, 0, -2 * alpha, instruction.controls);
}

/// Whether the matrix is diagonal with entries of modulus 1.
bool is_diagonal(const Instruction& instruction) {
    const std::size_t size = std::size_t(1) << instruction.targets.size();
    for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j < size; ++j) {
            const Complex entry = instruction.data[i * size + j];
            if (i == j ? std::abs(std::abs(entry) - 1) > 1e-9 : !near(entry, 0)) return false;
        }
    return true;
}

bool is_swap(const Instruction& instruction) {
    if (instruction.targets.size() != 2 || instruction.controls) return false;
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j)
            if (!near(instruction.data[4 * i + j], j == ((i & 1) << 1 | i >> 1))) return false;
    return true;
}

// exp(i f(k)) with f(k) = sum_m c_m (-1)^parity(m & k): the c_m are the Walsh coefficients of the phases.
void add_diagonal(Plan& plan, const Instruction& instruction) {
    const std::size_t size = std::size_t(1) << instruction.targets.size();
    for (std::size_t m = 0; m < size; ++m) {
        double coefficient = 0;
        for (std::size_t k = 0; k < size; ++k)
            coefficient += (parity(m & k) ? -1 : 1) * std::arg(instruction.data[k * size + k]) / double(size);
        add_constant(plan, 0, spread(m, instruction.targets), -2 * coefficient, instruction.controls);
    }
}

void add_unitary(Plan& plan, const Instruction& instruction) {
    const auto& targets = instruction.targets;
    const int controls = std::popcount(instruction.controls);
    if (targets.size() <= 6 && controls <= most_controls && is_diagonal(instruction)) {
        add_diagonal(plan, instruction);
    } else if (targets.size() == 1 && controls == 1 && is_flip(instruction.data)) {
        add_cnot(plan, std::countr_zero(instruction.controls), targets[0]);
    } else if (targets.size() == 1 && controls <= 1 && is_unitary(instruction.data)) {
        add_one_qubit(plan, instruction);
    } else if (is_swap(instruction)) {
        for (int i = 0; i < 3; ++i) add_cnot(plan, targets[i == 1], targets[i != 1]);
    } else {
        add_matrix(plan, targets, instruction.controls, instruction.data);
    }
}

}  // namespace

std::uint64_t spread(std::size_t index, const std::vector<int>& targets) {
    u64 mask = 0;
    for (std::size_t t = 0; t < targets.size(); ++t)
        if (index >> (targets.size() - 1 - t) & 1) mask |= u64(1) << targets[t];
    return mask;
}

void lower_to_words(Plan& plan) {
    for (std::size_t i = 0; i < plan.program.instructions.size(); ++i) {
        const Instruction& instruction = plan.program.instructions[i];
        if (instruction.kind == InstructionKind::unitary) add_unitary(plan, instruction);
        if (instruction.kind != InstructionKind::pauli_rotation) continue;
        PauliOp word;
        word.x = instruction.x;
        word.z = instruction.z;
        word.power = std::popcount(word.x & word.z) & 3;
        word.instruction = int(i);
        word.scale = 1;
        add_rotation(plan, word, instruction.controls);
    }
}

}  // namespace ketgrad::blocks
