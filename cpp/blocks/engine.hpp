// Execution of a program on one state at a time: lanes are the lowest bits of the index. For large states and small batches.
#pragma once
#include "base/arrays.hpp"
#include "base/interrupt.hpp"
#include "blocks/kernels.hpp"
#include "blocks/plan.hpp"

namespace ketgrad::blocks {

/// As `execute` in lanes/engine.hpp, sample by sample. Needs at least as many amplitudes as lanes.
template <class Real>
bool execute(const Plan& plan, const BlockKernels<Real>& kernels, const Arrays<Real>& arrays,
             int threads, Interrupt& interrupt);

std::uint64_t bytes(const Plan& plan, const CallSize& size);

}  // namespace ketgrad::blocks
