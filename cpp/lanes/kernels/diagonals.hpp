// Diagonal steps: phase tables, their overlaps, Walsh-Hadamard transforms, sine and cosine.
//
// A table of 2^n unit complex numbers is kept in blocks {re[lanes], im[lanes]}: element k is in block k / lanes. Read as
// scalars it serves states whose lanes are samples, read as rows it serves one state spread over the lanes.
#pragma once
#include "lanes/kernels/rotations.hpp"
#include "lanes/kernels/rows.hpp"
#include "simd/shuffles.hpp"

namespace ketgrad {
namespace {

// exp(-i t/2 (+-1)) on rows of one parity: a multiplication by a -+ i b.
template <class Real>
inline Coefficients<Real> phase_coefficients(const SignedRows& set, const Turn<Real>& turn_values) {
    auto A = coefficients_of(turn_values, set.sign, set.negative_lanes);
    for (int l = 0; l < lanes<Real>; ++l)
        if (!(set.active_lanes >> l & 1)) A.a[l] = 1, A.b[l] = 0;
    return A;
}
template <class Real>
void phase(Real* psi, const SignedRows& set, const Turn<Real>& turn_values) {
    const auto A = phase_coefficients(set, turn_values);
    for_rows(set.rows, [=](u64 k) { multiply(at(psi, k), A.a, -A.b); });
}

// dE/dt = 1/2 sum (+-1) Im(conj(lambda) psi); then both states are multiplied by the inverse phase.
template <class Real>
void unphase(Real* psi, Real* lambda, const SignedRows& set, const Turn<Real>& turn_values, Real* sums) {
    using V = Vector<Real>;
    const auto A = phase_coefficients(set, turn_values);
    V sum = {};
    for_rows(set.rows, [&, A](u64 k) {
        V *a = at(psi, k), *l = at(lambda, k);
        sum += l[0] * a[1] - l[1] * a[0];
        multiply(a, A.a, -A.b);
        multiply(l, A.a, -A.b);
    });
    const V signs = lane_signs<Real>(set.negative_lanes) * Real(0.5 * set.sign);
    for (int l = 0; l < lanes<Real>; ++l) sums[l] += set.active_lanes >> l & 1 ? sum[l] * signs[l] : Real(0);
}

// psi[k] *= factor table[k], the table read as scalars.
template <class Real>
void multiply_scalars(Real* psi, const Real* table, u64 count, Real factor) {
    constexpr int L = lanes<Real>;
    for (u64 k = 0; k < count; ++k) {
        const Real* block = table + k / L * 2 * L + k % L;
        multiply(at(psi, k), broadcast(block[0] * factor), broadcast(block[L] * factor));
    }
}
// psi[k] *= factor table[k], lane by lane.
template <class Real>
void multiply_rows(Real* psi, const Real* table, u64 count, Real factor) {
    for (u64 k = 0; k < count; ++k) multiply(at(psi, k), at(table, k)[0] * factor, at(table, k)[1] * factor);
}

// overlaps[k] = sum over lanes of Im(conj(lambda) psi); then psi, lambda *= factor conj(table). One Walsh-Hadamard transform of
// the overlaps gives the derivative by every diagonal angle of the table.
template <class Real>
void unmultiply_scalars(Real* psi, Real* lambda, const Real* table, u64 count, Real factor, Real* overlaps) {
    using V = Vector<Real>;
    constexpr int L = lanes<Real>;
    const auto one = [=](u64 k) {
        const Real* block = table + k / L * 2 * L + k % L;
        const V re = broadcast(block[0] * factor), im = broadcast(-block[L] * factor);
        V *a = at(psi, k), *l = at(lambda, k);
        const V v = l[0] * a[1] - l[1] * a[0];
        multiply(a, re, im);
        multiply(l, re, im);
        return v;
    };
    u64 k = 0;
    for (; k + L <= count; k += L) {
        V v[L];
        for (int i = 0; i < L; ++i) v[i] = one(k + i);
        *reinterpret_cast<V*>(overlaps + k) = sum_lanes_of<Real>(v);
    }
    for (; k < count; ++k) {
        const V v = one(k);
        Real sum = 0;
        for (int l = 0; l < L; ++l) sum += v[l];
        overlaps[k] = sum;
    }
}
// The same lane by lane: overlaps has one row of lanes per k.
template <class Real>
void unmultiply_rows(Real* psi, Real* lambda, const Real* table, u64 count, Real factor, Real* overlaps) {
    using V = Vector<Real>;
    for (u64 k = 0; k < count; ++k) {
        const V re = at(table, k)[0] * factor, im = at(table, k)[1] * -factor;
        V *a = at(psi, k), *l = at(lambda, k);
        reinterpret_cast<V*>(overlaps)[k] = l[0] * a[1] - l[1] * a[0];
        multiply(a, re, im);
        multiply(l, re, im);
    }
}

// sums[k] += factor values[k].
template <class Real>
void add_scaled(double* sums, const Real* values, u64 count, double factor) {
    for (u64 k = 0; k < count; ++k) sums[k] += factor * values[k];
}

}  // namespace
}  // namespace ketgrad
