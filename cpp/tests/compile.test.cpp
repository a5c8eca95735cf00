// Translation, pruning and collecting keep the answers: a schedule done rotation by rotation, against the program itself.
#include "passes/compile.hpp"

#include "tests/reference.hpp"

namespace {

using namespace ketgrad;
using namespace ketgrad::tests;

bool satisfies(std::size_t k, const std::vector<Constraint>& constraints) {
    for (const Constraint& one : constraints)
        if (parity(one.mask & k) != one.bit) return false;
    return true;
}

Vector rotated(const Vector& psi, const Schedule& schedule, const Rotation& rotation, const std::vector<double>& slots) {
    const double angle = rotation.scale * angle_of(schedule.angles[std::size_t(rotation.angle)].terms, slots);
    return tests::rotated(psi, rotation.word, angle, [&](std::size_t k) { return satisfies(k, rotation.controls); });
}

Vector multiplied(const Vector& psi, const Dense& dense) {
    Vector result = psi;
    const std::size_t size = dense.offsets.size();
    for (const DenseClass& one : dense.classes)
        for (std::size_t k = 0; k < psi.size(); ++k) {
            if (!satisfies(k, one.constraints)) continue;
            for (std::size_t i = 0; i < size; ++i) {
                Complex sum = 0;
                for (std::size_t j = 0; j < size; ++j) sum += one.matrix[i * size + j] * psi[k ^ dense.offsets[j]];
                result[k ^ dense.offsets[i]] = sum;
            }
        }
    return result;
}

std::vector<double> answers(const Schedule& schedule, const std::vector<double>& slots) {
    Vector psi = zero_state(schedule.program.num_qubits);
    for (const auto& factor : schedule.product)
        for (const Rotation& rotation : factor) psi = rotated(psi, schedule, rotation, slots);
    for (const Layer& layer : schedule.layers) {
        for (const Rotation& rotation : layer.rotations()) psi = rotated(psi, schedule, rotation, slots);
        if (layer.dense()) psi = multiplied(psi, *layer.dense());
    }
    std::vector<double> values;
    for (const auto& observable : schedule.observables) {
        double sum = 0;
        for (const WeightedWord& word : observable) sum += word.coefficient * dot(psi, applied(word.word, psi)).real();
        values.push_back(sum);
    }
    return values;
}

std::vector<Passes> choices() {
    std::vector<Passes> all(5);
    all[1].frame = false;
    all[2].merge = all[2].product = false;
    all[3].prune = false;
    all[4] = {false, false, false, false, false, false, false, false};
    return all;
}

void every_choice_of_passes_keeps_the_answers() {
    Numbers numbers(7);
    for (int trial = 0; trial < 150; ++trial) {
        const Program program = random_program(numbers, 4, 12);
        const std::vector<double> slots{1, numbers.between(-3, 3), numbers.between(-3, 3)}, wanted = expectations(program, slots);
        for (std::size_t c = 0; c < choices().size(); ++c) {
            const std::vector<double> got = answers(compile(program, choices()[c]), slots);
            for (std::size_t i = 0; i < wanted.size(); ++i)
                holds(std::abs(wanted[i] - got[i]) < 1e-11, "choice " + std::to_string(c) + " of trial " + std::to_string(trial));
        }
    }
}

void clifford_gates_leave_nothing() {
    Program program;
    program.num_qubits = 4;
    const double h = std::sqrt(0.5);
    for (int bit = 0; bit < 4; ++bit) program.instructions.push_back(unitary({bit}, bit ? std::uint64_t(1) << (bit - 1) : 0, {0, 1, 1, 0}));
    program.instructions.push_back(unitary({2}, 0, {1, 0, 0, {0, 1}}));
    program.observables = {{{0, 0b1111, 1}}};
    const Schedule schedule = compile(program, Passes{});
    holds(schedule.absorbed == 5 && schedule.layers.empty(), "X, CNOT and S go into the frame");
    holds(schedule.program.num_qubits == 0, "and no bit of the rows is left that anything flips");
    program.instructions.push_back(unitary({0}, 0, {h, h, h, -h}));
    holds(compile(program, Passes{}).made > 0, "a Hadamard gate is made of rotations");
}

}  // namespace

int main() {
    every_choice_of_passes_keeps_the_answers();
    clifford_gates_leave_nothing();
    return verdict("compile");
}
