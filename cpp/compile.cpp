#include "compile.hpp"

#include <algorithm>
#include <bit>

namespace ketgrad {
namespace {

std::vector<std::uint64_t> target_offsets(const std::vector<int>& targets) {
    const std::size_t count = targets.size();
    std::vector<std::uint64_t> offsets(std::size_t(1) << count, 0);
    for (std::size_t j = 0; j < offsets.size(); ++j)
        for (std::size_t t = 0; t < count; ++t)
            if (j >> (count - 1 - t) & 1) offsets[j] |= std::uint64_t(1) << targets[t];
    return offsets;
}

std::vector<Constraint> control_constraints(std::uint64_t controls) {
    std::vector<Constraint> constraints;
    for (std::uint64_t rest = controls; rest; rest &= rest - 1) constraints.push_back({rest & -rest, 1});
    return constraints;
}

Step rotation_step(int num_bits, int index, const Instruction& instruction) {
    Step step;
    step.kind = instruction.x ? StepKind::rotate : StepKind::phase;
    step.instruction = index;
    const Pauli word{instruction.x, instruction.z, std::popcount(instruction.x & instruction.z) & 3};
    const auto controls = control_constraints(instruction.controls);
    if (instruction.x)
        step.pairs = pair_sets(num_bits, word, controls);
    else
        step.phases = signed_rows(num_bits, word, controls);
    return step;
}

std::vector<std::complex<double>> adjoint(const std::vector<std::complex<double>>& matrix, std::size_t size) {
    std::vector<std::complex<double>> result(matrix.size());
    for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j < size; ++j) result[i * size + j] = std::conj(matrix[j * size + i]);
    return result;
}

Step dense_step(int num_bits, const Instruction& instruction) {
    Step step;
    step.kind = StepKind::dense;
    step.offsets = target_offsets(instruction.targets);
    auto constraints = control_constraints(instruction.controls);
    for (int target : instruction.targets) constraints.push_back({std::uint64_t(1) << target, 0});
    step.rows = *solve(num_bits, constraints);
    step.matrix = instruction.data;
    step.adjoint = adjoint(instruction.data, step.offsets.size());
    return step;
}

CompiledWord compile_word(int num_bits, const Word& word) {
    CompiledWord result;
    result.coefficient = word.coefficient;
    const Pauli pauli{word.x, word.z, std::popcount(word.x & word.z) & 3};
    if (word.x)
        result.pairs = pair_sets(num_bits, pauli, {});
    else
        result.phases = signed_rows(num_bits, pauli, {});
    return result;
}

RowSet rows_to_outcomes(int num_bits, const std::vector<int>& measured) {
    RowSet rows;
    rows.dim = num_bits;
    for (int bit = 0; bit < num_bits; ++bit) rows.basis[bit] = std::uint64_t(1) << bit;
    for (std::size_t m = 0; m < measured.size(); ++m)
        rows.image[measured[m]] = std::uint64_t(1) << (measured.size() - 1 - m);
    return rows;
}

void compile_question(Plan& plan) {
    const Program& program = plan.program;
    for (const auto& observable : program.observables) {
        std::vector<CompiledWord> words;
        for (const Word& word : observable) words.push_back(compile_word(program.num_qubits, word));
        plan.observables.push_back(std::move(words));
    }
    std::vector<int> measured = program.measured;
    if (program.question == Question::state) {
        measured.clear();
        for (int bit = program.num_qubits; bit-- > 0;) measured.push_back(bit);
    }
    plan.outcome_bits = int(measured.size());
    plan.outcome_rows = rows_to_outcomes(program.num_qubits, measured);
}

void add_preparation(Plan& plan, int index, std::uint64_t& support) {
    const Instruction& instruction = plan.program.instructions[index];
    Preparation preparation;
    preparation.instruction = index;
    preparation.offsets = target_offsets(instruction.targets);
    std::vector<Constraint> empty;
    for (int bit = 0; bit < plan.program.num_qubits; ++bit)
        if (!(support >> bit & 1)) empty.push_back({std::uint64_t(1) << bit, 0});
    preparation.rows = *solve(plan.program.num_qubits, empty);
    for (int target : instruction.targets) support |= std::uint64_t(1) << target;
    plan.preparations.push_back(std::move(preparation));
}

}  // namespace

Plan compile(Program program) {
    validate(program);
    Plan plan;
    plan.program = std::move(program);
    const int num_bits = plan.program.num_qubits;
    std::uint64_t support = 0;
    for (std::size_t i = 0; i < plan.program.instructions.size(); ++i) {
        const Instruction& instruction = plan.program.instructions[i];
        if (instruction.kind == InstructionKind::state_preparation)
            add_preparation(plan, int(i), support);
        else if (instruction.kind == InstructionKind::pauli_rotation)
            plan.steps.push_back(rotation_step(num_bits, int(i), instruction));
        else
            plan.steps.push_back(dense_step(num_bits, instruction));
    }
    for (const Step& step : plan.steps) plan.scratch_rows = std::max(plan.scratch_rows, int(step.offsets.size()));
    compile_question(plan);
    return plan;
}

}  // namespace ketgrad
