// Phase tables and expectation values of dual states.
#pragma once
#include "duals/kernels/tangents.hpp"

namespace ketgrad {
namespace {

// Tables exp(i t_k) with rates dt_k: dpsi <- D (dpsi + i dt psi). `rows`: one entry per lane; otherwise scalars.
template <class Real, bool rows>
inline void load_entry(const Real* table, const Real* rates, u64 k, Vector<Real>& re, Vector<Real>& im, Vector<Real>& rate) {
    constexpr int L = lanes<Real>;
    if constexpr (rows) {
        re = at(table, k)[0], im = at(table, k)[1], rate = reinterpret_cast<const Vector<Real>*>(rates)[k];
    } else {
        const Real* block = table + k / L * 2 * L + k % L;
        re = broadcast(block[0]), im = broadcast(block[L]), rate = broadcast(rates[k]);
    }
}
template <class V>
inline void multiply_dual(V* p, V* d, V re, V im, V rate) {
    d[0] -= rate * p[1];
    d[1] += rate * p[0];
    multiply(p, re, im);
    multiply(d, re, im);
}
template <class Real, bool rows>
void multiply_table_dual(Real* psi, Real* dpsi, const Real* table, const Real* rates, u64 count) {
    Vector<Real> re, im, rate;
    for (u64 k = 0; k < count; ++k) {
        load_entry<Real, rows>(table, rates, k, re, im, rate);
        multiply_dual(at(psi, k), at(dpsi, k), re, im, rate);
    }
}
/// overlaps[k] = Im(conj(lambda) psi) and their tangents, one row of lanes per k; then all states are multiplied back.
template <class Real, bool rows>
void unmultiply_table_dual(Real* const* states, const Real* table, const Real* rates, u64 count, Real* overlaps,
                           Real* tangents) {
    using V = Vector<Real>;
    V re, im, rate;
    for (u64 k = 0; k < count; ++k) {
        load_entry<Real, rows>(table, rates, k, re, im, rate);
        V *p = at(states[0], k), *dp = at(states[1], k), *l = at(states[2], k), *dl = at(states[3], k);
        reinterpret_cast<V*>(overlaps)[k] = cross(l, p);
        reinterpret_cast<V*>(tangents)[k] = cross(dl, p) + cross(l, dp);
        multiply_dual(p, dp, re, -im, -rate);
        multiply_dual(l, dl, re, -im, -rate);
    }
}

// d <psi|P|psi> = 2 Re <dpsi|P|psi>, as the kernels for the values with the product rule.
template <class Real, bool permuted>
void expect_pairs_dual_as(const Real* psi, const Real* dpsi, const PairSet& set, Real* sums) {
    using V = Vector<Real>;
    const auto order = permutation<Real>(set.lane_x);
    const bool real = set.coupling == Coupling::real;
    const int same = real ? 1 : 0;
    V total = {}, minus = {};
    for_rows(set.rows, [&, x = set.x](u64 k) {
        const V *a = at(psi, k), *b = at(psi, k ^ x), *da = at(dpsi, k), *db = at(dpsi, k ^ x);
        V b0 = b[same], b1 = b[1 - same], db0 = db[same], db1 = db[1 - same];
        if constexpr (permuted) {
            b0 = permute<Real>(b0, order), b1 = permute<Real>(b1, order);
            db0 = permute<Real>(db0, order), db1 = permute<Real>(db1, order);
        }
        total += db0 * a[0] + b0 * da[0];
        minus += db1 * a[1] + b1 * da[1];
    });
    total = real ? total - minus : total + minus;
    add_to(sums, total * lane_signs<Real>(set.negative_lanes) * Real(2 * set.sign));
}
template <class Real>
void expect_lanes_dual(const Real* psi, const Real* dpsi, const PairSet& set, Real* sums) {
    using V = Vector<Real>;
    const auto order = permutation<Real>(set.lane_x);
    const bool real = set.coupling == Coupling::real;
    V total = {};
    for_rows(set.rows, [&](u64 k) {
        const V *a = at(psi, k), *d = at(dpsi, k);
        const V re = permute<Real>(a[0], order), im = permute<Real>(a[1], order);
        const V dre = permute<Real>(d[0], order), dim = permute<Real>(d[1], order);
        total += real ? d[1] * re - d[0] * im + a[1] * dre - a[0] * dim : d[0] * re + d[1] * im + a[0] * dre + a[1] * dim;
    });
    add_to(sums, total * lane_signs<Real>(set.negative_lanes) * Real(set.sign));
}
template <class Real>
void expect_pairs_dual(const Real* psi, const Real* dpsi, const PairSet& set, Real* sums) {
    if (!set.x)
        expect_lanes_dual(psi, dpsi, set, sums);
    else if (set.lane_x)
        expect_pairs_dual_as<Real, true>(psi, dpsi, set, sums);
    else
        expect_pairs_dual_as<Real, false>(psi, dpsi, set, sums);
}
template <class Real>
void expect_diagonal_dual(const Real* psi, const Real* dpsi, const SignedRows& set, Real* sums) {
    using V = Vector<Real>;
    V total = {};
    for_rows(set.rows, [&](u64 k) {
        const V *a = at(psi, k), *d = at(dpsi, k);
        total += a[0] * d[0] + a[1] * d[1];
    });
    add_to(sums, total * lane_signs<Real>(set.negative_lanes) * Real(2 * set.sign));
}
template <class Real, bool rows>
void expect_table_dual(const Real* psi, const Real* dpsi, const Real* table, u64 count, Real* sums) {
    using V = Vector<Real>;
    V total = {};
    for (u64 k = 0; k < count; ++k) {
        V weight;
        if constexpr (rows)
            weight = reinterpret_cast<const V*>(table)[k];
        else
            weight = broadcast(table[k]);
        const V *a = at(psi, k), *d = at(dpsi, k);
        total += weight * (a[0] * d[0] + a[1] * d[1]);
    }
    add_to(sums, total * Real(2));
}

}  // namespace
}  // namespace ketgrad
