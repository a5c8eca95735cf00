// Pauli rotations on pairs and quartets of rows.
//
// One rotation: 0 <- a 0 - b 1, 1 <- a 1 + b 0 for a real coupling. An imaginary coupling (0 <- a 0 - i b 1) is the same real
// rotation between the real part of one row and the imaginary part of the other, with -b or +b: rows split into two halves
// of reals that never mix, so eight vectors (psi and lambda) stay in registers.
// Forms: half_tangent a = 1, half_cotangent b = 1 (scales are kept outside), full both.
#pragma once
#include "lanes/kernels.hpp"
#include "lanes/kernels/rows.hpp"
#include "simd/shuffles.hpp"

namespace ketgrad {
namespace {

template <Form form, class V>
inline void turn(V& u, V& v, V a, V b) {
    const V u0 = u;
    if constexpr (form == Form::half_tangent) {
        u = u0 - b * v;
        v = v + b * u0;
    } else if constexpr (form == Form::half_cotangent) {
        u = a * u0 - v;
        v = a * v + u0;
    } else {
        u = a * u0 - b * v;
        v = a * v + b * u0;
    }
}

/// The same with b -> sign * b, sign a constant.
template <Form form, int sign, class V>
inline void turn_signed(V& u, V& v, V a, V b) {
    if constexpr (sign > 0)
        turn<form>(u, v, a, b);
    else
        turn<form>(v, u, a, b);
}

/// Which part (0 real, 1 imaginary) member j of the quartet contributes to a half, and the sign of b for the pair from j.
template <Coupling coupling_a, Coupling coupling_b>
constexpr int part_of(int half, int j) {
    return half ^ (j & 1 ? int(coupling_a) : 0) ^ (j & 2 ? int(coupling_b) : 0);
}
constexpr int sign_of(Coupling coupling, int part) { return coupling == Coupling::imaginary && part == 0 ? -1 : 1; }

template <Coupling ca, Coupling cb, Form fa, Form fb, int half, class V>
inline void turn_quartet(V* u, V aa, V ba, V ab, V bb) {
    constexpr int s0 = sign_of(ca, part_of<ca, cb>(half, 0)), s2 = sign_of(ca, part_of<ca, cb>(half, 2));
    constexpr int t0 = sign_of(cb, part_of<ca, cb>(half, 0)), t1 = sign_of(cb, part_of<ca, cb>(half, 1));
    turn_signed<fa, s0>(u[0], u[1], aa, ba);
    turn_signed<fa, s2>(u[2], u[3], aa, ba);
    turn_signed<fb, t0>(u[0], u[2], ab, bb);
    turn_signed<fb, t1>(u[1], u[3], ab, bb);
}

template <class Real>
struct Coefficients {
    Vector<Real> a, b;
};

/// a and b with the sign of the set and of each lane put on b.
template <class Real>
inline Coefficients<Real> coefficients_of(const Turn<Real>& turn, int sign, std::uint32_t negative_lanes) {
    return {load(turn.a), load(turn.b) * lane_signs<Real>(negative_lanes) * Real(sign)};
}

/// The same for a pair set; lanes that its controls switch off get the identity (form full only).
template <class Real>
inline Coefficients<Real> lane_coefficients(const PairSet& set, const Turn<Real>& turn_values) {
    auto A = coefficients_of(turn_values, set.sign, set.negative_lanes);
    for (int l = 0; l < lanes<Real>; ++l)
        if (!(set.active_lanes >> l & 1)) A.a[l] = 1, A.b[l] = 0;
    return A;
}

template <class Real, bool permuted, int half, Coupling ca, Coupling cb>
inline void load_quartet(Vector<Real>* u, Real* state, const u64* k, const Order<Real>* order) {
    for (int j = 0; j < 4; ++j) {
        u[j] = at(state, k[j])[part_of<ca, cb>(half, j)];
        if constexpr (permuted)
            if (j) u[j] = permute<Real>(u[j], order[j]);
    }
}
template <class Real, bool permuted, int half, Coupling ca, Coupling cb>
inline void store_quartet(const Vector<Real>* u, Real* state, const u64* k, const Order<Real>* order) {
    for (int j = 0; j < 4; ++j) {
        Vector<Real> v = u[j];
        if constexpr (permuted)
            if (j) v = permute<Real>(v, order[j]);
        at(state, k[j])[part_of<ca, cb>(half, j)] = v;
    }
}

template <class Real>
inline void quartet_orders(const QuartetSet& set, Order<Real>* order) {
    for (int j = 0; j < 4; ++j)
        order[j] = permutation<Real>((j & 1 ? set.lane_x[0] : 0) ^ (j & 2 ? set.lane_x[1] : 0));
}

// exp(-i t_a/2 P_a) exp(-i t_b/2 P_b) on the quartets k, k ^ x_a, k ^ x_b, k ^ x_a ^ x_b: 4 loads and stores for 2 rotations.
template <class Real, Coupling ca, Coupling cb, Form fa, Form fb, bool permuted>
void rotate_quartets_as(Real* psi, const QuartetSet& set, const Turn<Real>* turns) {
    const auto A = coefficients_of(turns[0], set.sign[0], set.negative_lanes[0]);
    const auto B = coefficients_of(turns[1], set.sign[1], set.negative_lanes[1]);
    Order<Real> order[4] = {};
    if constexpr (permuted) quartet_orders<Real>(set, order);
    const u64 xa = set.x[0], xb = set.x[1], xc = xa ^ xb;
    for_rows(set.rows, [&, A, B, xa, xb, xc](u64 row) {
        const u64 k[4] = {row, row ^ xa, row ^ xb, row ^ xc};
        Vector<Real> u[4];
        load_quartet<Real, permuted, 0, ca, cb>(u, psi, k, order);
        turn_quartet<ca, cb, fa, fb, 0>(u, A.a, A.b, B.a, B.b);
        store_quartet<Real, permuted, 0, ca, cb>(u, psi, k, order);
        load_quartet<Real, permuted, 1, ca, cb>(u, psi, k, order);
        turn_quartet<ca, cb, fa, fb, 1>(u, A.a, A.b, B.a, B.b);
        store_quartet<Real, permuted, 1, ca, cb>(u, psi, k, order);
    });
}

/// sum += sign (l1 u0 - l0 u1) + other_sign (l3 u2 - l2 u3): products first, one addition last, so that the sums of successive
/// rows wait for an addition only.
template <int sign, int other_sign, class V>
inline void add_overlap(V& sum, V l1, V u0, V l0, V u1, V l3, V u2, V l2, V u3) {
    V t = l1 * u0;
    t -= l0 * u1;
    if constexpr (sign == other_sign) {
        t += l3 * u2;
        t -= l2 * u3;
    } else {
        t -= l3 * u2;
        t += l2 * u3;
    }
    if constexpr (sign > 0)
        sum += t;
    else
        sum -= t;
}

template <Coupling ca, Coupling cb, int half, class V>
inline void add_overlaps(const V* u, const V* l, V& sum_a, V& sum_b) {
    constexpr int s0 = sign_of(ca, part_of<ca, cb>(half, 0)), s2 = sign_of(ca, part_of<ca, cb>(half, 2));
    constexpr int t0 = sign_of(cb, part_of<ca, cb>(half, 0)), t1 = sign_of(cb, part_of<ca, cb>(half, 1));
    add_overlap<s0, s2>(sum_a, l[1], u[0], l[0], u[1], l[3], u[2], l[2], u[3]);
    add_overlap<t0, t1>(sum_b, l[2], u[0], l[0], u[2], l[3], u[1], l[1], u[3]);
}

// dE/dt = 1/2 sum Re(conj(lambda) (-i P) psi), read off before both states are turned back: P commutes with its rotation.
// The turns hold the coefficients of the inverse; sums[0], sums[1] receive the two derivatives per lane.
template <class Real, Coupling ca, Coupling cb, Form fa, Form fb, bool permuted>
void unrotate_quartets_as(Real* psi, Real* lambda, const QuartetSet& set, const Turn<Real>* turns, Real* sums) {
    using V = Vector<Real>;
    const auto A = coefficients_of(turns[0], set.sign[0], set.negative_lanes[0]);
    const auto B = coefficients_of(turns[1], set.sign[1], set.negative_lanes[1]);
    Order<Real> order[4] = {};
    if constexpr (permuted) quartet_orders<Real>(set, order);
    const u64 xa = set.x[0], xb = set.x[1], xc = xa ^ xb;
    V sum_a = {}, sum_b = {};
    for_rows(set.rows, [&, A, B, xa, xb, xc](u64 row) {
        const u64 k[4] = {row, row ^ xa, row ^ xb, row ^ xc};
        V u[4], l[4];
        load_quartet<Real, permuted, 0, ca, cb>(u, psi, k, order);
        load_quartet<Real, permuted, 0, ca, cb>(l, lambda, k, order);
        add_overlaps<ca, cb, 0>(u, l, sum_a, sum_b);
        turn_quartet<ca, cb, fa, fb, 0>(u, A.a, A.b, B.a, B.b);
        turn_quartet<ca, cb, fa, fb, 0>(l, A.a, A.b, B.a, B.b);
        store_quartet<Real, permuted, 0, ca, cb>(u, psi, k, order);
        store_quartet<Real, permuted, 0, ca, cb>(l, lambda, k, order);
        load_quartet<Real, permuted, 1, ca, cb>(u, psi, k, order);
        load_quartet<Real, permuted, 1, ca, cb>(l, lambda, k, order);
        add_overlaps<ca, cb, 1>(u, l, sum_a, sum_b);
        turn_quartet<ca, cb, fa, fb, 1>(u, A.a, A.b, B.a, B.b);
        turn_quartet<ca, cb, fa, fb, 1>(l, A.a, A.b, B.a, B.b);
        store_quartet<Real, permuted, 1, ca, cb>(u, psi, k, order);
        store_quartet<Real, permuted, 1, ca, cb>(l, lambda, k, order);
    });
    add_to(sums, sum_a * lane_signs<Real>(set.negative_lanes[0]) * Real(0.5 * set.sign[0]));
    add_to(sums + lanes<Real>, sum_b * lane_signs<Real>(set.negative_lanes[1]) * Real(0.5 * set.sign[1]));
}

// One rotation on the pairs k, k ^ x.
template <class Real, Coupling coupling, Form form, bool permuted>
void rotate_pairs_as(Real* psi, const PairSet& set, const Turn<Real>& turn_values) {
    using V = Vector<Real>;
    const auto A = lane_coefficients(set, turn_values);
    const auto order = permutation<Real>(set.lane_x);
    constexpr int c = int(coupling), s = sign_of(coupling, 0);
    for_rows(set.rows, [&, A, x = set.x](u64 k) {
        V *p = at(psi, k), *q = at(psi, k ^ x);
        V re = p[0], im = p[1], re1 = q[c], im1 = q[1 - c];
        if constexpr (permuted) re1 = permute<Real>(re1, order), im1 = permute<Real>(im1, order);
        turn_signed<form, s>(re, re1, A.a, A.b);
        turn<form>(im, im1, A.a, A.b);
        if constexpr (permuted) re1 = permute<Real>(re1, order), im1 = permute<Real>(im1, order);
        p[0] = re, p[1] = im, q[c] = re1, q[1 - c] = im1;
    });
}

template <class Real, Coupling coupling, Form form, bool permuted>
void unrotate_pairs_as(Real* psi, Real* lambda, const PairSet& set, const Turn<Real>& turn_values, Real* sums) {
    using V = Vector<Real>;
    const auto A = lane_coefficients(set, turn_values);
    const auto order = permutation<Real>(set.lane_x);
    constexpr int c = int(coupling), s = sign_of(coupling, 0);
    V sum = {};
    for_rows(set.rows, [&, A, x = set.x](u64 k) {
        V u[2][2], v[2][2];  // [psi, lambda][half]
        Real* states[2] = {psi, lambda};
        for (int i = 0; i < 2; ++i) {
            V *p = at(states[i], k), *q = at(states[i], k ^ x);
            u[i][0] = p[0], u[i][1] = p[1], v[i][0] = q[c], v[i][1] = q[1 - c];
            if constexpr (permuted) v[i][0] = permute<Real>(v[i][0], order), v[i][1] = permute<Real>(v[i][1], order);
        }
        add_overlap<1, s>(sum, v[1][1], u[0][1], u[1][1], v[0][1], v[1][0], u[0][0], u[1][0], v[0][0]);
        for (int i = 0; i < 2; ++i) {
            turn_signed<form, s>(u[i][0], v[i][0], A.a, A.b);
            turn<form>(u[i][1], v[i][1], A.a, A.b);
            if constexpr (permuted) v[i][0] = permute<Real>(v[i][0], order), v[i][1] = permute<Real>(v[i][1], order);
            V *p = at(states[i], k), *q = at(states[i], k ^ x);
            p[0] = u[i][0], p[1] = u[i][1], q[c] = v[i][0], q[1 - c] = v[i][1];
        }
    });
    const V signs = lane_signs<Real>(set.negative_lanes) * Real(0.5 * set.sign);
    for (int l = 0; l < lanes<Real>; ++l) sums[l] += set.active_lanes >> l & 1 ? sum[l] * signs[l] : Real(0);
}

// A rotation whose x has lane bits only: lane l gets a u[l] + b' u[l ^ x], where b' carries the sign of the source lane.
template <bool real, class V>
inline void turn_lanes(V* p, V re1, V im1, V a, V b) {
    p[0] = a * p[0] + b * (real ? re1 : im1);
    p[1] = real ? a * p[1] + b * im1 : a * p[1] - b * re1;
}
template <class Real, bool real>
void rotate_lanes_as(Real* psi, const PairSet& set, const Turn<Real>& turn_values) {
    using V = Vector<Real>;
    const auto A = lane_coefficients(set, turn_values);
    const auto order = permutation<Real>(set.lane_x);
    for_rows(set.rows, [&, A, order](u64 k) {
        V* p = at(psi, k);
        turn_lanes<real>(p, permute<Real>(p[0], order), permute<Real>(p[1], order), A.a, A.b);
    });
}
template <class Real, bool real>
void unrotate_lanes_as(Real* psi, Real* lambda, const PairSet& set, const Turn<Real>& turn_values, Real* sums) {
    using V = Vector<Real>;
    const auto A = lane_coefficients(set, turn_values);
    const auto order = permutation<Real>(set.lane_x);
    V sum = {};
    for_rows(set.rows, [&, A, order](u64 k) {
        V *p = at(psi, k), *l = at(lambda, k);
        const V re1 = permute<Real>(p[0], order), im1 = permute<Real>(p[1], order);
        V t = l[0] * (real ? re1 : im1);
        t = real ? t + l[1] * im1 : t - l[1] * re1;
        sum += t;
        turn_lanes<real>(p, re1, im1, A.a, A.b);
        turn_lanes<real>(l, permute<Real>(l[0], order), permute<Real>(l[1], order), A.a, A.b);
    });
    const V signs = lane_signs<Real>(set.negative_lanes) * Real(0.5 * set.sign);
    for (int l = 0; l < lanes<Real>; ++l) sums[l] += set.active_lanes >> l & 1 ? sum[l] * signs[l] : Real(0);
}
template <class Real>
void rotate_lanes(Real* psi, const PairSet& set, const Turn<Real>& turn_values) {
    if (set.coupling == Coupling::real)
        rotate_lanes_as<Real, true>(psi, set, turn_values);
    else
        rotate_lanes_as<Real, false>(psi, set, turn_values);
}
template <class Real>
void unrotate_lanes(Real* psi, Real* lambda, const PairSet& set, const Turn<Real>& turn_values, Real* sums) {
    if (set.coupling == Coupling::real)
        unrotate_lanes_as<Real, true>(psi, lambda, set, turn_values, sums);
    else
        unrotate_lanes_as<Real, false>(psi, lambda, set, turn_values, sums);
}

}  // namespace
}  // namespace ketgrad
