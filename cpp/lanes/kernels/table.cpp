// Compiled once per instruction set and precision: see simd/vectors.hpp.
#include "lanes/kernels.hpp"
#include "lanes/kernels/diagonals.hpp"
#include "lanes/kernels/dispatch.hpp"
#include "lanes/kernels/measures.hpp"
#include "lanes/kernels/products.hpp"
#include "simd/math.hpp"
#include "simd/targets.hpp"

namespace ketgrad {
namespace {

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
const LaneKernels<KETGRAD_REAL>& compiled_kernels<LaneKernels<KETGRAD_REAL>, Target::KETGRAD_TARGET>() {
    return kernels<KETGRAD_REAL>;
}

}  // namespace ketgrad
