// Steps on dual states: psi and its tangent dpsi forward, with lambda and dlambda backward.
//
// U = a + b J with J = -i P is a turn of pairs of reals. With h half the rate of the angle, d(U psi) = U (dpsi + h J psi): a shear,
// then the turn of both states. Backward the same with -h and the inverse turn. Derivatives are Re <lambda|J psi> / 2 and their
// tangents (Re <dlambda|J psi> + Re <lambda|J dpsi>) / 2. All turns are in the full form;
// arithmetic bounds these loops. Flattened: a call inside a loop costs more than the rest of it.
#pragma once
#include "duals/kernels.hpp"
#include "lanes/kernels/rotations.hpp"
#include "lanes/kernels/rows.hpp"
#include "simd/shuffles.hpp"

namespace ketgrad {
namespace {

template <class Real>
struct Shear {
    Vector<Real> a, b, h;
};

/// The coefficients of a turn and the half rate, signed; identity in the lanes that are not active.
template <class Real>
inline Shear<Real> shear_of(const DualTurn<Real>& turn_values, int sign, std::uint32_t negative, std::uint32_t active) {
    const Vector<Real> signs = lane_signs<Real>(negative) * Real(sign);
    Shear<Real> s{load(turn_values.a), load(turn_values.b) * signs, load(turn_values.h) * signs};
    for (int l = 0; l < lanes<Real>; ++l)
        if (!(active >> l & 1)) s.a[l] = 1, s.b[l] = 0, s.h[l] = 0;
    return s;
}

template <int sign, class Real, class V = Vector<Real>>
inline void turn_dual(V& u, V& v, V& du, V& dv, const Shear<Real>& s) {
    if constexpr (sign > 0) {
        du -= s.h * v;
        dv += s.h * u;
    } else {
        du += s.h * v;
        dv -= s.h * u;
    }
    turn_signed<Form::full, sign>(u, v, s.a, s.b);
    turn_signed<Form::full, sign>(du, dv, s.a, s.b);
}

template <Coupling ca, Coupling cb, int half, class Real, class V = Vector<Real>>
inline void turn_quartet_dual(V* u, V* d, const Shear<Real>& A, const Shear<Real>& B) {
    constexpr int s0 = sign_of(ca, part_of<ca, cb>(half, 0)), s2 = sign_of(ca, part_of<ca, cb>(half, 2));
    constexpr int t0 = sign_of(cb, part_of<ca, cb>(half, 0)), t1 = sign_of(cb, part_of<ca, cb>(half, 1));
    turn_dual<s0, Real>(u[0], u[1], d[0], d[1], A);
    turn_dual<s2, Real>(u[2], u[3], d[2], d[3], A);
    turn_dual<t0, Real>(u[0], u[2], d[0], d[2], B);
    turn_dual<t1, Real>(u[1], u[3], d[1], d[3], B);
}

template <class Real, Coupling ca, Coupling cb, bool permuted, int half>
inline void move_quartet_dual(Real* psi, Real* dpsi, const u64* k, const Order<Real>* order, const Shear<Real>& A,
                              const Shear<Real>& B) {
    Vector<Real> u[4], d[4];
    load_quartet<Real, permuted, half, ca, cb>(u, psi, k, order);
    load_quartet<Real, permuted, half, ca, cb>(d, dpsi, k, order);
    turn_quartet_dual<ca, cb, half, Real>(u, d, A, B);
    store_quartet<Real, permuted, half, ca, cb>(u, psi, k, order);
    store_quartet<Real, permuted, half, ca, cb>(d, dpsi, k, order);
}

/// The sums of one half: derivatives in sums[0], sums[1], their tangents in sums[2], sums[3].
template <class Real, Coupling ca, Coupling cb, bool permuted, int half>
inline void unmove_quartet_dual(Real* const* states, const u64* k, const Order<Real>* order, const Shear<Real>& A,
                                const Shear<Real>& B, Vector<Real>* sums) {
    Vector<Real> u[4][4];
    for (int i = 0; i < 4; ++i) load_quartet<Real, permuted, half, ca, cb>(u[i], states[i], k, order);
    add_overlaps<ca, cb, half>(u[0], u[2], sums[0], sums[1]);
    add_overlaps<ca, cb, half>(u[0], u[3], sums[2], sums[3]);
    add_overlaps<ca, cb, half>(u[1], u[2], sums[2], sums[3]);
    turn_quartet_dual<ca, cb, half, Real>(u[0], u[1], A, B);
    turn_quartet_dual<ca, cb, half, Real>(u[2], u[3], A, B);
    for (int i = 0; i < 4; ++i) store_quartet<Real, permuted, half, ca, cb>(u[i], states[i], k, order);
}

template <class Real, Coupling ca, Coupling cb, bool permuted>
[[gnu::flatten]] void rotate_quartets_dual_as(Real* psi, Real* dpsi, const QuartetSet& set, const DualTurn<Real>* turns) {
    const auto A = shear_of(turns[0], set.sign[0], set.negative_lanes[0], ~0u);
    const auto B = shear_of(turns[1], set.sign[1], set.negative_lanes[1], ~0u);
    Order<Real> order[4] = {};
    if constexpr (permuted) quartet_orders<Real>(set, order);
    const u64 xa = set.x[0], xb = set.x[1], xc = xa ^ xb;
    for_rows(set.rows, [&, A, B, xa, xb, xc](u64 row) {
        const u64 k[4] = {row, row ^ xa, row ^ xb, row ^ xc};
        move_quartet_dual<Real, ca, cb, permuted, 0>(psi, dpsi, k, order, A, B);
        move_quartet_dual<Real, ca, cb, permuted, 1>(psi, dpsi, k, order, A, B);
    });
}

template <class Real, Coupling ca, Coupling cb, bool permuted>
[[gnu::flatten]] void unrotate_quartets_dual_as(Real* const* states, const QuartetSet& set, const DualTurn<Real>* turns,
                                                 Real* sums) {
    using V = Vector<Real>;
    const auto A = shear_of(turns[0], set.sign[0], set.negative_lanes[0], ~0u);
    const auto B = shear_of(turns[1], set.sign[1], set.negative_lanes[1], ~0u);
    Order<Real> order[4] = {};
    if constexpr (permuted) quartet_orders<Real>(set, order);
    const u64 xa = set.x[0], xb = set.x[1], xc = xa ^ xb;
    V total[4] = {};
    for_rows(set.rows, [&, A, B, xa, xb, xc](u64 row) {
        const u64 k[4] = {row, row ^ xa, row ^ xb, row ^ xc};
        unmove_quartet_dual<Real, ca, cb, permuted, 0>(states, k, order, A, B, total);
        unmove_quartet_dual<Real, ca, cb, permuted, 1>(states, k, order, A, B, total);
    });
    for (int i = 0; i < 4; ++i)
        add_to(sums + i * lanes<Real>, total[i] * lane_signs<Real>(set.negative_lanes[i & 1]) * Real(0.5 * set.sign[i & 1]));
}

template <class Run>
inline void for_couplings(Coupling a, Coupling b, bool permuted, Run run) {
    constexpr auto R = Coupling::real, I = Coupling::imaginary;
    const auto with_order = [&]<Coupling ca, Coupling cb>() {
        if (permuted)
            run.template operator()<ca, cb, true>();
        else
            run.template operator()<ca, cb, false>();
    };
    if (a == R && b == R)
        with_order.template operator()<R, R>();
    else if (a == R)
        with_order.template operator()<R, I>();
    else if (b == R)
        with_order.template operator()<I, R>();
    else
        with_order.template operator()<I, I>();
}

template <class Real>
void rotate_quartets_dual(Real* psi, Real* dpsi, const QuartetSet& set, const DualTurn<Real>* turns) {
    for_couplings(set.coupling[0], set.coupling[1], set.lane_x[0] || set.lane_x[1],
                  [&]<Coupling ca, Coupling cb, bool permuted>() {
                      rotate_quartets_dual_as<Real, ca, cb, permuted>(psi, dpsi, set, turns);
                  });
}
template <class Real>
void unrotate_quartets_dual(Real* const* states, const QuartetSet& set, const DualTurn<Real>* turns, Real* sums) {
    for_couplings(set.coupling[0], set.coupling[1], set.lane_x[0] || set.lane_x[1],
                  [&]<Coupling ca, Coupling cb, bool permuted>() {
                      unrotate_quartets_dual_as<Real, ca, cb, permuted>(states, set, turns, sums);
                  });
}

// One rotation on pairs: the rows of a pair as two halves of two reals each.
template <class Real, Coupling coupling, bool permuted>
inline void load_pair(Vector<Real>* u, Real* state, u64 k, u64 other, const Order<Real>& order) {
    constexpr int c = int(coupling);
    const auto *p = at(state, k), *q = at(state, other);
    u[0] = p[0], u[1] = p[1], u[2] = q[c], u[3] = q[1 - c];
    if constexpr (permuted) u[2] = permute<Real>(u[2], order), u[3] = permute<Real>(u[3], order);
}
template <class Real, Coupling coupling, bool permuted>
inline void store_pair(const Vector<Real>* u, Real* state, u64 k, u64 other, const Order<Real>& order) {
    constexpr int c = int(coupling);
    auto *p = at(state, k), *q = at(state, other);
    p[0] = u[0], p[1] = u[1];
    q[c] = permuted ? permute<Real>(u[2], order) : u[2];
    q[1 - c] = permuted ? permute<Real>(u[3], order) : u[3];
}
template <class Real, Coupling coupling>
inline void turn_pair_dual(Vector<Real>* u, Vector<Real>* d, const Shear<Real>& A) {
    turn_dual<sign_of(coupling, 0), Real>(u[0], u[2], d[0], d[2], A);
    turn_dual<1, Real>(u[1], u[3], d[1], d[3], A);
}
template <Coupling coupling, class V>
inline void add_pair_overlap(V& sum, const V* u, const V* l) {
    add_overlap<1, sign_of(coupling, 0)>(sum, l[3], u[1], l[1], u[3], l[2], u[0], l[0], u[2]);
}

template <class Real>
inline void add_signed_sums(const PairSet& set, const Vector<Real>* total, Real* sums) {
    const auto signs = lane_signs<Real>(set.negative_lanes) * Real(0.5 * set.sign);
    for (int i = 0; i < 2; ++i)
        for (int l = 0; l < lanes<Real>; ++l)
            sums[i * 2 * lanes<Real> + l] += set.active_lanes >> l & 1 ? total[i][l] * signs[l] : Real(0);
}

template <class Real, Coupling coupling, bool permuted>
[[gnu::flatten]] void rotate_pairs_dual_as(Real* psi, Real* dpsi, const PairSet& set, const DualTurn<Real>& turn_values) {
    const auto A = shear_of(turn_values, set.sign, set.negative_lanes, set.active_lanes);
    const auto order = permutation<Real>(set.lane_x);
    for_rows(set.rows, [&, A, x = set.x](u64 k) {
        Vector<Real> u[4], d[4];
        load_pair<Real, coupling, permuted>(u, psi, k, k ^ x, order);
        load_pair<Real, coupling, permuted>(d, dpsi, k, k ^ x, order);
        turn_pair_dual<Real, coupling>(u, d, A);
        store_pair<Real, coupling, permuted>(u, psi, k, k ^ x, order);
        store_pair<Real, coupling, permuted>(d, dpsi, k, k ^ x, order);
    });
}
template <class Real, Coupling coupling, bool permuted>
[[gnu::flatten]] void unrotate_pairs_dual_as(Real* const* states, const PairSet& set, const DualTurn<Real>& turn_values,
                                              Real* sums) {
    const auto A = shear_of(turn_values, set.sign, set.negative_lanes, set.active_lanes);
    const auto order = permutation<Real>(set.lane_x);
    Vector<Real> total[2] = {};
    for_rows(set.rows, [&, A, x = set.x](u64 k) {
        Vector<Real> u[4][4];
        for (int i = 0; i < 4; ++i) load_pair<Real, coupling, permuted>(u[i], states[i], k, k ^ x, order);
        add_pair_overlap<coupling>(total[0], u[0], u[2]);
        add_pair_overlap<coupling>(total[1], u[0], u[3]);
        add_pair_overlap<coupling>(total[1], u[1], u[2]);
        turn_pair_dual<Real, coupling>(u[0], u[1], A);
        turn_pair_dual<Real, coupling>(u[2], u[3], A);
        for (int i = 0; i < 4; ++i) store_pair<Real, coupling, permuted>(u[i], states[i], k, k ^ x, order);
    });
    add_signed_sums(set, total, sums);
}

// x in the lanes only: J takes lane l ^ x of the same row.
template <class Real, bool real, class V = Vector<Real>>
inline void apply_lanes(V* result, const V* p, const Order<Real>& order) {
    const V re = permute<Real>(p[0], order), im = permute<Real>(p[1], order);
    result[0] = real ? re : im;
    result[1] = real ? im : -re;
}
template <class Real, bool real, class V = Vector<Real>>
inline void turn_lanes_dual(V* u, V* d, const V* moved, const Shear<Real>& A, const Order<Real>& order) {
    V twice[2];
    for (int i = 0; i < 2; ++i) d[i] += A.h * moved[i];
    apply_lanes<Real, real>(twice, d, order);
    for (int i = 0; i < 2; ++i) {
        d[i] = A.a * d[i] + A.b * twice[i];
        u[i] = A.a * u[i] + A.b * moved[i];
    }
}
template <class Real, bool real>
[[gnu::flatten]] void rotate_lanes_dual_as(Real* psi, Real* dpsi, const PairSet& set, const DualTurn<Real>& turn_values) {
    const auto A = shear_of(turn_values, set.sign, set.negative_lanes, set.active_lanes);
    const auto order = permutation<Real>(set.lane_x);
    for_rows(set.rows, [&, A](u64 k) {
        Vector<Real> moved[2];
        apply_lanes<Real, real>(moved, at(psi, k), order);
        turn_lanes_dual<Real, real>(at(psi, k), at(dpsi, k), moved, A, order);
    });
}
template <class Real, bool real>
[[gnu::flatten]] void unrotate_lanes_dual_as(Real* const* states, const PairSet& set, const DualTurn<Real>& turn_values,
                                              Real* sums) {
    using V = Vector<Real>;
    const auto A = shear_of(turn_values, set.sign, set.negative_lanes, set.active_lanes);
    const auto order = permutation<Real>(set.lane_x);
    V total[2] = {};
    for_rows(set.rows, [&, A](u64 k) {
        V moved[3][2];
        for (int i = 0; i < 3; ++i) apply_lanes<Real, real>(moved[i], at(states[i], k), order);
        const V *l = at(states[2], k), *dl = at(states[3], k);
        total[0] += l[0] * moved[0][0] + l[1] * moved[0][1];
        total[1] += dl[0] * moved[0][0] + dl[1] * moved[0][1] + l[0] * moved[1][0] + l[1] * moved[1][1];
        turn_lanes_dual<Real, real>(at(states[0], k), at(states[1], k), moved[0], A, order);
        turn_lanes_dual<Real, real>(at(states[2], k), at(states[3], k), moved[2], A, order);
    });
    add_signed_sums(set, total, sums);
}

template <class Real>
void rotate_pairs_dual(Real* psi, Real* dpsi, const PairSet& set, const DualTurn<Real>& turn_values) {
    if (!set.x && set.coupling == Coupling::real) return rotate_lanes_dual_as<Real, true>(psi, dpsi, set, turn_values);
    if (!set.x) return rotate_lanes_dual_as<Real, false>(psi, dpsi, set, turn_values);
    for_couplings(set.coupling, Coupling::real, set.lane_x, [&]<Coupling coupling, Coupling, bool permuted>() {
        rotate_pairs_dual_as<Real, coupling, permuted>(psi, dpsi, set, turn_values);
    });
}
template <class Real>
void unrotate_pairs_dual(Real* const* states, const PairSet& set, const DualTurn<Real>& turn_values, Real* sums) {
    if (!set.x && set.coupling == Coupling::real) return unrotate_lanes_dual_as<Real, true>(states, set, turn_values, sums);
    if (!set.x) return unrotate_lanes_dual_as<Real, false>(states, set, turn_values, sums);
    for_couplings(set.coupling, Coupling::real, set.lane_x, [&]<Coupling coupling, Coupling, bool permuted>() {
        unrotate_pairs_dual_as<Real, coupling, permuted>(states, set, turn_values, sums);
    });
}

// Diagonal: J = -i (+-1).
template <class Real, class V = Vector<Real>>
inline void turn_phase_dual(V* p, V* d, const Shear<Real>& A) {
    d[0] += A.h * p[1];
    d[1] -= A.h * p[0];
    multiply(p, A.a, -A.b);
    multiply(d, A.a, -A.b);
}
template <class Real>
void phase_dual(Real* psi, Real* dpsi, const SignedRows& set, const DualTurn<Real>& turn_values) {
    const auto A = shear_of(turn_values, set.sign, set.negative_lanes, set.active_lanes);
    for_rows(set.rows, [=](u64 k) { turn_phase_dual<Real>(at(psi, k), at(dpsi, k), A); });
}
/// Im(conj(l) p).
template <class V>
inline V cross(const V* l, const V* p) {
    return l[0] * p[1] - l[1] * p[0];
}
template <class Real>
void unphase_dual(Real* const* states, const SignedRows& set, const DualTurn<Real>& turn_values, Real* sums) {
    using V = Vector<Real>;
    const auto A = shear_of(turn_values, set.sign, set.negative_lanes, set.active_lanes);
    V total[2] = {};
    for_rows(set.rows, [&, A](u64 k) {
        V *p = at(states[0], k), *dp = at(states[1], k), *l = at(states[2], k), *dl = at(states[3], k);
        total[0] += cross(l, p);
        total[1] += cross(dl, p) + cross(l, dp);
        turn_phase_dual<Real>(p, dp, A);
        turn_phase_dual<Real>(l, dl, A);
    });
    const PairSet signs{set.rows, 0, 0, Coupling::real, set.sign, set.negative_lanes, set.active_lanes};
    add_signed_sums(signs, total, sums);
}

}  // namespace
}  // namespace ketgrad
