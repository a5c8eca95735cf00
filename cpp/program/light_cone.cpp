#include "program/light_cone.hpp"

#include <bit>
#include <utility>

namespace ketgrad {
namespace {

using u64 = std::uint64_t;

/// Qubits on which something flips bits, and qubits whose value it reads.
struct Support {
    u64 x = 0, z = 0;

    u64 all() const { return x | z; }
    void add(const Support& other) { x |= other.x, z |= other.z; }
    /// Nowhere does one flip what the other reads: they commute, whatever they do there.
    bool misses(const Support& other) const { return !(x & other.z) && !(z & other.x); }
};

Support support_of(const Instruction& instruction) {
    Support support{instruction.x, instruction.z | instruction.controls};
    for (int target : instruction.targets) support.x |= u64(1) << target, support.z |= u64(1) << target;
    return support;
}

Support support_of_question(const Program& program) {
    Support support;
    for (int bit : program.measured) support.z |= u64(1) << bit;
    for (const auto& observable : program.observables)
        for (const Word& word : observable) support.add({word.x, word.z});
    return support;
}

void renumber(Program& program, u64 kept) {
    const auto place = [kept](int bit) { return std::popcount(kept & ((u64(1) << bit) - 1)); };
    for (Instruction& instruction : program.instructions) {
        instruction.x = gather(instruction.x, kept);
        instruction.z = gather(instruction.z, kept);
        instruction.controls = gather(instruction.controls, kept);
        for (int& target : instruction.targets) target = place(target);
    }
    for (auto& observable : program.observables)
        for (Word& word : observable) word.x = gather(word.x, kept), word.z = gather(word.z, kept);
    for (int& bit : program.measured) bit = place(bit);
    program.num_qubits = std::popcount(kept);
}

}  // namespace

std::uint64_t gather(std::uint64_t mask, std::uint64_t kept) {
    std::uint64_t result = 0;
    for (int place = 0; kept; kept &= kept - 1, ++place)
        if (mask & kept & -kept) result |= std::uint64_t(1) << place;
    return result;
}

int restrict_to_light_cone(Program& program) {
    if (program.question == Question::state) return 0;
    if (program.question == Question::expect) program.measured.clear();  // nobody reads them
    if (program.question == Question::probabilities) program.observables.clear();
    Support reached = support_of_question(program);
    std::vector<bool> reaches(program.instructions.size());
    for (std::size_t i = program.instructions.size(); i-- > 0;) {
        const Instruction& instruction = program.instructions[i];
        const Support support = support_of(instruction);
        // a state that is prepared may have any norm, which every answer carries
        reaches[i] = instruction.kind == InstructionKind::state_preparation || !support.misses(reached);
        if (reaches[i]) reached.add(support);
    }
    const u64 all = (u64(1) << program.num_qubits) - 1;
    if (reached.all() == all) return 0;  // the engines drop what they can, and see more than supports
    std::size_t next = 0;
    for (std::size_t i = 0; i < reaches.size(); ++i)
        if (reaches[i]) std::swap(program.instructions[next++], program.instructions[i]);
    const int dropped = int(reaches.size() - next);
    program.instructions.resize(next);
    renumber(program, reached.all());
    return dropped;
}

}  // namespace ketgrad
