#include "passes/prune.hpp"

#include <algorithm>
#include <bit>

#include "base/patience.hpp"
#include "program/light_cone.hpp"

namespace ketgrad {
namespace {

bool all_commute(const std::vector<Pauli>& words, const Pauli& word) {
    return std::all_of(words.begin(), words.end(), [&](const Pauli& other) { return commute(other, word); });
}

/// Words that the question reads: the observables, or what is measured. A state depends on everything.
std::vector<Pauli> read_words(const Schedule& schedule) {
    std::vector<Pauli> words;
    for (const auto& observable : schedule.observables)
        for (const WeightedWord& word : observable) words.push_back(word.word);
    if (schedule.program.question == Question::probabilities)
        for (int bit : schedule.program.measured) words.push_back(schedule.readout.parities[bit]);
    return words;
}

/// Drops, from the end, what commutes with everything kept behind it and with all that is read.
void drop_unread(Schedule& schedule) {
    if (schedule.program.question == Question::state) return;
    std::vector<Pauli> kept = read_words(schedule);
    std::vector<Operation> result;
    for (std::size_t i = schedule.operations.size(); i-- > 0;) {
        Operation& operation = schedule.operations[i];
        poll_compilation();
        const std::vector<Pauli> words = generators(operation);
        const bool reaches = std::any_of(kept.rbegin(), kept.rend(), [&](const Pauli& word) { return !all_commute(words, word); });
        if (!reaches) {
            ++schedule.pruned;
            continue;
        }
        kept.insert(kept.end(), words.begin(), words.end());
        result.push_back(std::move(operation));
    }
    std::reverse(result.begin(), result.end());
    schedule.operations = std::move(result);
}

/// Bits of row indices that some operation flips; all others are 0 in every row that is not empty.
std::uint64_t live_bits(const Schedule& schedule) {
    std::uint64_t live = 0;
    for (const Operation& operation : schedule.operations) {
        if (const Rotation* rotation = std::get_if<Rotation>(&operation)) live |= rotation->word.x;
        if (const Dense* dense = std::get_if<Dense>(&operation))
            for (std::uint64_t offset : dense->offsets) live |= offset;
    }
    return live;
}

/// The constraints without the bits that are 0; false where they cannot hold.
bool narrow(std::vector<Constraint>& constraints, std::uint64_t live) {
    bool possible = true;
    for (Constraint& constraint : constraints) {
        if (!(constraint.mask & live) && constraint.bit) possible = false;
        constraint.mask = gather(constraint.mask, live);
    }
    std::erase_if(constraints, [](const Constraint& constraint) { return constraint.mask == 0; });
    return possible;
}

Pauli narrow(const Pauli& word, std::uint64_t live) { return {gather(word.x, live), gather(word.z, live), word.power}; }

/// An operation on the live bits; false where it does nothing.
bool narrow(Operation& operation, std::uint64_t live) {
    if (Rotation* rotation = std::get_if<Rotation>(&operation)) {
        rotation->word = narrow(rotation->word, live);
        return narrow(rotation->controls, live);
    }
    Dense& dense = std::get<Dense>(operation);
    for (std::uint64_t& offset : dense.offsets) offset = gather(offset, live);
    for (Pauli& word : dense.generators) word = narrow(word, live);
    std::erase_if(dense.classes, [&](DenseClass& one) { return !narrow(one.constraints, live); });
    return !dense.classes.empty();
}

/// Rows have the live bits only: what Clifford gates alone entangle, as in a GHZ state, costs no memory. A word that flips
/// another bit has the expectation value zero.
void drop_dead_bits(Schedule& schedule) {
    if (schedule.program.question != Question::expect || !schedule.preparations.empty()) return;
    const std::uint64_t live = live_bits(schedule);
    if (std::popcount(live) == schedule.program.num_qubits) return;
    std::erase_if(schedule.operations, [&](Operation& operation) { return !narrow(operation, live); });
    for (auto& observable : schedule.observables) {
        std::erase_if(observable, [&](const WeightedWord& word) { return (word.word.x & ~live) != 0; });
        for (WeightedWord& word : observable) word.word = narrow(word.word, live);
        if (observable.empty()) observable.push_back({0, {}});
    }
    schedule.program.num_qubits = std::popcount(live);
}

}  // namespace

void prune(Schedule& schedule) {
    drop_unread(schedule);
    drop_dead_bits(schedule);
}

}  // namespace ketgrad
