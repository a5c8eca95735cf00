#include "passes/collect.hpp"

#include <algorithm>
#include <bit>
#include <type_traits>

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
        if (layer.dense() && !all_commute(layer.dense()->generators, word)) return false;
        for (const Rotation& rotation : layer.rotations())
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

bool is_table_entry(const Rotation& rotation) { return rotation.word.x == 0 && rotation.controls.empty(); }

/// The earliest layer of that kind which a rotation can join, moving backward past layers that it commutes with. Tables need not
/// commute with what joins them: what is diagonal does.
template <class Kind>
Layer* find_layer(Schedule& schedule, const std::vector<Pauli>& words) {
    if (!schedule.passes.merge) return nullptr;
    Layer* found = nullptr;
    const std::size_t count = schedule.layers.size(), last = count - std::min(count, look_back);
    for (std::size_t l = count; l-- > last;) {
        Layer& layer = schedule.layers[l];
        const bool commutes = commutes_with_layer(words, layer);
        if (std::holds_alternative<Kind>(layer.work) && (commutes || std::is_same_v<Kind, Table>)) found = &layer;
        if (!commutes) break;
    }
    return found;
}

/// To a layer that it can join, or to a new one at the end.
template <class Kind>
void join_layer(Schedule& schedule, Rotation rotation, const std::vector<Pauli>& words) {
    Layer* layer = find_layer<Kind>(schedule, words);
    if (!layer) layer = &schedule.layers.emplace_back(Layer{Kind{}});
    widen(*layer, words);
    std::get<Kind>(layer->work).rotations.push_back(std::move(rotation));
}

void collect_layers(Schedule& schedule) {
    for (Operation& operation : schedule.operations) {
        poll_compilation();
        const std::vector<Pauli> words = generators(operation);
        if (Dense* dense = std::get_if<Dense>(&operation)) {
            widen(schedule.layers.emplace_back(Layer{std::move(*dense)}), words);
            continue;
        }
        Rotation& rotation = std::get<Rotation>(operation);
        (is_table_entry(rotation) ? join_layer<Table> : join_layer<Commuting>)(schedule, std::move(rotation), words);
    }
    schedule.operations.clear();
}

std::vector<Rotation>& rotations_of(Layer& layer) {
    Table* const table = std::get_if<Table>(&layer.work);
    return table ? table->rotations : std::get<Commuting>(layer.work).rotations;
}

/// Takes single-bit rotations that nothing left behind keeps from acting on |0...0> first.
void collect_product(Schedule& schedule) {
    schedule.product.assign(schedule.program.num_qubits, {});
    std::uint64_t left_x = 0, left_z = 0;
    for (Layer& layer : schedule.layers) {
        if (const Dense* dense = layer.dense()) {
            for (const Pauli& word : dense->generators) left_x |= word.x, left_z |= word.z;
            continue;
        }
        std::vector<Rotation> rest;
        for (Rotation& rotation : rotations_of(layer)) {
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
        rotations_of(layer) = std::move(rest);
    }
    std::erase_if(schedule.layers, [](const Layer& layer) { return !layer.dense() && layer.rotations().empty(); });
}

}  // namespace

void collect(Schedule& schedule) {
    collect_layers(schedule);
    if (schedule.passes.product && schedule.preparations.empty() && schedule.program.num_qubits > 0)
        collect_product(schedule);
}

}  // namespace ketgrad
