// Product states: outer products of rows and their transposes.
#pragma once
#include "lanes/kernels/rows.hpp"
#include "simd/vectors.hpp"

namespace ketgrad {
namespace {

// psi[h * low_count + l] = high[h] low[l].
template <class Real>
void outer(Real* psi, const Real* low, u64 low_count, const Real* high, u64 high_count) {
    using V = Vector<Real>;
    for (u64 h = 0; h < high_count; ++h) {
        const V re = at(high, h)[0], im = at(high, h)[1];
        for (u64 l = 0; l < low_count; ++l) {
            const V ar = at(low, l)[0], ai = at(low, l)[1];
            V* p = at(psi, h * low_count + l);
            p[0] = re * ar - im * ai;
            p[1] = re * ai + im * ar;
        }
    }
}
// dlow[l] = sum_h conj(high[h]) lambda[h, l] and dhigh[h] = sum_l conj(low[l]) lambda[h, l].
template <class Real>
void unouter(const Real* lambda, const Real* low, u64 low_count, const Real* high, u64 high_count, Real* dlow, Real* dhigh) {
    using V = Vector<Real>;
    for (u64 l = 0; l < low_count; ++l) at(dlow, l)[0] = V{}, at(dlow, l)[1] = V{};
    for (u64 h = 0; h < high_count; ++h) {
        const V re = at(high, h)[0], im = at(high, h)[1];
        V sum_re = {}, sum_im = {};
        for (u64 l = 0; l < low_count; ++l) {
            const V *p = at(lambda, h * low_count + l), *a = at(low, l);
            V* d = at(dlow, l);
            d[0] += re * p[0] + im * p[1];
            d[1] += re * p[1] - im * p[0];
            sum_re += a[0] * p[0] + a[1] * p[1];
            sum_im += a[0] * p[1] - a[1] * p[0];
        }
        at(dhigh, h)[0] = sum_re;
        at(dhigh, h)[1] = sum_im;
    }
}

template <class V>
inline void set_product(V* result, const V* a, const V* b) {
    const V re = a[0] * b[0] - a[1] * b[1], im = a[0] * b[1] + a[1] * b[0];
    result[0] = re;
    result[1] = im;
}
/// sum += conj(a) b.
template <class V>
inline void add_conjugate_product(V* sum, const V* a, const V* b) {
    sum[0] += a[0] * b[0] + a[1] * b[1];
    sum[1] += a[0] * b[1] - a[1] * b[0];
}

// The product state of `bits` factors (two rows each), all its stages one behind the other: stage i has 2^i rows, and
// stage[i + 1][k + j 2^i] = stage[i][k] factor[i][j]. Stage 0 is given.
template <class Real>
void grow(Real* stages, const Real* factors, int bits) {
    for (int i = 0; i < bits; ++i) {
        const u64 count = u64(1) << i;
        const auto *before = at(stages, count - 1), *factor = at(factors, 2 * i);
        auto* after = at(stages, 2 * count - 1);
        for (u64 k = 0; k < count; ++k) {
            set_product(after + 2 * k, before + 2 * k, factor);
            set_product(after + 2 * (k + count), before + 2 * k, factor + 2);
        }
    }
}

// The transpose: from the gradient of the last stage (2^bits rows, overwritten) to the gradients of the factors and, in row 0,
// of stage 0.
template <class Real>
void shrink(const Real* stages, const Real* factors, int bits, Real* gradient, Real* factor_gradients) {
    using V = Vector<Real>;
    for (int i = bits; i-- > 0;) {
        const u64 count = u64(1) << i;
        const V *before = at(stages, count - 1), *factor = at(factors, 2 * i);
        V sums[4] = {};
        for (u64 k = 0; k < count; ++k) {
            V *g0 = at(gradient, k), *g1 = at(gradient, k + count), back[2] = {};
            add_conjugate_product(sums, before + 2 * k, g0);
            add_conjugate_product(sums + 2, before + 2 * k, g1);
            add_conjugate_product(back, factor, g0);
            add_conjugate_product(back, factor + 2, g1);
            g0[0] = back[0], g0[1] = back[1];
        }
        V* out = at(factor_gradients, 2 * i);
        for (int j = 0; j < 4; ++j) out[j] = sums[j];
    }
}

// One rotation of a factor v = (row 0, row 1): axis 0 is X, 1 is Y, 2 is Z.
template <class Real>
void rotate_factor(Real* factor, int axis, const Real* cosine, const Real* sine) {
    using V = Vector<Real>;
    V *v = at(factor, 0), *w = at(factor, 1);
    const V c = load(cosine), s = load(sine), a = v[0], b = v[1], d = w[0], e = w[1];
    if (axis == 0) {
        v[0] = c * a + s * e, v[1] = c * b - s * d;
        w[0] = c * d + s * b, w[1] = c * e - s * a;
    } else if (axis == 1) {
        v[0] = c * a - s * d, v[1] = c * b - s * e;
        w[0] = c * d + s * a, w[1] = c * e + s * b;
    } else {
        v[0] = c * a + s * b, v[1] = c * b - s * a;
        w[0] = c * d - s * e, w[1] = c * e + s * d;
    }
}

// A factor from |0> by the unitary [[a, -conj(b)], [b, conj(a)]], given as {Re a, Im a, Re b, Im b}.
template <class Real>
void set_factor(Real* factor, const Real* matrix) {
    for (int i = 0; i < 4; ++i) at(factor, 0)[i] = broadcast(matrix[i]);
}
// The same unitary on any factor.
template <class Real>
void turn_factor(Real* factor, const Real* matrix) {
    using V = Vector<Real>;
    V *v = at(factor, 0), *w = at(factor, 1);
    const V ar = broadcast(matrix[0]), ai = broadcast(matrix[1]), br = broadcast(matrix[2]), bi = broadcast(matrix[3]);
    const V a = v[0], b = v[1], d = w[0], e = w[1];
    v[0] = ar * a - ai * b - br * d - bi * e, v[1] = ar * b + ai * a - br * e + bi * d;
    w[0] = br * a - bi * b + ar * d + ai * e, w[1] = br * b + bi * a + ar * e - ai * d;
}

// bloch[k] = 1/2 Im <e|sigma_k|v>: the derivative by a rotation about axis k behind the factor v whose gradient is e.
template <class Real>
void factor_overlaps(const Real* factor, const Real* gradient, Real* bloch) {
    using V = Vector<Real>;
    const V *v = at(factor, 0), *w = at(factor, 1), *e = at(gradient, 0), *f = at(gradient, 1);
    V* out = reinterpret_cast<V*>(bloch);
    out[0] = Real(0.5) * (e[0] * w[1] - e[1] * w[0] + f[0] * v[1] - f[1] * v[0]);
    out[1] = Real(0.5) * (f[0] * v[0] + f[1] * v[1] - e[0] * w[0] - e[1] * w[1]);
    out[2] = Real(0.5) * (e[0] * v[1] - e[1] * v[0] - f[0] * w[1] + f[1] * w[0]);
}

// The same derivatives before a rotation about `axis`: the other two turn back by the full angle.
template <class Real>
void unrotate_overlaps(Real* bloch, int axis, const Real* cosine, const Real* sine) {
    using V = Vector<Real>;
    V* out = reinterpret_cast<V*>(bloch);
    const V c = load(cosine), s = load(sine), full_c = c * c - s * s, full_s = Real(2) * c * s;
    V &p = out[(axis + 1) % 3], &q = out[(axis + 2) % 3];
    const V p0 = p;
    p = full_c * p0 + full_s * q;
    q = full_c * q - full_s * p0;
}

// The same before any unitary of the qubit: a rotation of the sphere, row by row.
template <class Real>
void turn_overlaps(Real* bloch, const Real* matrix) {
    using V = Vector<Real>;
    V* out = reinterpret_cast<V*>(bloch);
    const V a = out[0], b = out[1], c = out[2];
    for (int i = 0; i < 3; ++i)
        out[i] = broadcast(matrix[3 * i]) * a + broadcast(matrix[3 * i + 1]) * b + broadcast(matrix[3 * i + 2]) * c;
}

// Product with a factor on qubits that are still in |0>: psi[k ^ offsets[j]] = amplitudes[j] psi[k].
template <class Real>
void expand(Real* psi, const RowSet& rows, const u64* offsets, int size, const Real* amplitudes) {
    using V = Vector<Real>;
    for_rows(rows, [=](u64 k) {
        const V ar = at(psi, k)[0], ai = at(psi, k)[1];
        for (int j = 0; j < size; ++j) {
            const V re = at(amplitudes, j)[0], im = at(amplitudes, j)[1];
            at(psi, k ^ offsets[j])[0] = ar * re - ai * im;
            at(psi, k ^ offsets[j])[1] = ar * im + ai * re;
        }
    });
}
// Transpose of expand: gradient[j] += sum_k conj(psi[k]) lambda[k ^ offsets[j]], lambda[k] = sum_j conj(amplitudes[j]) ...
template <class Real>
void contract(Real* lambda, const Real* psi, const RowSet& rows, const u64* offsets, int size, const Real* amplitudes,
              Real* gradient) {
    using V = Vector<Real>;
    for_rows(rows, [=](u64 k) {
        const V ar = at(psi, k)[0], ai = at(psi, k)[1];
        V sum_re = {}, sum_im = {};
        for (int j = 0; j < size; ++j) {
            const V lr = at(lambda, k ^ offsets[j])[0], li = at(lambda, k ^ offsets[j])[1];
            const V re = at(amplitudes, j)[0], im = at(amplitudes, j)[1];
            at(gradient, j)[0] += ar * lr + ai * li;
            at(gradient, j)[1] += ar * li - ai * lr;
            sum_re += re * lr + im * li;
            sum_im += re * li - im * lr;
        }
        at(lambda, k)[0] = sum_re;
        at(lambda, k)[1] = sum_im;
    });
}

}  // namespace
}  // namespace ketgrad
