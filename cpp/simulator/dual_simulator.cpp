#include "simulator/dual_simulator.hpp"

#include "base/patience.hpp"
#include "duals/engine.hpp"
#include "lanes/kernels.hpp"
#include "passes/compile.hpp"

namespace ketgrad {
namespace {

constexpr int held_states = 8;  // psi, lambda and their tangents; a table, its overlaps and the rates of both are three more

/// The engine wants the true states, and turns in the full form.
Passes without_factors(Passes passes) {
    passes.product = passes.half_tangent = false;
    return passes;
}

}  // namespace

DualSimulator::DualSimulator(Program program, Passes passes, const InstructionSet& set)
    : schedule(compile(std::move(program), without_factors(passes))), set(set), layouts(schedule, set, held_states) {}

template <class Real>
bool DualSimulator::run(const DualArrays<Real>& arrays, int threads, Interrupt& interrupt) const {
    const Patience patience(interrupt.poll);
    return execute_duals(schedule, layouts.of<Real>(arrays.point.batch), set, arrays, threads, interrupt);
}

std::uint64_t DualSimulator::bytes(std::int64_t batch, int threads, bool backward) const {
    const CallSize size{batch, threads, kernels_of<LaneKernels<double>>(set).lanes, int(sizeof(double)), backward};
    return bytes_in_duals(schedule, layouts.of<double>(batch).one, size);
}

template bool DualSimulator::run(const DualArrays<double>&, int, Interrupt&) const;
template bool DualSimulator::run(const DualArrays<float>&, int, Interrupt&) const;

}  // namespace ketgrad
