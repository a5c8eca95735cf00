#include <algorithm>

#include "passes/schedule.hpp"
#include "program/light_cone.hpp"
#include "base/patience.hpp"

namespace ketgrad {
namespace {

constexpr std::size_t look_back = 24;  // blocks that an operation may move past

bool commutes_with_rotation(const Rotation& rotation, const Pauli& word) {
    return commute(rotation.word, word) && std::all_of(rotation.controls.begin(), rotation.controls.end(), [&](const Constraint& c) {
               return parity(c.mask & word.x) == 0;
           });
}

/// All words that must commute with something for it to commute with the operation.
std::vector<Pauli> generators(const Operation& operation) {
    if (operation.is_dense) return operation.dense.generators;
    std::vector<Pauli> words{operation.rotation.word};
    for (const Constraint& control : operation.rotation.controls) words.push_back({0, control.mask, 0});
    return words;
}

bool all_commute(const std::vector<Pauli>& words, const Pauli& word) {
    return std::all_of(words.begin(), words.end(), [&](const Pauli& other) { return commute(other, word); });
}

bool commutes_with_block(const std::vector<Pauli>& words, const Block& block) {
    const bool disjoint = std::all_of(words.begin(), words.end(), [&](const Pauli& word) {
        return (word.x & block.z_union) == 0 && (word.z & block.x_union) == 0;
    });
    if (disjoint) return true;
    for (const Pauli& word : words) {
        if (block.kind == BlockKind::dense && !all_commute(block.dense.generators, word)) return false;
        for (const Rotation& rotation : block.rotations)
            if (!commutes_with_rotation(rotation, word)) return false;
    }
    return true;
}

void widen(Block& block, const std::vector<Pauli>& words) {
    for (const Pauli& word : words) {
        block.x_union |= word.x;
        block.z_union |= word.z;
    }
}

bool is_table_entry(const Operation& operation) {
    return !operation.is_dense && operation.rotation.word.x == 0 && operation.rotation.controls.empty();
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
void prune(Schedule& schedule) {
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
        live |= operation.is_dense ? 0 : operation.rotation.word.x;
        for (std::uint64_t offset : operation.dense.offsets) live |= offset;
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
    if (!operation.is_dense) {
        operation.rotation.word = narrow(operation.rotation.word, live);
        return narrow(operation.rotation.controls, live);
    }
    for (std::uint64_t& offset : operation.dense.offsets) offset = gather(offset, live);
    for (Pauli& word : operation.dense.generators) word = narrow(word, live);
    std::erase_if(operation.dense.classes, [&](DenseClass& one) { return !narrow(one.constraints, live); });
    return !operation.dense.classes.empty();
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

/// The earliest block that the operation can join, moving backward past blocks that it commutes with.
std::ptrdiff_t find_block(const Schedule& schedule, const Operation& operation, const std::vector<Pauli>& words) {
    if (operation.is_dense || !schedule.passes.merge) return -1;
    const BlockKind kind = is_table_entry(operation) ? BlockKind::diagonal : BlockKind::rotations;
    std::ptrdiff_t found = -1;
    const std::ptrdiff_t last = std::ptrdiff_t(schedule.blocks.size()) - 1;
    for (std::ptrdiff_t b = last; b >= 0 && last - b < std::ptrdiff_t(look_back); --b) {
        const bool commutes = commutes_with_block(words, schedule.blocks[b]);
        if (schedule.blocks[b].kind == kind && (commutes || kind == BlockKind::diagonal)) found = b;
        if (!commutes) break;
    }
    return found;
}

void collect_blocks(Schedule& schedule) {
    for (Operation& operation : schedule.operations) {
        poll_compilation();
        const std::vector<Pauli> words = generators(operation);
        std::ptrdiff_t b = find_block(schedule, operation, words);
        if (b < 0) {
            const BlockKind kind = operation.is_dense ? BlockKind::dense
                                   : is_table_entry(operation) ? BlockKind::diagonal : BlockKind::rotations;
            schedule.blocks.push_back({kind, {}, {}, 0, 0});
            b = std::ptrdiff_t(schedule.blocks.size()) - 1;
        }
        Block& block = schedule.blocks[b];
        widen(block, words);
        if (operation.is_dense)
            block.dense = std::move(operation.dense);
        else
            block.rotations.push_back(std::move(operation.rotation));
    }
    schedule.operations.clear();
}

/// Takes single-bit rotations that nothing left behind keeps from acting on |0...0> first.
void collect_product(Schedule& schedule) {
    schedule.product.assign(schedule.program.num_qubits, {});
    std::uint64_t left_x = 0, left_z = 0;
    for (Block& block : schedule.blocks) {
        std::vector<Rotation> rest;
        for (Rotation& rotation : block.rotations) {
            const std::uint64_t support = rotation.word.x | rotation.word.z;
            const bool blocked = (rotation.word.x & left_z) || (rotation.word.z & left_x);
            if (rotation.controls.empty() && std::has_single_bit(support) && !blocked) {
                schedule.product[std::countr_zero(support)].push_back(std::move(rotation));
                continue;
            }
            left_x |= rotation.word.x;
            left_z |= rotation.word.z;
            for (const Constraint& control : rotation.controls) left_z |= control.mask;
            rest.push_back(std::move(rotation));
        }
        block.rotations = std::move(rest);
        for (const Pauli& word : block.dense.generators) {
            left_x |= word.x;
            left_z |= word.z;
        }
    }
    std::erase_if(schedule.blocks, [](const Block& b) { return b.kind != BlockKind::dense && b.rotations.empty(); });
}

}  // namespace

void arrange(Schedule& schedule) {
    if (schedule.passes.prune) {
        prune(schedule);
        drop_dead_bits(schedule);
    }
    collect_blocks(schedule);
    if (schedule.passes.product && schedule.preparations.empty() && schedule.program.num_qubits > 0)
        collect_product(schedule);
}

Schedule compile(Program program, const Passes& passes) {
    Schedule schedule = translate(std::move(program), passes);
    arrange(schedule);
    return schedule;
}

}  // namespace ketgrad
