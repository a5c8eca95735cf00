// Compiled once per instruction set and precision (KETGRAD_TARGET, KETGRAD_VECTOR_BYTES, KETGRAD_REAL). Everything is in an anonymous namespace and no
// library function is used, so that no code of a wide instruction set can be shared with a narrow one by the linker.
#include "lanes/kernels.hpp"
#include "simd/targets.hpp"

namespace {

using ketgrad::Coupling;
using ketgrad::Form;
using ketgrad::LaneKernels;
using ketgrad::PairSet;
using ketgrad::QuartetSet;
using ketgrad::RowSet;
using ketgrad::SignedRows;
using ketgrad::Turn;
using ketgrad::WordRows;

// In this order: each part uses those before it.
#include "simd/vectors.inc"
#include "lanes/kernels/rotations.inc"
#include "lanes/kernels/dispatch.inc"
#include "lanes/kernels/diagonals.inc"
#include "lanes/kernels/measures.inc"
#include "lanes/kernels/products.inc"

template <class Real>
constexpr LaneKernels<Real> kernels = {
    .lanes = lanes<Real>,
    .rotate_quartets = rotate_quartets<Real>,
    .unrotate_quartets = unrotate_quartets<Real>,
    .rotate_pairs = rotate_pairs<Real>,
    .unrotate_pairs = unrotate_pairs<Real>,
    .phase = phase<Real>,
    .unphase = unphase<Real>,
    .multiply_scalars = multiply_scalars<Real>,
    .multiply_rows = multiply_rows<Real>,
    .unmultiply_scalars = unmultiply_scalars<Real>,
    .unmultiply_rows = unmultiply_rows<Real>,
    .add_scaled = add_scaled<Real>,
    .walsh = walsh<Real>,
    .walsh_rows = walsh_rows<Real>,
    .unit_phases = unit_phases<Real>,
    .outer = outer<Real>,
    .unouter = unouter<Real>,
    .grow = grow<Real>,
    .shrink = shrink<Real>,
    .rotate_factor = rotate_factor<Real>,
    .set_factor = set_factor<Real>,
    .turn_factor = turn_factor<Real>,
    .turn_overlaps = turn_overlaps<Real>,
    .factor_overlaps = factor_overlaps<Real>,
    .unrotate_overlaps = unrotate_overlaps<Real>,
    .expand = expand<Real>,
    .contract = contract<Real>,
    .dense = dense<Real>,
    .dense_spread = dense_spread<Real>,
    .expect_pairs = expect_pairs<Real>,
    .expect_lanes = expect_lanes<Real>,
    .expect_diagonal = expect_diagonal<Real>,
    .set_diagonal = set_diagonal<Real>,
    .apply_word = apply_word<Real>,
    .apply_words = apply_words<Real>,
    .permute_lanes = permute_lanes<Real>,
    .apply_table_scalars = apply_table<Real, false>,
    .apply_table_rows = apply_table<Real, true>,
    .dot_and_scale = dot_and_scale<Real>,
    .squares = squares<Real>,
    .probabilities = probabilities<Real>,
    .apply_outcomes = apply_outcomes<Real>,
};

}  // namespace

template <>
const ketgrad::LaneKernels<KETGRAD_REAL>& ketgrad::compiled_kernels<ketgrad::LaneKernels<KETGRAD_REAL>, ketgrad::Target::KETGRAD_TARGET>() {
    return kernels<KETGRAD_REAL>;
}
