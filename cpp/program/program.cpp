#include "program/program.hpp"

#include <bit>
#include <cmath>
#include <stdexcept>
#include <string>

#include "base/patience.hpp"
#include "program/row_sets.hpp"

namespace ketgrad {
namespace {

void require(bool condition, const std::string& sentence) {
    if (!condition) throw std::invalid_argument(sentence);
}

std::uint64_t target_mask(const Instruction& instruction, int num_qubits, const std::string& where) {
    std::uint64_t mask = 0;
    for (int target : instruction.targets) {
        require(0 <= target && target < num_qubits, where + ": a target is out of range");
        require(!(mask >> target & 1), where + ": a target occurs twice");
        mask |= std::uint64_t(1) << target;
    }
    return mask;
}

void validate_terms(const Instruction& instruction, std::int64_t num_slots, const std::string& where) {
    for (const Term& term : instruction.angle) {
        require(std::isfinite(term.coefficient), where + ": a coefficient of the angle is not finite");
        require(0 <= term.a && term.a < num_slots && 0 <= term.b && term.b < num_slots,
                where + ": the angle reads a slot that does not exist");
    }
}

void validate_instruction(const Program& program, const Instruction& instruction, std::uint64_t touched,
                          const std::string& where) {
    const std::uint64_t all = (std::uint64_t(1) << program.num_qubits) - 1;
    const std::uint64_t targets = target_mask(instruction, program.num_qubits, where);
    require(((instruction.x | instruction.z | instruction.controls) & ~all) == 0, where + ": a mask has a bit out of range");
    require((instruction.controls & (instruction.x | instruction.z | targets)) == 0,
            where + ": a control is also a target");
    if (instruction.kind == InstructionKind::pauli_rotation) {
        validate_terms(instruction, program.num_slots(), where);
        return;
    }
    const std::size_t size = std::size_t(1) << instruction.targets.size();
    const bool is_unitary = instruction.kind == InstructionKind::unitary;
    require(!is_unitary || instruction.targets.size() <= 12, where + ": a unitary acts on at most 12 qubits");
    require(instruction.data.size() == (is_unitary ? size * size : size), where + ": the data has the wrong length");
    for (const auto& entry : instruction.data)
        require(std::isfinite(entry.real()) && std::isfinite(entry.imag()), where + ": the data is not finite");
    if (is_unitary) return;
    require(instruction.controls == 0, where + ": a state preparation has no controls");
    require((touched & targets) == 0, where + ": a state preparation needs qubits that are still in |0>");
    require(instruction.amplitude_slots.size() == size, where + ": the amplitude slots have the wrong length");
    for (std::int64_t slot : instruction.amplitude_slots)
        require(0 <= slot && slot < program.num_slots(), where + ": an amplitude reads a slot that does not exist");
}

void validate_question(const Program& program) {
    const std::uint64_t all = (std::uint64_t(1) << program.num_qubits) - 1;
    for (const auto& observable : program.observables)
        for (const Word& word : observable) {
            require(((word.x | word.z) & ~all) == 0, "an observable has a bit out of range");
            require(std::isfinite(word.coefficient), "a coefficient of an observable is not finite");
        }
    std::uint64_t seen = 0;
    for (int bit : program.measured) {
        require(0 <= bit && bit < program.num_qubits, "a measured bit is out of range");
        require(!(seen >> bit & 1), "a measured bit occurs twice");
        seen |= std::uint64_t(1) << bit;
    }
}

}  // namespace

void validate(const Program& program) {
    require(0 <= program.num_qubits && program.num_qubits <= max_qubits,
            "the number of qubits must lie between 0 and " + std::to_string(max_qubits));
    constexpr std::int64_t most = std::int64_t(1) << 40;  // sums of counts, and bytes of slots, stay far from overflow
    require(0 <= program.num_weights && program.num_weights <= most && 0 <= program.num_inputs && program.num_inputs <= most,
            "the numbers of weights and inputs must lie between 0 and 2^40");
    std::uint64_t touched = 0;
    for (std::size_t i = 0; i < program.instructions.size(); ++i) {
        const Instruction& instruction = program.instructions[i];
        poll_compilation();
        validate_instruction(program, instruction, touched, "instruction " + std::to_string(i));
        touched |= instruction.x | instruction.z | instruction.controls;
        for (int target : instruction.targets) touched |= std::uint64_t(1) << target;
    }
    validate_question(program);
}

}  // namespace ketgrad
