// Sines and cosines, and the Walsh-Hadamard transform.
#pragma once
#include "simd/shuffles.hpp"

namespace ketgrad {
namespace {

// v[k] <- sum_j (-1)^parity(k & j) v[j] on `count` rows of lanes (a power of two): radix-4 passes, then one of radix 2.
template <class Real>
void walsh_rows(Real* values, u64 count) {
    using V = Vector<Real>;
    V* v = reinterpret_cast<V*>(values);
    u64 h = 1;
    for (; h * 4 <= count; h *= 4)
        for (u64 start = 0; start < count; start += 4 * h)
            for (u64 k = start; k < start + h; ++k) {
                const V a = v[k] + v[k + h], b = v[k] - v[k + h];
                const V c = v[k + 2 * h] + v[k + 3 * h], d = v[k + 2 * h] - v[k + 3 * h];
                v[k] = a + c, v[k + h] = b + d, v[k + 2 * h] = a - c, v[k + 3 * h] = b - d;
            }
    if (h < count)
        for (u64 k = 0; k < h; ++k) {
            const V a = v[k], b = v[k + h];
            v[k] = a + b, v[k + h] = a - b;
        }
}
template <class Real, int block = 1>
inline Vector<Real> walsh_inside(Vector<Real> v) {
    if constexpr (block == lanes<Real>) {
        return v;
    } else {
        Vector<Real> signs = {};
        for (int l = 0; l < lanes<Real>; ++l) signs[l] = l & block ? Real(-1) : Real(1);
        return walsh_inside<Real, 2 * block>(flipped<block, Real>(v) + v * signs);
    }
}
// The same on `count` scalars; short arrays by plain loops.
template <class Real>
void walsh(Real* values, u64 count) {
    constexpr int L = lanes<Real>;
    if (count < u64(L)) {
        for (u64 h = 1; h < count; h *= 2)
            for (u64 k = 0; k < count; ++k)
                if (!(k & h)) {
                    const Real a = values[k], b = values[k + h];
                    values[k] = a + b, values[k + h] = a - b;
                }
        return;
    }
    Vector<Real>* v = reinterpret_cast<Vector<Real>*>(values);
    for (u64 k = 0; k < count / L; ++k) v[k] = walsh_inside<Real>(v[k]);
    walsh_rows(values, count / L);
}

/// sine and cosine on [-pi/4, pi/4]: the polynomials of fdlibm (double) and cephes (float).
template <class V>
inline void short_sine_cosine(V r, V& sine, V& cosine, double) {
    const V z = r * r;
    sine = r + r * z * (-1.66666666666666324348e-01 + z * (8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04 +
           z * (2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)))));
    cosine = 1.0 - 0.5 * z + z * z * (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03 +
             z * (2.48015872894767294178e-05 + z * (-2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 +
             z * -1.13596475577881948265e-11)))));
}
template <class V>
inline void short_sine_cosine(V r, V& sine, V& cosine, float) {
    const V z = r * r;
    sine = r + r * z * (-1.6666654611e-1f + z * (8.3321608736e-3f + z * -1.9515295891e-4f));
    cosine = 1.0f - 0.5f * z + z * z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f));
}
template <class V>
inline V reduce_quarter_turns(V x, V turns, double) {
    return ((x - turns * 1.57079632673412561417e+00) - turns * 6.07710050630396597660e-11) - turns * 2.02226624879595063154e-21;
}
template <class V>
inline V reduce_quarter_turns(V x, V turns, float) {
    return ((x - turns * 1.5703125f) - turns * 4.837512969970703125e-4f) - turns * 7.54978995489188216e-8f;
}
constexpr std::int64_t sign_bit_of(double) { return INT64_MIN; }
constexpr std::int32_t sign_bit_of(float) { return INT32_MIN; }

// x = turns pi/2 + r: quarter turns swap sine and cosine and flip signs. Good to |x| < 10^6 quarter turns (10^3 in float).
template <class Real>
inline void sine_cosine(Vector<Real> x, Vector<Real>& sine, Vector<Real>& cosine) {
    using I = Index<Real>;
    constexpr Real magic = sizeof(Real) == 8 ? Real(6755399441055744.0) : Real(12582912.0);
    const Vector<Real> shifted = x * Real(0.63661977236758134308) + magic;
    const I quarter = (I)shifted;
    const Vector<Real> r = reduce_quarter_turns(x, shifted - magic, Real());
    Vector<Real> s, c;
    short_sine_cosine(r, s, c, Real());
    const I odd = -(quarter & 1), sine_sign = -((quarter >> 1) & 1), cosine_sign = -(((quarter + 1) >> 1) & 1);
    const I sign_bit = I{} + sign_bit_of(Real());
    sine = (Vector<Real>)((I)select<Real>(odd, c, s) ^ (sine_sign & sign_bit));
    cosine = (Vector<Real>)((I)select<Real>(odd, s, c) ^ (cosine_sign & sign_bit));
}

// table block j <- {cos(factor angle), sin(factor angle)} for `count` vectors of angles; the angles may be the second half of
// the table: block j is written after angles 0..j are read.
template <class Real>
void unit_phases(Real* table, const Real* angles, u64 count, Real factor) {
    for (u64 j = 0; j < count; ++j) {
        Vector<Real> s, c;
        sine_cosine<Real>(reinterpret_cast<const Vector<Real>*>(angles)[j] * factor, s, c);
        at(table, j)[0] = c;
        at(table, j)[1] = s;
    }
}

}  // namespace
}  // namespace ketgrad
