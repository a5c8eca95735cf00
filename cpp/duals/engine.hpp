// Derivatives along a direction, and the adjoint pass on dual states: values and gradients with their tangents.
//
// The schedule is compiled without the product start and without tangent forms, so that the true states are psi and lambda.
#pragma once
#include <memory>
#include <mutex>

#include "base/interrupt.hpp"
#include "duals/arrays.hpp"
#include "passes/lower.hpp"
#include "simd/targets.hpp"

namespace ketgrad {

/// A program compiled for this engine, in both layouts of the lanes.
struct TangentProgram {
    Schedule schedule;
    const InstructionSet* instruction_set;
    std::unique_ptr<LoweredPacks> batched;
    mutable std::once_flag once[2];
    mutable std::unique_ptr<LoweredPacks> spread[2];  // one state over the lanes, in double and single precision
};

std::unique_ptr<TangentProgram> make_tangent_program(const Program& program, Passes passes, const InstructionSet* set);

/// Returns false when the call was interrupted. Throws std::bad_alloc.
template <class Real>
bool execute_tangent(const TangentProgram& program, const TangentArrays<Real>& arrays, int threads, Interrupt& interrupt);

/// Bytes of states that a call in double precision holds at a time.
std::uint64_t tangent_bytes(const TangentProgram& program, std::int64_t batch, int threads, bool backward);

}  // namespace ketgrad
