#include "passes/collect.hpp"

#include <algorithm>
#include <bit>

#include "base/patience.hpp"

namespace ketgrad {
namespace {

constexpr std::size_t look_back = 24;  // layers that an operation may move past

bool commutes_with_rotation(const Rotation& rotation, const Pauli& word) {
    return commute(rotation.word, word) && std::all_of(rotation.controls.begin(), rotation.controls.end(), [&](const Constraint& c) {
               return parity(c.mask & word.x) == 0;
           });
}

bool all_commute(const std::vector<Pauli>& words, const Pauli& word) {
    return std::all_of(words.begin(), words.end(), [&](const Pauli& other) { return commute(other, word); });
}

bool commutes_with_layer(const std::vector<Pauli>& words, const Layer& layer) {
    const bool disjoint = std::all_of(words.begin(), words.end(), [&](const Pauli& word) {
        return (word.x & layer.z_union) == 0 && (word.z & layer.x_union) == 0;
    });
    if (disjoint) return true;
    for (const Pauli& word : words) {
        if (layer.kind == LayerKind::dense && !all_commute(layer.dense.generators, word)) return false;
        for (const Rotation& rotation : layer.rotations)
            if (!commutes_with_rotation(rotation, word)) return false;
    }
    return true;
}

void widen(Layer& layer, const std::vector<Pauli>& words) {
    for (const Pauli& word : words) {
        layer.x_union |= word.x;
        layer.z_union |= word.z;
    }
}

bool is_table_entry(const Operation& operation) {
    return !operation.is_dense && operation.rotation.word.x == 0 && operation.rotation.controls.empty();
}

/// The earliest layer that the operation can join, moving backward past layers that it commutes with.
std::ptrdiff_t find_layer(const Schedule& schedule, const Operation& operation, const std::vector<Pauli>& words) {
    if (operation.is_dense || !schedule.passes.merge) return -1;
    const LayerKind kind = is_table_entry(operation) ? LayerKind::diagonal : LayerKind::rotations;
    std::ptrdiff_t found = -1;
    const std::ptrdiff_t last = std::ptrdiff_t(schedule.layers.size()) - 1;
    for (std::ptrdiff_t b = last; b >= 0 && last - b < std::ptrdiff_t(look_back); --b) {
        const bool commutes = commutes_with_layer(words, schedule.layers[b]);
        if (schedule.layers[b].kind == kind && (commutes || kind == LayerKind::diagonal)) found = b;
        if (!commutes) break;
    }
    return found;
}

void collect_layers(Schedule& schedule) {
    for (Operation& operation : schedule.operations) {
        poll_compilation();
        const std::vector<Pauli> words = generators(operation);
        std::ptrdiff_t b = find_layer(schedule, operation, words);
        if (b < 0) {
            const LayerKind kind = operation.is_dense ? LayerKind::dense
                                   : is_table_entry(operation) ? LayerKind::diagonal : LayerKind::rotations;
            schedule.layers.push_back({kind, {}, {}, 0, 0});
            b = std::ptrdiff_t(schedule.layers.size()) - 1;
        }
        Layer& layer = schedule.layers[b];
        widen(layer, words);
        if (operation.is_dense)
            layer.dense = std::move(operation.dense);
        else
            layer.rotations.push_back(std::move(operation.rotation));
    }
    schedule.operations.clear();
}

/// Takes single-bit rotations that nothing left behind keeps from acting on |0...0> first.
void collect_product(Schedule& schedule) {
    schedule.product.assign(schedule.program.num_qubits, {});
    std::uint64_t left_x = 0, left_z = 0;
    for (Layer& layer : schedule.layers) {
        std::vector<Rotation> rest;
        for (Rotation& rotation : layer.rotations) {
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
        layer.rotations = std::move(rest);
        for (const Pauli& word : layer.dense.generators) {
            left_x |= word.x;
            left_z |= word.z;
        }
    }
    std::erase_if(schedule.layers, [](const Layer& b) { return b.kind != LayerKind::dense && b.rotations.empty(); });
}

}  // namespace

void collect(Schedule& schedule) {
    collect_layers(schedule);
    if (schedule.passes.product && schedule.preparations.empty() && schedule.program.num_qubits > 0)
        collect_product(schedule);
}

}  // namespace ketgrad
