// A program as it runs for derivatives along a direction.
#pragma once
#include "base/interrupt.hpp"
#include "duals/arrays.hpp"
#include "passes/schedule.hpp"
#include "simulator/layouts.hpp"

namespace ketgrad {

class DualSimulator {
    const Schedule schedule;
    const InstructionSet& set;
    const Layouts layouts;

public:
    DualSimulator(Program program, Passes passes, const InstructionSet& set);

    const Program& program() const { return schedule.program; }
    std::int64_t num_outputs() const { return ketgrad::num_outputs(schedule, layouts.batched().one); }

    /// Values and tangents, or with a cotangent gradients and their tangents. False when the call was interrupted.
    template <class Real>
    bool run(const DualArrays<Real>& arrays, int threads, Interrupt& interrupt) const;
    /// Bytes of states that a call in double precision holds at a time.
    std::uint64_t bytes(std::int64_t batch, int threads, bool backward) const;
};

}  // namespace ketgrad
