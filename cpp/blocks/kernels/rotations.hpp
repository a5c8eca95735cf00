// Turns by a Pauli word, one or two in a pass over a block, and the word itself.
#pragma once
#include "blocks/kernels.hpp"
#include "simd/shuffles.hpp"

namespace ketgrad {
namespace {

inline int parity(u64 mask) { return __builtin_parityll(mask); }

/// Row b of the subset that has a zero at the bit `pivot`.
inline u64 insert_zero(u64 b, u64 pivot) { return ((b & ~(pivot - 1)) << 1) | (b & (pivot - 1)); }
inline u64 highest(u64 mask) { return u64(1) << (63 - __builtin_clzll(mask)); }

// a += t J b, b += t J a for J = -i P. Imaginary: J b = -i b. Real: J b = -b, J a = +a.
template <bool real, class V>
inline void add_turned(V& ar, V& ai, V& br, V& bi, V ta, V tb, V b_r, V b_i, V a_r, V a_i) {
    if constexpr (real) {
        ar -= ta * b_r;
        ai -= ta * b_i;
        br += tb * a_r;
        bi += tb * a_i;
    } else {
        ar += ta * b_i;
        ai -= ta * b_r;
        br += tb * a_i;
        bi -= tb * a_r;
    }
}

// Re(conj(la) J b) + Re(conj(lb) J a), each with its sign vector.
template <bool real, class V>
inline V overlap(V lar, V lai, V lbr, V lbi, V ua, V ub, V b_r, V b_i, V a_r, V a_i) {
    if constexpr (real)
        return ub * (lbr * a_r + lbi * a_i) - ua * (lar * b_r + lai * b_i);
    else
        return ua * (lar * b_i - lai * b_r) + ub * (lbr * a_i - lbi * a_r);
}

template <bool real, int flip, class Real>
inline void turn_pair(Vector<Real>* a, Vector<Real>* b, Vector<Real> ta, Vector<Real> tb) {
    using V = Vector<Real>;
    V ar = a[0], ai = a[1], br = b[0], bi = b[1];
    add_turned<real, V>(ar, ai, br, bi, ta, tb, flipped<flip, Real>(b[0]), flipped<flip, Real>(b[1]),
                        flipped<flip, Real>(a[0]), flipped<flip, Real>(a[1]));
    a[0] = ar, a[1] = ai, b[0] = br, b[1] = bi;
}

/// Calls visit(row, partner row, parity) for every pair; a word inside the lanes has each row as its own partner.
template <class Visit>
inline void for_pairs(u64 rows, u64 x, u64 z, Visit visit) {
    const u64 pivot = highest(x);
    for (u64 b = 0; b < rows / 2; ++b) {
        const u64 r = insert_zero(b, pivot);
        visit(r, r ^ x, parity(r & z));
    }
}

template <bool real, int flip, class Real>
void turn_as(Real* psi, u64 rows, const WordTurn<Real>& t) {
    using V = Vector<Real>;
    const V even = load(t.tangent[0]), odd = load(t.tangent[1]);
    const V even_partner = load(t.partner[0]), odd_partner = load(t.partner[1]);
    if (t.x) {
        for_pairs(rows, t.x, t.z, [=](u64 r, u64 s, int p) {
            turn_pair<real, flip, Real>(at(psi, r), at(psi, s), p ? odd : even, p ? odd_partner : even_partner);
        });
        return;
    }
    for (u64 r = 0; r < rows; ++r) {
        V* a = at(psi, r);
        const V tangent = parity(r & t.z) ? odd_partner : even_partner;
        const V re = flipped<flip, Real>(a[0]), im = flipped<flip, Real>(a[1]);
        a[0] += real ? tangent * re : tangent * im;
        a[1] += real ? tangent * im : -tangent * re;
    }
}

template <bool real, int flip, class Real>
void turn_back_as(Real* psi, Real* lambda, u64 rows, const WordTurn<Real>& t, double* gradient) {
    using V = Vector<Real>;
    const V even = load(t.tangent[0]), odd = load(t.tangent[1]);
    const V even_partner = load(t.partner[0]), odd_partner = load(t.partner[1]);
    const V even_unit = load(t.unit[0]), odd_unit = load(t.unit[1]);
    const V even_partner_unit = load(t.partner_unit[0]), odd_partner_unit = load(t.partner_unit[1]);
    V sum = {};
    if (t.x) {
        for_pairs(rows, t.x, t.z, [&](u64 r, u64 s, int p) {
            V *a = at(psi, r), *b = at(psi, s), *la = at(lambda, r), *lb = at(lambda, s);
            sum += overlap<real, V>(la[0], la[1], lb[0], lb[1], p ? odd_unit : even_unit,
                                    p ? odd_partner_unit : even_partner_unit, flipped<flip, Real>(b[0]),
                                    flipped<flip, Real>(b[1]), flipped<flip, Real>(a[0]), flipped<flip, Real>(a[1]));
            const V ta = -(p ? odd : even), tb = -(p ? odd_partner : even_partner);
            turn_pair<real, flip, Real>(a, b, ta, tb);
            turn_pair<real, flip, Real>(la, lb, ta, tb);
        });
    } else {
        for (u64 r = 0; r < rows; ++r) {
            V *a = at(psi, r), *l = at(lambda, r);
            const int p = parity(r & t.z);
            const V tangent = p ? odd_partner : even_partner, unit = p ? odd_partner_unit : even_partner_unit;
            const V re = flipped<flip, Real>(a[0]), im = flipped<flip, Real>(a[1]);
            const V lre = flipped<flip, Real>(l[0]), lim = flipped<flip, Real>(l[1]);
            sum += unit * (real ? l[0] * re + l[1] * im : l[0] * im - l[1] * re);
            a[0] -= real ? tangent * re : tangent * im;
            a[1] -= real ? tangent * im : -tangent * re;
            l[0] -= real ? tangent * lre : tangent * lim;
            l[1] -= real ? tangent * lim : -tangent * lre;
        }
    }
    *gradient += sum_lanes<Real>(sum);
}

/// visit<real, flip>() for a word.
template <class Real, class Visit>
inline void dispatch(const WordTurn<Real>& t, Visit visit) {
    with_flip<Real>(t.lane_flip, [&]<int flip>() {
        t.real ? visit.template operator()<true, flip>() : visit.template operator()<false, flip>();
    });
}

template <class Real>
void turn(Real* psi, u64 rows, const WordTurn<Real>& t) {
    dispatch(t, [&]<bool real, int flip>() { turn_as<real, flip, Real>(psi, rows, t); });
}
template <class Real>
void turn_back(Real* psi, Real* lambda, u64 rows, const WordTurn<Real>& t, double* gradient) {
    dispatch(t, [&]<bool real, int flip>() { turn_back_as<real, flip, Real>(psi, lambda, rows, t, gradient); });
}

/// The four rows r ^ span{x1, x2} with zeros at two pivots, and the parities of r under z1 and z2.
template <class Visit>
inline void for_quads(u64 rows, u64 x1, u64 x2, u64 z1, u64 z2, Visit visit) {
    const u64 p1 = highest(x1), reduced = x2 & p1 ? x2 ^ x1 : x2, p2 = highest(reduced);
    const u64 low = p1 < p2 ? p1 : p2, high = p1 < p2 ? p2 : p1;
    for (u64 b = 0; b < rows / 4; ++b) {
        const u64 r = insert_zero(insert_zero(b, low), high);
        visit(r, parity(r & z1), parity(r & z2));
    }
}

// Two turns per pass over memory: word 1 couples (0, 1) and (2, 3), word 2 couples (0, 2) and (1, 3), where rows 0 to 3 are
// r, r^x1, r^x2, r^x1^x2. Seen from the second pair, the sign of word 1 changes by (-1)^parity(z1 & x2).
template <bool real1, bool real2, class Real>
void turn_two_as(Real* psi, u64 rows, const WordTurn<Real>& t1, const WordTurn<Real>& t2) {
    using V = Vector<Real>;
    const V t1p[2] = {load(t1.tangent[0]), load(t1.tangent[1])}, t2p[2] = {load(t2.tangent[0]), load(t2.tangent[1])};
    const int cross1 = parity(t1.z & t2.x), cross2 = parity(t2.z & t1.x);
    const u64 x1 = t1.x, x2 = t2.x;
    for_quads(rows, x1, x2, t1.z, t2.z, [=](u64 r, int p1, int p2) {
        V *q0 = at(psi, r), *q1 = at(psi, r ^ x1), *q2 = at(psi, r ^ x2), *q3 = at(psi, r ^ x1 ^ x2);
        V a[2] = {q0[0], q0[1]}, b[2] = {q1[0], q1[1]}, c[2] = {q2[0], q2[1]}, d[2] = {q3[0], q3[1]};
        const V ta = p1 ? t1p[1] : t1p[0], tc = p1 ^ cross1 ? t1p[1] : t1p[0];
        turn_pair<real1, 0, Real>(a, b, ta, ta);
        turn_pair<real1, 0, Real>(c, d, tc, tc);
        const V ua = p2 ? t2p[1] : t2p[0], ub = p2 ^ cross2 ? t2p[1] : t2p[0];
        turn_pair<real2, 0, Real>(a, c, ua, ua);
        turn_pair<real2, 0, Real>(b, d, ub, ub);
        q0[0] = a[0], q0[1] = a[1], q1[0] = b[0], q1[1] = b[1];
        q2[0] = c[0], q2[1] = c[1], q3[0] = d[0], q3[1] = d[1];
    });
}

template <bool real, class Real>
inline Vector<Real> pair_overlap(const Vector<Real>* a, const Vector<Real>* b, const Vector<Real>* la,
                                 const Vector<Real>* lb) {
    if constexpr (real)
        return lb[0] * a[0] + lb[1] * a[1] - la[0] * b[0] - la[1] * b[1];
    else
        return la[0] * b[1] - la[1] * b[0] + lb[0] * a[1] - lb[1] * a[0];
}

template <bool real1, bool real2, class Real>
void turn_two_back_as(Real* psi, Real* lambda, u64 rows, const WordTurn<Real>& t1, const WordTurn<Real>& t2, double* gradient1,
                      double* gradient2) {
    using V = Vector<Real>;
    const V t1p[2] = {-load(t1.tangent[0]), -load(t1.tangent[1])}, t2p[2] = {-load(t2.tangent[0]), -load(t2.tangent[1])};
    const V u1p[2] = {load(t1.unit[0]), load(t1.unit[1])}, u2p[2] = {load(t2.unit[0]), load(t2.unit[1])};
    const int cross1 = parity(t1.z & t2.x), cross2 = parity(t2.z & t1.x);
    const u64 x1 = t1.x, x2 = t2.x;
    V sum1 = {}, sum2 = {};
    for_quads(rows, x1, x2, t1.z, t2.z, [&](u64 r, int p1, int p2) {
        const u64 at_row[4] = {r, r ^ x1, r ^ x2, r ^ x1 ^ x2};
        V s[4][2], l[4][2];
        for (int j = 0; j < 4; ++j) {
            s[j][0] = at(psi, at_row[j])[0], s[j][1] = at(psi, at_row[j])[1];
            l[j][0] = at(lambda, at_row[j])[0], l[j][1] = at(lambda, at_row[j])[1];
        }
        const int q2 = p2 ^ cross2, q1 = p1 ^ cross1;
        sum2 += u2p[p2] * pair_overlap<real2, Real>(s[0], s[2], l[0], l[2]) +
                u2p[q2] * pair_overlap<real2, Real>(s[1], s[3], l[1], l[3]);
        turn_pair<real2, 0, Real>(s[0], s[2], t2p[p2], t2p[p2]);
        turn_pair<real2, 0, Real>(s[1], s[3], t2p[q2], t2p[q2]);
        turn_pair<real2, 0, Real>(l[0], l[2], t2p[p2], t2p[p2]);
        turn_pair<real2, 0, Real>(l[1], l[3], t2p[q2], t2p[q2]);
        sum1 += u1p[p1] * pair_overlap<real1, Real>(s[0], s[1], l[0], l[1]) +
                u1p[q1] * pair_overlap<real1, Real>(s[2], s[3], l[2], l[3]);
        turn_pair<real1, 0, Real>(s[0], s[1], t1p[p1], t1p[p1]);
        turn_pair<real1, 0, Real>(s[2], s[3], t1p[q1], t1p[q1]);
        turn_pair<real1, 0, Real>(l[0], l[1], t1p[p1], t1p[p1]);
        turn_pair<real1, 0, Real>(l[2], l[3], t1p[q1], t1p[q1]);
        for (int j = 0; j < 4; ++j) {
            at(psi, at_row[j])[0] = s[j][0], at(psi, at_row[j])[1] = s[j][1];
            at(lambda, at_row[j])[0] = l[j][0], at(lambda, at_row[j])[1] = l[j][1];
        }
    });
    *gradient1 += sum_lanes<Real>(sum1);
    *gradient2 += sum_lanes<Real>(sum2);
}

template <class Real>
void turn_two(Real* psi, u64 rows, const WordTurn<Real>& t1, const WordTurn<Real>& t2) {
    if (t1.real)
        t2.real ? turn_two_as<true, true>(psi, rows, t1, t2) : turn_two_as<true, false>(psi, rows, t1, t2);
    else
        t2.real ? turn_two_as<false, true>(psi, rows, t1, t2) : turn_two_as<false, false>(psi, rows, t1, t2);
}
template <class Real>
void turn_two_back(Real* psi, Real* lambda, u64 rows, const WordTurn<Real>& t1, const WordTurn<Real>& t2, double* g1, double* g2) {
    if (t1.real)
        t2.real ? turn_two_back_as<true, true>(psi, lambda, rows, t1, t2, g1, g2)
                : turn_two_back_as<true, false>(psi, lambda, rows, t1, t2, g1, g2);
    else
        t2.real ? turn_two_back_as<false, true>(psi, lambda, rows, t1, t2, g1, g2)
                : turn_two_back_as<false, false>(psi, lambda, rows, t1, t2, g1, g2);
}

// P = i J: (P psi)[r] = i (J psi)[r]. Imaginary J b = -i u b gives P b = u b; real J b = +-u b gives P b = i (+-u) b.
// Every row is the receiving member here: the sign vector of row r as first member, -unit for a real J, which the caller
// has folded into `unit` (a row is first member when its pivot bit is 0, second otherwise; both read the same formula).
template <bool real, int flip, class Real>
void add_word_as(Real* out, const Real* psi, u64 first, u64 last, const WordTurn<Real>& word, Real coefficient) {
    using V = Vector<Real>;
    const V even = load(word.unit[0]) * coefficient, odd = load(word.unit[1]) * coefficient;
    for (u64 r = first; r < last; ++r) {
        const V* b = at(psi, r ^ word.x);
        V* o = at(out, r - first);
        const V c = parity(r & word.z) ? odd : even;
        const V re = flipped<flip, Real>(b[0]), im = flipped<flip, Real>(b[1]);
        if constexpr (real) {
            o[0] -= c * im;
            o[1] += c * re;
        } else {
            o[0] += c * re;
            o[1] += c * im;
        }
    }
}
template <class Real>
void add_word(Real* out, const Real* psi, u64 first, u64 last, const WordTurn<Real>& word, Real coefficient) {
    dispatch(word,
             [&]<bool real, int flip>() { add_word_as<real, flip, Real>(out, psi, first, last, word, coefficient); });
}

}  // namespace
}  // namespace ketgrad
