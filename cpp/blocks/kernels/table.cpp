// Compiled once per instruction set and precision: see simd/vectors.hpp.
#include "blocks/kernels.hpp"
#include "blocks/kernels/matrices.hpp"
#include "blocks/kernels/sums.hpp"
#include "blocks/kernels/rotations.hpp"
#include "simd/math.hpp"
#include "simd/targets.hpp"

namespace ketgrad {
namespace {

template <class Real>
constexpr BlockKernels<Real> kernels = {
    .lanes = lanes<Real>,
    .turn = turn<Real>,
    .turn_two = turn_two<Real>,
    .turn_back = turn_back<Real>,
    .turn_two_back = turn_two_back<Real>,
    .walsh = walsh<Real>,
    .unit_phases = unit_phases<Real>,
    .multiply = multiply_table<Real>,
    .multiply_back = multiply_table_back<Real>,
    .scale = scale<Real>,
    .add_word = add_word<Real>,
    .add_diagonal = add_diagonal<Real>,
    .accumulate = accumulate<Real>,
    .dot = dot<Real>,
    .apply_matrix = apply_matrix<Real>,
};

}  // namespace

template <>
const BlockKernels<KETGRAD_REAL>& compiled_kernels<BlockKernels<KETGRAD_REAL>, Target::KETGRAD_TARGET>() {
    return kernels<KETGRAD_REAL>;
}

}  // namespace ketgrad
