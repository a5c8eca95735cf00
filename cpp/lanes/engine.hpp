// Execution of a program on a batch: lanes = samples (or one state spread over the lanes), forward and adjoint backward.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "passes/schedule.hpp"
#include "base/panels.hpp"
#include "base/pool.hpp"

namespace ketgrad {

/// The arrays of one call. Weights and inputs have `batch` rows or one; dweights and dinputs have the same shapes.
/// values: (batch, outputs); for a state complex numbers as pairs. The cotangent has the shape of values.
template <class Real>
struct Arrays {
    std::int64_t batch = 1, weight_rows = 1, input_rows = 1;
    const Real* weights = nullptr;
    const Real* inputs = nullptr;
    const Real* cotangent = nullptr;
    const Real* slope = nullptr;  // the cotangent used is cotangent + slope * values
    Real* values = nullptr;
    Real* dweights = nullptr;
    Real* dinputs = nullptr;
    const Panels<Real>* panels = nullptr;  // states go here, as the rows hold them, and not to `values`
};

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
