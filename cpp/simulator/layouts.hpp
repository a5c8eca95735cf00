// The steps of a schedule in both layouts of the lanes, and which of them a batch takes.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>

#include "passes/lower.hpp"
#include "simd/targets.hpp"

namespace ketgrad {

/// Lanes are samples, or one state is spread over them; the steps of the second layout are made when a call first needs them.
class Layouts {
    const Schedule& schedule;
    const InstructionSet& set;
    const int held;
    LoweredPacks samples;
    mutable std::once_flag once[2];  // in double and single precision
    mutable std::unique_ptr<LoweredPacks> one_state[2];

public:
    /// `held`: states that the engine holds for each sample. The schedule must outlive this.
    Layouts(const Schedule& schedule, const InstructionSet& set, int held);

    const LoweredPacks& batched() const { return samples; }
    /// Few samples of a state that is large enough go one by one, each spread over the lanes.
    template <class Real>
    bool spreads(std::int64_t batch) const;
    template <class Real>
    const LoweredPacks& of(std::int64_t batch) const;
};

}  // namespace ketgrad
