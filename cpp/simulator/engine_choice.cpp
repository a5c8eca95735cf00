#include "simulator/engine_choice.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "blocks/kernels.hpp"

namespace ketgrad {
namespace {

constexpr int least_blocked_qubits = 12;
constexpr double sure_advantage = 0.95;

/// Nanoseconds per amplitude of each kind of step, forward and with the gradient. Measured by benchmarks/crossover.py on one
/// core of an AMD EPYC 7003 at 2.45 GHz with AVX2, solved from the circuits of 14 to 20 qubits there.
struct Cost {
    double value, gradient;
};
constexpr Cost rotation_step{0.57, 1.42}, table_step{3.4, 6.2}, dense_entry{2.0, 6.0}, product_start{1.4, 3.0};
constexpr Cost turn{0.20, 0.95}, diagonal_layer{0.38, 1.4}, matrix_entry{0.25, 1.0};
constexpr Cost mixed_layer{1.7, 3.0};  // more than a diagonal layer: its table is made anew for every tile
constexpr Cost pass_in_place{3.2, 5.6}, pass_with_moves{7.0, 15.0};

/// What states of up to 4, 8, 16 MiB, and of more, slow down the steps over all of memory.
constexpr double slowdown[4] = {1, 1.4, 2.3, 3.55};

struct Sum {
    bool with_gradient;
    double total = 0;

    void add(Cost cost, double times) { total += (with_gradient ? cost.gradient : cost.value) * times; }
};

bool has_slots(const Program& program) { return program.num_weights + program.num_inputs > 0; }

/// Whether a diagonal layer has more masks across the edge of a tile than tables are made for.
bool is_mixed(const blocks::Layer& layer) {
    constexpr std::uint64_t low = (std::uint64_t(1) << tile_bits) - 1;
    const auto crosses = [](const blocks::Entry& entry) { return (entry.z & low) && ((entry.z & ~low) || entry.outside); };
    return layer.kind == blocks::LayerKind::diagonal &&
           std::count_if(layer.entries.begin(), layer.entries.end(), crosses) > std::ptrdiff_t(blocks::most_tabulated);
}

}  // namespace

bool fits_blocks(const Schedule& schedule, int lanes, bool forced) {
    const int qubits = schedule.program.num_qubits;
    const bool has_dead_bits = schedule.given_qubits > qubits;  // which blocks would hold
    return schedule.passes.blocks && qubits >= std::countr_zero(unsigned(lanes)) && (forced || !has_dead_bits);
}

bool may_gain_from_blocks(const Schedule& schedule, bool one_by_one) {
    return schedule.program.num_qubits >= least_blocked_qubits && one_by_one;
}

bool is_sure_advantage(double cost_blocks, double cost_lanes) { return cost_blocks < sure_advantage * cost_lanes; }

double cost_in_lanes(const Schedule& schedule, const Lowered& lowered, int real_size) {
    Sum sum{has_slots(schedule.program)};
    for (const Step& step : lowered.steps) {
        if (std::holds_alternative<RotationStep>(step)) sum.add(rotation_step, 1);
        if (std::holds_alternative<TableStep>(step)) sum.add(table_step, 1);
        const DenseStep* const dense = std::get_if<DenseStep>(&step);
        if (!dense) continue;
        double touched = 0;  // share of the amplitudes
        for (const RowSet& rows : dense->rows) touched += std::ldexp(1.0, rows.dim - lowered.row_bits);
        const double size = double(schedule.layers[dense->layer].dense()->offsets.size());
        sum.add(dense_entry, touched * size * size);
    }
    if (schedule.is_product()) sum.add(product_start, 1);
    const double bytes = std::ldexp(2.0 * real_size, schedule.program.num_qubits) * (sum.with_gradient ? 2 : 1);
    return sum.total * slowdown[std::clamp(int(std::ceil(std::log2(bytes / double(4 << 20)))), 0, 3)];
}

double cost_in_blocks(const blocks::Plan& plan) {
    Sum sum{has_slots(plan.program)};
    for (const blocks::Pass& pass : plan.passes) {
        const double share = std::ldexp(double(pass.num_blocks()), int(pass.bits.size()) - plan.program.num_qubits);
        sum.add(pass.moves ? pass_with_moves : pass_in_place, share);
        for (const blocks::Layer& layer : pass.layers) {
            if (layer.kind == blocks::LayerKind::rotations) sum.add(turn, share * double(layer.entries.size()));
            if (layer.kind == blocks::LayerKind::diagonal) sum.add(diagonal_layer, share);
            if (is_mixed(layer)) sum.add(mixed_layer, share);
            if (layer.kind != blocks::LayerKind::matrix) continue;
            const blocks::Entry& entry = layer.entries[0];
            const int controls = std::popcount(entry.z & ~entry.x) + std::popcount(entry.outside);
            sum.add(matrix_entry, share * std::ldexp(1.0, std::popcount(entry.x) - controls));
        }
    }
    return sum.total;
}

}  // namespace ketgrad
