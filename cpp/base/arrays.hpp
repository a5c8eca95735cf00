// What one call of an engine reads and writes.
#pragma once
#include <cstdint>

#include "base/panels.hpp"

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

/// The sizes of a call on which its memory depends.
struct CallSize {
    std::int64_t batch = 1;
    int threads = 1, lanes = 1, real_size = 8;
    bool backward = false;
};

}  // namespace ketgrad
