// Compiled once per instruction set and precision: see simd/vectors.hpp.
#include "duals/kernels.hpp"
#include "duals/kernels/measures.hpp"
#include "duals/kernels/tangents.hpp"
#include "simd/targets.hpp"

namespace ketgrad {
namespace {

template <class Real>
constexpr DualKernels<Real> kernels = {
    .rotate_quartets = rotate_quartets_dual<Real>,
    .unrotate_quartets = unrotate_quartets_dual<Real>,
    .rotate_pairs = rotate_pairs_dual<Real>,
    .unrotate_pairs = unrotate_pairs_dual<Real>,
    .phase = phase_dual<Real>,
    .unphase = unphase_dual<Real>,
    .multiply_scalars = multiply_table_dual<Real, false>,
    .multiply_rows = multiply_table_dual<Real, true>,
    .unmultiply_scalars = unmultiply_table_dual<Real, false>,
    .unmultiply_rows = unmultiply_table_dual<Real, true>,
    .expect_pairs = expect_pairs_dual<Real>,
    .expect_diagonal = expect_diagonal_dual<Real>,
    .expect_scalars = expect_table_dual<Real, false>,
    .expect_rows = expect_table_dual<Real, true>,
};

}  // namespace

template <>
const DualKernels<KETGRAD_REAL>& compiled_kernels<DualKernels<KETGRAD_REAL>, Target::KETGRAD_TARGET>() {
    return kernels<KETGRAD_REAL>;
}

}  // namespace ketgrad
