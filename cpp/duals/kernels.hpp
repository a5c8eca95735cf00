// The kernels that one instruction set provides for dual states: psi and its tangent dpsi, or {psi, dpsi, lambda, dlambda}.
// Rows and sets are those of lanes/kernels.hpp. They are compiled apart, because compilers inline less in a larger file.
#pragma once
#include <cstdint>

#include "program/row_sets.hpp"

namespace ketgrad {

/// A turn in the full form, and half the rate at which its angle changes along a direction, per lane.
template <class Real>
struct DualTurn {
    const Real* a;
    const Real* b;
    const Real* h;
};

/// Backward, the tangents of sums stand two rows of lanes behind them.
template <class Real>
struct DualKernels {
    void (*rotate_quartets)(Real* psi, Real* dpsi, const QuartetSet& set, const DualTurn<Real>* turns);
    void (*unrotate_quartets)(Real* const* states, const QuartetSet& set, const DualTurn<Real>* turns, Real* sums);
    void (*rotate_pairs)(Real* psi, Real* dpsi, const PairSet& set, const DualTurn<Real>& turn);
    void (*unrotate_pairs)(Real* const* states, const PairSet& set, const DualTurn<Real>& turn, Real* sums);
    void (*phase)(Real* psi, Real* dpsi, const SignedRows& set, const DualTurn<Real>& turn);
    void (*unphase)(Real* const* states, const SignedRows& set, const DualTurn<Real>& turn, Real* sums);
    void (*multiply_scalars)(Real* psi, Real* dpsi, const Real* table, const Real* rates, std::uint64_t count);
    void (*multiply_rows)(Real* psi, Real* dpsi, const Real* table, const Real* rates, std::uint64_t count);
    void (*unmultiply_scalars)(Real* const* states, const Real* table, const Real* rates, std::uint64_t count,
                               Real* overlaps, Real* tangents);
    void (*unmultiply_rows)(Real* const* states, const Real* table, const Real* rates, std::uint64_t count, Real* overlaps,
                            Real* tangents);
    void (*expect_pairs)(const Real* psi, const Real* dpsi, const PairSet& set, Real* sums);
    void (*expect_diagonal)(const Real* psi, const Real* dpsi, const SignedRows& set, Real* sums);
    void (*expect_scalars)(const Real* psi, const Real* dpsi, const Real* table, std::uint64_t count, Real* sums);
    void (*expect_rows)(const Real* psi, const Real* dpsi, const Real* table, std::uint64_t count, Real* sums);
};

}  // namespace ketgrad
