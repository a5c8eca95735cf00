// Compiled once per instruction set and precision, like lanes/kernels.cpp (KETGRAD_TARGET, KETGRAD_VECTOR_BYTES, KETGRAD_REAL):
// everything in an anonymous namespace, no library function.
#include "duals/kernels.hpp"
#include "lanes/kernels.hpp"
#include "simd/targets.hpp"

namespace {

using ketgrad::Coupling;
using ketgrad::DualKernels;
using ketgrad::DualTurn;
using ketgrad::Form;
using ketgrad::PairSet;
using ketgrad::QuartetSet;
using ketgrad::RowSet;
using ketgrad::SignedRows;
using ketgrad::Turn;

#include "simd/vectors.inc"
#include "lanes/kernels/rotations.inc"
#include "duals/kernels/tangents.inc"

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
const ketgrad::DualKernels<KETGRAD_REAL>& ketgrad::compiled_kernels<ketgrad::DualKernels<KETGRAD_REAL>, ketgrad::Target::KETGRAD_TARGET>() {
    return kernels<KETGRAD_REAL>;
}
