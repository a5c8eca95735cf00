#include "simulator/layouts.hpp"

#include <bit>

#include "lanes/kernels.hpp"

namespace ketgrad {
namespace {

constexpr int least_rows = 3;  // bits of rows that a spread state has at least

/// Amplitudes of one sample from which the states of a whole group of lanes no longer stay in the cache.
constexpr std::uint64_t most_grouped = std::uint64_t(1) << 19;

}  // namespace

Layouts::Layouts(const Schedule& schedule, const InstructionSet& set, int held)
    : schedule(schedule), set(set), held(held), samples(lower(schedule, 0)) {}

template <class Real>
bool Layouts::spreads(std::int64_t batch) const {
    const int lanes = kernels_of<LaneKernels<Real>>(set).lanes, qubits = schedule.program.num_qubits;
    if (!schedule.passes.spread || qubits < std::countr_zero(unsigned(lanes)) + least_rows) return false;
    return 2 * batch <= lanes || (std::uint64_t(held) << qubits) >= most_grouped;
}

template <class Real>
const LoweredPacks& Layouts::of(std::int64_t batch) const {
    if (!spreads<Real>(batch)) return samples;
    const int which = sizeof(Real) == 8 ? 0 : 1;
    std::call_once(once[which], [&] {
        const unsigned lanes = unsigned(kernels_of<LaneKernels<Real>>(set).lanes);
        one_state[which] = std::make_unique<LoweredPacks>(lower(schedule, std::countr_zero(lanes)));
    });
    return *one_state[which];
}

template bool Layouts::spreads<double>(std::int64_t) const;
template bool Layouts::spreads<float>(std::int64_t) const;
template const LoweredPacks& Layouts::of<double>(std::int64_t) const;
template const LoweredPacks& Layouts::of<float>(std::int64_t) const;

}  // namespace ketgrad
