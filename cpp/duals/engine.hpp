// Derivatives along a direction, and the adjoint pass on dual states: values and gradients with their tangents.
//
// The schedule is compiled without the product start and without half-tangent forms, so that the true states are psi and lambda.
#pragma once
#include "base/arrays.hpp"
#include "base/interrupt.hpp"
#include "duals/arrays.hpp"
#include "passes/lower.hpp"
#include "simd/targets.hpp"

namespace ketgrad {

/// As `execute` in lanes/engine.hpp. Returns false when the call was interrupted. Throws std::bad_alloc.
template <class Real>
bool execute_duals(const Schedule& schedule, const LoweredPacks& packs, const InstructionSet& set, const DualArrays<Real>& arrays,
                   int threads, Interrupt& interrupt);

/// Bytes of states that a call holds at a time.
std::uint64_t bytes_in_duals(const Schedule& schedule, const Lowered& lowered, const CallSize& size);

}  // namespace ketgrad
