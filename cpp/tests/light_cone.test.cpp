// What a question can see: the answers stay, and nothing is kept that no answer needs.
#include "program/light_cone.hpp"

#include "tests/reference.hpp"

namespace {

using namespace ketgrad;
using namespace ketgrad::tests;

void answers_stay() {
    Numbers numbers(4);
    for (int trial = 0; trial < 300; ++trial) {
        Program program = random_program(numbers, 5, int(numbers.below(7)));
        for (auto& observable : program.observables)  // few qubits, so that there is something to leave out
            for (Word& word : observable) word.x &= 3, word.z &= 3;
        const std::vector<double> slots{1, numbers.between(-3, 3), numbers.between(-3, 3)}, wanted = expectations(program, slots);
        const std::size_t given = program.instructions.size();
        const int dropped = restrict_to_light_cone(program);
        const std::vector<double> got = expectations(program, slots);
        const std::string place = " (trial " + std::to_string(trial) + ")";
        for (std::size_t i = 0; i < wanted.size(); ++i)
            holds(std::abs(wanted[i] - got[i]) < 1e-12, "the answers are those of the whole program" + place);
        holds(program.instructions.size() + std::size_t(dropped) == given, "the number of instructions left out is told" + place);
        validate(program);
    }
}

Instruction turn(std::uint64_t x, std::uint64_t z) {
    return {InstructionKind::pauli_rotation, x, z, 0, {{1, 0, 1}}, {}, {}, {}, false};
}

void a_chain_is_cut_where_it_leaves_the_cone() {
    Program program;
    program.num_qubits = 6;
    program.num_weights = 1;
    for (int bit = 0; bit < 6; ++bit) program.instructions.push_back(turn(std::uint64_t(1) << bit, 0));
    for (int bit = 0; bit < 5; ++bit) program.instructions.push_back(turn(0, std::uint64_t(3) << bit));
    program.observables = {{{1, 0, 1}}};  // X of bit 0 sees the ZZ to bit 1, and the X before it, but no further
    const int dropped = restrict_to_light_cone(program);
    holds(program.num_qubits == 2, "X of bit 0 sees two qubits of the chain");
    holds(dropped == 8 && program.instructions.size() == 3, "and three of its eleven instructions");
}

void diagonal_questions_see_no_diagonal_gates() {
    Program program;
    program.num_qubits = 3;
    program.num_weights = 1;
    program.instructions = {turn(1, 0), turn(0, 3), turn(0, 6)};
    program.question = Question::probabilities;
    program.measured = {0};
    restrict_to_light_cone(program);
    holds(program.num_qubits == 1 && program.instructions.size() == 1, "probabilities see no phase behind the last flip");
}

void a_state_is_all_that_there_is() {
    Program program;
    program.num_qubits = 3;
    program.question = Question::state;
    holds(restrict_to_light_cone(program) == 0 && program.num_qubits == 3, "nothing is left out of a state");
}

void masks_are_moved_together() { holds(gather(0b101101, 0b111001) == 0b1011, "the bits at kept places, moved together"); }

}  // namespace

int main() {
    answers_stay();
    a_chain_is_cut_where_it_leaves_the_cone();
    diagonal_questions_see_no_diagonal_gates();
    a_state_is_all_that_there_is();
    masks_are_moved_together();
    return verdict("light cone");
}
