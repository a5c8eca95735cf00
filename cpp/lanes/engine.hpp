// Execution of a program on a batch: lanes = samples (or one state spread over the lanes), forward and adjoint backward.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/arrays.hpp"
#include "base/interrupt.hpp"
#include "passes/lower.hpp"
#include "simd/targets.hpp"

namespace ketgrad {

/// Tables of phases that are more than this are not kept for a call, but made anew at each use.
inline constexpr std::uint64_t kept_table_bytes = std::uint64_t(16) << 20;

template <class Real>
struct Session;

/// Working memory that a program keeps from one call to the next, if it is small: whoever takes it first has it.
template <class Real>
class Kept {
    std::atomic<Session<Real>*> session{nullptr};

public:
    Kept() = default;
    ~Kept();
    std::unique_ptr<Session<Real>> take();
    void put(std::unique_ptr<Session<Real>> session);
};

/// Values only when arrays.cotangent is null, otherwise values and the vector-Jacobian product.
/// Returns false when the call was interrupted. Throws std::bad_alloc.
template <class Real>
bool execute(const Schedule& schedule, const LoweredPacks& packs, const InstructionSet& set, const Arrays<Real>& arrays,
             int threads, Interrupt& interrupt, Kept<Real>& kept);

}  // namespace ketgrad
