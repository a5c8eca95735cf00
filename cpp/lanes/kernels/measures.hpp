// Expectation values of Pauli words, lambda = O psi, probabilities; dense matrices.
#pragma once
#include "lanes/kernels.hpp"
#include "lanes/kernels/rows.hpp"
#include "simd/shuffles.hpp"

namespace ketgrad {
namespace {

// <P> = 2 Re sum over pairs of conj(b) i^c a; for a real coupling i^c a -> i a, for an imaginary one a.
template <class Real, bool permuted>
void expect_pairs_as(const Real* psi, const PairSet& set, Real* sums) {
    using V = Vector<Real>;
    const auto order = permutation<Real>(set.lane_x);
    V total = {};
    const bool real = set.coupling == Coupling::real;
    const int same = real ? 1 : 0;  // which part of b meets the real part of a
    V minus = {};
    for_rows(set.rows, [&, x = set.x](u64 k) {
        const V *a = at(psi, k), *b = at(psi, k ^ x);
        V b0 = b[same], b1 = b[1 - same];
        if constexpr (permuted) b0 = permute<Real>(b0, order), b1 = permute<Real>(b1, order);
        total += b0 * a[0];
        minus += b1 * a[1];
    });
    total = real ? total - minus : total + minus;
    add_to(sums, total * lane_signs<Real>(set.negative_lanes) * Real(2 * set.sign));
}
template <class Real>
void expect_pairs(const Real* psi, const PairSet& set, Real* sums) {
    if (set.lane_x)
        expect_pairs_as<Real, true>(psi, set, sums);
    else
        expect_pairs_as<Real, false>(psi, set, sums);
}

// The same for a word whose x has lane bits only; the signs are those of the source lanes.
template <class Real>
void expect_lanes(const Real* psi, const PairSet& set, Real* sums) {
    using V = Vector<Real>;
    const auto order = permutation<Real>(set.lane_x);
    const bool real = set.coupling == Coupling::real;
    V total = {};
    for_rows(set.rows, [&](u64 k) {
        const V* a = at(psi, k);
        const V re = permute<Real>(a[0], order), im = permute<Real>(a[1], order);
        total += real ? a[1] * re - a[0] * im : a[0] * re + a[1] * im;
    });
    add_to(sums, total * lane_signs<Real>(set.negative_lanes) * Real(set.sign));
}

template <class Real>
void expect_diagonal(const Real* psi, const SignedRows& set, Real* sums) {
    using V = Vector<Real>;
    V total = {};
    for_rows(set.rows, [&](u64 k) {
        const V* a = at(psi, k);
        total += a[0] * a[0] + a[1] * a[1];
    });
    add_to(sums, total * lane_signs<Real>(set.negative_lanes) * Real(set.sign));
}

// lambda[k] = coefficient (+-1) psi[k] and the sum of (+-1) |psi|^2: value and start of the backward pass in one go.
template <class Real>
void set_diagonal(Real* lambda, const Real* psi, const SignedRows& set, const Real* coefficient, Real* sums) {
    using V = Vector<Real>;
    const V signs = lane_signs<Real>(set.negative_lanes) * Real(set.sign), w = load(coefficient) * signs;
    V total = {};
    for_rows(set.rows, [&, w](u64 k) {
        const V* a = at(psi, k);
        V* l = at(lambda, k);
        total += a[0] * a[0] + a[1] * a[1];
        l[0] = w * a[0];
        l[1] = w * a[1];
    });
    add_to(sums, total * signs);
}

// lambda[k] += coefficient i^c (+-1) psi[k ^ x] on the rows k of one sign.
template <class Real, bool permuted>
void apply_word_as(Real* lambda, const Real* psi, const PairSet& set, const Real* coefficient) {
    using V = Vector<Real>;
    const V w = load(coefficient) * lane_signs<Real>(set.negative_lanes) * Real(set.sign);
    const auto order = permutation<Real>(set.lane_x);
    const bool real = set.coupling == Coupling::real;
    const V w0 = real ? -w : w;
    const int part = real ? 1 : 0;
    for_rows(set.rows, [&, x = set.x](u64 k) {
        const V* b = at(psi, k ^ x);
        V b0 = b[part], b1 = b[1 - part];
        if constexpr (permuted) b0 = permute<Real>(b0, order), b1 = permute<Real>(b1, order);
        V* l = at(lambda, k);
        l[0] += w0 * b0;
        l[1] += w * b1;
    });
}
template <class Real>
void apply_word(Real* lambda, const Real* psi, const PairSet& set, const Real* coefficient) {
    if (set.lane_x)
        apply_word_as<Real, true>(lambda, psi, set, coefficient);
    else
        apply_word_as<Real, false>(lambda, psi, set, coefficient);
}

template <class Real>
inline Vector<Real> with_sign(Vector<Real> v, Real zero) {
    return (Vector<Real>)((Index<Real>)v ^ (Index<Real>)broadcast(zero));
}

// lambda[k] += sum over the words of (+-weight) i^c psi[k ^ x], for rows first .. first + count, both multiples of four. Four rows
// of lambda stay in registers while all words pass: one parity for the block, the signs of its rows are flips of that.
template <class Real, bool real>
void apply_words_as(Real* lambda, const Real* psi, u64 first, u64 count, const WordRows<Real>* words, u64 num_words) {
    using V = Vector<Real>;
    constexpr int L = lanes<Real>;
    for (u64 k = first; k < first + count; k += 4) {
        V* l = at(lambda, k);
        V re[4], im[4];
        for (int r = 0; r < 4; ++r) re[r] = l[2 * r], im[r] = l[2 * r + 1];
        for (const WordRows<Real>* word = words; word != words + num_words; ++word) {
            const u64 odd = u64(__builtin_popcountll(k & word->z)) & 1;
            V w[4];
            w[0] = load(word->weights + odd * L);
            w[1] = with_sign(w[0], word->flips[0]);
            w[2] = with_sign(w[0], word->flips[1]);
            w[3] = with_sign(w[1], word->flips[1]);
            for (int r = 0; r < 4; ++r) {
                const V* b = at(psi, (k + r) ^ word->x);
                if constexpr (real) {
                    re[r] -= w[r] * b[1];
                    im[r] += w[r] * b[0];
                } else {
                    re[r] += w[r] * b[0];
                    im[r] += w[r] * b[1];
                }
            }
        }
        for (int r = 0; r < 4; ++r) l[2 * r] = re[r], l[2 * r + 1] = im[r];
    }
}
template <class Real>
void apply_words(Real* lambda, const Real* psi, u64 first, u64 count, const WordRows<Real>* words, u64 num_words, Coupling coupling) {
    if (coupling == Coupling::real)
        apply_words_as<Real, true>(lambda, psi, first, count, words, num_words);
    else
        apply_words_as<Real, false>(lambda, psi, first, count, words, num_words);
}

template <class Real>
void permute_lanes(Real* result, const Real* psi, u64 num_rows, int lane_x) {
    const auto order = permutation<Real>(lane_x);
    for (u64 k = 0; k < num_rows; ++k)
        for (int part = 0; part < 2; ++part) at(result, k)[part] = permute<Real>(at(psi, k)[part], order);
}

// lambda[k] += coefficient table[k] psi[k], a real table; sums += table |psi|^2. Rows: lane by lane, otherwise scalars.
template <class Real, bool rows>
void apply_table(Real* lambda, const Real* psi, const Real* table, u64 count, const Real* coefficient, Real* sums) {
    using V = Vector<Real>;
    const V w = load(coefficient);
    V total = {};
    for (u64 k = 0; k < count; ++k) {
        V d;
        if constexpr (rows)
            d = reinterpret_cast<const V*>(table)[k];
        else
            d = broadcast(table[k]);
        const V* a = at(psi, k);
        total += d * (a[0] * a[0] + a[1] * a[1]);
        if (lambda) {
            at(lambda, k)[0] += w * d * a[0];
            at(lambda, k)[1] += w * d * a[1];
        }
    }
    add_to(sums, total);
}

// lambda *= coefficient; sums += Re <psi|lambda> before the scaling.
template <class Real>
void dot_and_scale(Real* lambda, const Real* psi, u64 count, const Real* coefficient, Real* sums) {
    using V = Vector<Real>;
    const V w = load(coefficient);
    V total = {};
    for (u64 k = 0; k < count; ++k) {
        const V* a = at(psi, k);
        V* l = at(lambda, k);
        total += a[0] * l[0] + a[1] * l[1];
        l[0] *= w;
        l[1] *= w;
    }
    add_to(sums, total);
}

// squares[k] = |psi_k|^2, and back: lambda[k] = 2 weights[k] psi[k], one row of lanes per k.
template <class Real>
void squares(const Real* psi, u64 count, Real* result) {
    using V = Vector<Real>;
    for (u64 k = 0; k < count; ++k) {
        const V* a = at(psi, k);
        reinterpret_cast<V*>(result)[k] = a[0] * a[0] + a[1] * a[1];
    }
}

// outcomes[image(k)] += |psi_k|^2, the image being the measured bits.
template <class Real>
void probabilities(const Real* psi, const RowSet& rows, Real* outcomes) {
    using V = Vector<Real>;
    for_rows_and_images(rows, [=](u64 k, u64 outcome) {
        const V* a = at(psi, k);
        reinterpret_cast<V*>(outcomes)[outcome] += a[0] * a[0] + a[1] * a[1];
    });
}
template <class Real>
void apply_outcomes(Real* lambda, const Real* psi, const RowSet& rows, const Real* outcomes) {
    using V = Vector<Real>;
    for_rows_and_images(rows, [=](u64 k, u64 outcome) {
        const V* a = at(psi, k);
        V* l = at(lambda, k);
        const V w = reinterpret_cast<const V*>(outcomes)[outcome] * Real(2);
        l[0] = w * a[0];
        l[1] = w * a[1];
    });
}

// Matrix of `size` rows on the rows k ^ offsets[j]: gathered into scratch, multiplied, scattered.
// The matrix is {re, im} interleaved, row-major, the same for all lanes.
template <class Real>
void dense(Real* psi, const RowSet& rows, const u64* offsets, int size, const Real* matrix, Real* scratch) {
    using V = Vector<Real>;
    for_rows(rows, [=](u64 k) {
        for (int j = 0; j < size; ++j) {
            at(scratch, j)[0] = at(psi, k ^ offsets[j])[0];
            at(scratch, j)[1] = at(psi, k ^ offsets[j])[1];
        }
        for (int i = 0; i < size; ++i) {
            V re = {}, im = {};
            const Real* row = matrix + 2 * u64(i) * size;
            for (int j = 0; j < size; ++j) {
                const V ar = at(scratch, j)[0], ai = at(scratch, j)[1];
                re += row[2 * j] * ar - row[2 * j + 1] * ai;
                im += row[2 * j] * ai + row[2 * j + 1] * ar;
            }
            at(psi, k ^ offsets[i])[0] = re;
            at(psi, k ^ offsets[i])[1] = im;
        }
    });
}

// The same where amplitudes of one state sit in the lanes: amplitude by amplitude.
template <class Real>
void dense_spread(Real* psi, const RowSet& rows, const u64* offsets, int size, const Real* matrix, Real* scratch) {
    constexpr int L = lanes<Real>;
    const auto place = [=](u64 k) { return psi + k / L * 2 * L + k % L; };
    for_rows(rows, [=](u64 k) {
        for (int j = 0; j < size; ++j) {
            scratch[2 * j] = place(k ^ offsets[j])[0];
            scratch[2 * j + 1] = place(k ^ offsets[j])[L];
        }
        for (int i = 0; i < size; ++i) {
            Real re = 0, im = 0;
            const Real* row = matrix + 2 * u64(i) * size;
            for (int j = 0; j < size; ++j) {
                re += row[2 * j] * scratch[2 * j] - row[2 * j + 1] * scratch[2 * j + 1];
                im += row[2 * j] * scratch[2 * j + 1] + row[2 * j + 1] * scratch[2 * j];
            }
            place(k ^ offsets[i])[0] = re;
            place(k ^ offsets[i])[L] = im;
        }
    });
}

}  // namespace
}  // namespace ketgrad
