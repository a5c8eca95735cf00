// Compiled once per instruction set and precision: see simd/vectors.hpp.
#include "gram/kernels.hpp"
#include "gram/kernels/overlaps.hpp"
#include "simd/targets.hpp"

namespace ketgrad {
namespace {

template <class Real>
constexpr GramKernels<Real> kernels = {
    .lanes = lanes<Real>,
    .overlap_columns = overlap_columns,
    .overlap_tile = overlap_tile<Real>,
    .split_planes = split_planes<Real>,
};

}  // namespace

template <>
const GramKernels<KETGRAD_REAL>& compiled_kernels<GramKernels<KETGRAD_REAL>, Target::KETGRAD_TARGET>() {
    return kernels<KETGRAD_REAL>;
}

}  // namespace ketgrad
