// The table of kernels that one instruction set provides.
//
// A state is 2^r rows; row k is {re[lanes], im[lanes]}. Either each lane is a sample (r = n), or the lanes are the low index
// bits of one state (r = n - log2(lanes)): the kernels are the same, the sets below say what lies in the lanes.
#pragma once
#include <cstdint>

#include "program/row_sets.hpp"

namespace ketgrad {

/// Which coefficient of a turn is 1: a, so that b is the tangent of half the angle, or b, so that a is its cotangent, or none.
enum class Form : int { half_tangent = 0, half_cotangent = 1, full = 2 };

/// a = cos, b = sin of half an angle up to a common scale, per lane.
template <class Real>
struct Turn {
    const Real* a;
    const Real* b;
    Form form;
};

/// A word of a sum for lambda += sum psi, on blocks of four rows. weights: of the lanes of rows whose parity(z & row) is even,
/// then of the others. flips: the signs of rows 1 and 2 of a block beside row 0.
template <class Real>
struct WordRows {
    std::uint64_t x, z;
    const Real* weights;
    Real flips[2];
};

template <class Real>
struct LaneKernels {
    int lanes;
    void (*rotate_quartets)(Real* psi, const QuartetSet& set, const Turn<Real>* turns);
    void (*unrotate_quartets)(Real* psi, Real* lambda, const QuartetSet& set, const Turn<Real>* turns, Real* sums);
    void (*rotate_pairs)(Real* psi, const PairSet& set, const Turn<Real>& turn);
    void (*unrotate_pairs)(Real* psi, Real* lambda, const PairSet& set, const Turn<Real>& turn, Real* sums);
    void (*phase)(Real* psi, const SignedRows& set, const Turn<Real>& turn);
    void (*unphase)(Real* psi, Real* lambda, const SignedRows& set, const Turn<Real>& turn, Real* sums);
    void (*multiply_scalars)(Real* psi, const Real* table, std::uint64_t count, Real factor);
    void (*multiply_rows)(Real* psi, const Real* table, std::uint64_t count, Real factor);
    void (*unmultiply_scalars)(Real* psi, Real* lambda, const Real* table, std::uint64_t count, Real factor, Real* overlaps);
    void (*unmultiply_rows)(Real* psi, Real* lambda, const Real* table, std::uint64_t count, Real factor, Real* overlaps);
    void (*add_scaled)(double* sums, const Real* values, std::uint64_t count, double factor);
    void (*walsh)(Real* values, std::uint64_t count);
    void (*walsh_rows)(Real* values, std::uint64_t count);
    void (*unit_phases)(Real* table, const Real* angles, std::uint64_t count, Real factor);
    void (*outer)(Real* psi, const Real* low, std::uint64_t low_count, const Real* high, std::uint64_t high_count);
    void (*unouter)(const Real* lambda, const Real* low, std::uint64_t low_count, const Real* high, std::uint64_t high_count,
                    Real* dlow, Real* dhigh);
    void (*grow)(Real* stages, const Real* factors, int bits);
    void (*shrink)(const Real* stages, const Real* factors, int bits, Real* gradient, Real* factor_gradients);
    void (*rotate_factor)(Real* factor, int axis, const Real* cosine, const Real* sine);
    void (*set_factor)(Real* factor, const Real* matrix);
    void (*turn_factor)(Real* factor, const Real* matrix);
    void (*turn_overlaps)(Real* bloch, const Real* matrix);
    void (*factor_overlaps)(const Real* factor, const Real* gradient, Real* bloch);
    void (*unrotate_overlaps)(Real* bloch, int axis, const Real* cosine, const Real* sine);
    void (*expand)(Real* psi, const RowSet& rows, const std::uint64_t* offsets, int size, const Real* amplitudes);
    void (*contract)(Real* lambda, const Real* psi, const RowSet& rows, const std::uint64_t* offsets, int size,
                     const Real* amplitudes, Real* gradient);
    void (*dense)(Real* psi, const RowSet& rows, const std::uint64_t* offsets, int size, const Real* matrix, Real* scratch);
    void (*dense_spread)(Real* psi, const RowSet& rows, const std::uint64_t* offsets, int size, const Real* matrix,
                         Real* scratch);
    void (*expect_pairs)(const Real* psi, const PairSet& set, Real* sums);
    void (*expect_lanes)(const Real* psi, const PairSet& set, Real* sums);
    void (*expect_diagonal)(const Real* psi, const SignedRows& set, Real* sums);
    void (*set_diagonal)(Real* lambda, const Real* psi, const SignedRows& set, const Real* coefficient, Real* sums);
    void (*apply_word)(Real* lambda, const Real* psi, const PairSet& set, const Real* coefficient);
    void (*apply_words)(Real* lambda, const Real* psi, std::uint64_t first_row, std::uint64_t num_rows, const WordRows<Real>* words,
                        std::uint64_t num_words, Coupling coupling);
    void (*permute_lanes)(Real* result, const Real* psi, std::uint64_t num_rows, int lane_x);
    void (*apply_table_scalars)(Real* lambda, const Real* psi, const Real* table, std::uint64_t count,
                                const Real* coefficient, Real* sums);
    void (*apply_table_rows)(Real* lambda, const Real* psi, const Real* table, std::uint64_t count, const Real* coefficient,
                             Real* sums);
    void (*dot_and_scale)(Real* lambda, const Real* psi, std::uint64_t count, const Real* coefficient, Real* sums);
    void (*squares)(const Real* psi, std::uint64_t count, Real* result);
    void (*probabilities)(const Real* psi, const RowSet& rows, Real* outcomes);
    void (*apply_outcomes)(Real* lambda, const Real* psi, const RowSet& rows, const Real* outcomes);
};

}  // namespace ketgrad
