#include "simulator/simulator.hpp"

#include <algorithm>
#include <bit>

#include "base/patience.hpp"
#include "blocks/engine.hpp"
#include "lanes/kernels.hpp"
#include "passes/compile.hpp"
#include "program/light_cone.hpp"
#include "simulator/engine_choice.hpp"
#include "simulator/memory.hpp"

namespace ketgrad {
namespace {

constexpr int held_states = 2;           // psi and lambda
constexpr int default_block_bits = 13;   // 128 KiB of amplitudes: psi and lambda of a block fit into the L2 cache

void count_blocks(const blocks::Plan& blocked, SimulatorPlan& plan) {
    plan.blocked_passes = blocked.passes.size();
    for (const blocks::Pass& pass : blocked.passes)
        for (const blocks::Layer& layer : pass.layers) {
            plan.blocked_turns += layer.kind == blocks::LayerKind::rotations ? layer.entries.size() : 0;
            plan.blocked_tables += layer.kind == blocks::LayerKind::diagonal;
            plan.blocked_matrices += layer.kind == blocks::LayerKind::matrix;
        }
}

void count_steps(const Schedule& schedule, const Lowered& lowered, SimulatorPlan& plan) {
    for (const auto& factor : schedule.product) plan.product += factor.size();
    for (const Layer& layer : schedule.layers)
        if (const Commuting* commuting = std::get_if<Commuting>(&layer.work)) plan.rotations += commuting->rotations.size();
    for (const Step& step : lowered.steps) {
        plan.tables += std::holds_alternative<TableStep>(step);
        plan.rotation_passes += std::holds_alternative<RotationStep>(step);
        plan.dense += std::holds_alternative<DenseStep>(step);
    }
}

}  // namespace

Schedule Simulator::compiled(Program program, const Passes& passes) {
    validate(program);
    num_instructions = program.instructions.size();
    if (passes.prune) num_unseen = std::size_t(restrict_to_light_cone(program));
    return compile(std::move(program), passes);
}

Simulator::Simulator(Program program, const Passes& passes, const InstructionSet& set, int block_bits)
    : schedule(compiled(std::move(program), passes)), set(set), layouts(schedule, set, held_states), block_bits(block_bits) {}

template <class Real>
int Simulator::lanes() const {
    return kernels_of<LaneKernels<Real>>(set).lanes;
}

template <class Real>
Kept<Real>& Simulator::kept() const {
    if constexpr (sizeof(Real) == 8)
        return kept_exact;
    else
        return kept_single;
}

template <class Real>
bool Simulator::uses_blocks(std::int64_t batch) const {
    const bool forced = block_bits;
    if (!fits_blocks(schedule, lanes<Real>(), forced)) return false;
    if (!forced && !may_gain_from_blocks(schedule, layouts.spreads<Real>(batch))) return false;
    std::call_once(once_blocked, [&] {
        blocked = blocks::make_plan(schedule.source(), forced ? block_bits : default_block_bits);
        cost_blocks = cost_in_blocks(blocked);
    });
    return forced || is_sure_advantage(cost_blocks, cost_in_lanes(schedule, layouts.batched().one, sizeof(Real)));
}

template <class Real>
bool Simulator::run(const Arrays<Real>& arrays, int threads, Interrupt& interrupt) const {
    const Patience patience(interrupt.poll);  // for what the first call of a kind compiles
    if (uses_blocks<Real>(arrays.batch))
        return blocks::execute(blocked, kernels_of<BlockKernels<Real>>(set), arrays, threads, interrupt);
    return execute(schedule, layouts.of<Real>(arrays.batch), set, arrays, threads, interrupt, kept<Real>());
}

template <class Real>
bool Simulator::run_states(const Arrays<Real>& arrays, int threads, Interrupt& interrupt) const {
    return execute(schedule, layouts.batched(), set, arrays, threads, interrupt, kept<Real>());
}

template <class Real>
std::uint64_t Simulator::bytes(std::int64_t batch, int threads, bool backward) const {
    const CallSize size{batch, threads, lanes<Real>(), int(sizeof(Real)), backward};
    if (uses_blocks<Real>(batch)) return blocks::bytes(blocked, size);
    return bytes_in_lanes(schedule, layouts.of<Real>(batch).one, size);
}

SimulatorPlan Simulator::plan(std::int64_t batch) const {
    SimulatorPlan plan{};
    plan.instruction_set = set.name;
    plan.lanes = lanes<double>();
    plan.spread = layouts.spreads<double>(batch);
    plan.blocked = uses_blocks<double>(batch);
    plan.cost_lanes = cost_in_lanes(schedule, layouts.batched().one, sizeof(double));
    plan.cost_blocks = cost_blocks;
    plan.seen = schedule.given_qubits;
    plan.qubits = schedule.program.num_qubits;
    plan.instructions = num_instructions;
    plan.unseen = num_unseen;
    plan.absorbed = std::size_t(schedule.absorbed);
    plan.operations = std::size_t(schedule.made);
    plan.pruned = std::size_t(schedule.pruned);
    count_blocks(blocked, plan);
    count_steps(schedule, layouts.of<double>(batch).one, plan);
    plan.bytes_run = bytes<double>(batch, 1, false);
    plan.bytes_vjp = bytes<double>(batch, 1, true);
    return plan;
}

std::unique_ptr<DualSimulator> Simulator::dual() const {
    return std::make_unique<DualSimulator>(schedule.source(), schedule.passes, set);
}

template int Simulator::lanes<double>() const;
template int Simulator::lanes<float>() const;
template bool Simulator::run(const Arrays<double>&, int, Interrupt&) const;
template bool Simulator::run(const Arrays<float>&, int, Interrupt&) const;
template bool Simulator::run_states(const Arrays<double>&, int, Interrupt&) const;
template bool Simulator::run_states(const Arrays<float>&, int, Interrupt&) const;
template std::uint64_t Simulator::bytes<double>(std::int64_t, int, bool) const;
template std::uint64_t Simulator::bytes<float>(std::int64_t, int, bool) const;

}  // namespace ketgrad
