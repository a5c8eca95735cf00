// What one call of the engine for dual states reads and writes.
#pragma once
#include "base/arrays.hpp"

namespace ketgrad {

/// The arrays of one call. Directions have the shapes of what they change; null is zero. Without a cotangent only values and
/// tangents are written.
template <class Real>
struct DualArrays {
    Arrays<Real> point;
    const Real* weights_direction = nullptr;
    const Real* inputs_direction = nullptr;
    const Real* cotangent_direction = nullptr;
    Real* tangents = nullptr;  // of values
    Real* hweights = nullptr;  // of dweights
    Real* hinputs = nullptr;   // of dinputs
};

}  // namespace ketgrad
