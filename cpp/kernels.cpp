// Compiled once per instruction set (KETGRAD_TARGET, KETGRAD_VECTOR_BYTES). Everything is in an anonymous namespace and no
// library function is used, so that no code of a wide instruction set can be shared with a narrow one by the linker.
#include "kernels.hpp"

#define KETGRAD_NAME(prefix, target) prefix##target
#define KETGRAD_SYMBOL(target) KETGRAD_NAME(ketgrad_kernels_, target)
#define KETGRAD_STRING(target) #target
#define KETGRAD_TEXT(target) KETGRAD_STRING(target)

namespace {

using ketgrad::Coupling;
using ketgrad::Kernels;
using ketgrad::PairSet;
using ketgrad::RowSet;
using u64 = std::uint64_t;

typedef double Vector64 __attribute__((vector_size(KETGRAD_VECTOR_BYTES)));
typedef float Vector32 __attribute__((vector_size(KETGRAD_VECTOR_BYTES)));
template <class Real>
struct VectorOf;
template <>
struct VectorOf<double> {
    using type = Vector64;
};
template <>
struct VectorOf<float> {
    using type = Vector32;
};
template <class Real>
using Vector = typename VectorOf<Real>::type;
template <class Real>
constexpr int lanes = KETGRAD_VECTOR_BYTES / sizeof(Real);

/// Calls visit(row) for base ^ span(basis): an inner table of at most 64 offsets, the outer part in Gray-code order.
template <class Visit>
inline void for_rows(const RowSet& rows, Visit visit) {
    u64 table[64];
    const int low = rows.dim < 6 ? rows.dim : 6;
    table[0] = 0;
    for (int i = 0; i < low; ++i)
        for (int j = 0; j < 1 << i; ++j) table[j | 1 << i] = table[j] ^ rows.basis[i];
    const int inner = 1 << low;
    const u64 outer = u64(1) << (rows.dim - low);
    u64 base = rows.base;
    for (u64 o = 1;; ++o) {
        for (int j = 0; j < inner; ++j) visit(base ^ table[j]);
        if (o == outer) return;
        base ^= rows.basis[low + __builtin_ctzll(o)];
    }
}

/// The same with the linear image of each row: visit(row, image).
template <class Visit>
inline void for_rows_and_images(const RowSet& rows, Visit visit) {
    u64 row = rows.base, image = rows.image_base;
    const u64 count = u64(1) << rows.dim;
    for (u64 o = 1;; ++o) {
        visit(row, image);
        if (o == count) return;
        const int i = __builtin_ctzll(o);
        row ^= rows.basis[i];
        image ^= rows.image[i];
    }
}

template <class Real>
inline Vector<Real>* at(Real* state, u64 row) {
    return reinterpret_cast<Vector<Real>*>(state) + 2 * row;
}
template <class Real>
inline const Vector<Real>* at(const Real* state, u64 row) {
    return reinterpret_cast<const Vector<Real>*>(state) + 2 * row;
}
template <class Real>
inline Vector<Real> load(const Real* lane_values) {
    return *reinterpret_cast<const Vector<Real>*>(lane_values);
}
template <class Real>
inline void add_to(Real* lane_values, Vector<Real> v) {
    *reinterpret_cast<Vector<Real>*>(lane_values) += v;
}

// Real coupling:      0 <- c 0 - s 1,    1 <- c 1 + s 0.
// Imaginary coupling: 0 <- c 0 - i s 1,  1 <- c 1 - i s 0.
template <Coupling coupling, class V>
inline void turn(V* a, V* b, V c, V s) {
    const V ar = a[0], ai = a[1], br = b[0], bi = b[1];
    if constexpr (coupling == Coupling::real) {
        a[0] = c * ar - s * br;
        a[1] = c * ai - s * bi;
        b[0] = c * br + s * ar;
        b[1] = c * bi + s * ai;
    } else {
        a[0] = c * ar + s * bi;
        a[1] = c * ai - s * br;
        b[0] = c * br + s * ai;
        b[1] = c * bi - s * ar;
    }
}

// exp(-i t/2 P) on the pairs (k, k^x): P|k> = +-|k^x> or +-i|k^x> with one sign for the whole set (that is how the set was
// chosen), so no sign is looked up inside.
template <Coupling coupling, class Real>
void rotate_as(Real* psi, const PairSet& pairs, const Real* cosine, const Real* sine) {
    using V = Vector<Real>;
    const V c = load(cosine), s = load(sine) * Real(pairs.sign);
    const u64 x = pairs.x;
    for_rows(pairs.rows, [=](u64 k) { turn<coupling, V>(at(psi, k), at(psi, k ^ x), c, s); });
}

template <class Real>
void rotate(Real* psi, const PairSet& pairs, const Real* cosine, const Real* sine) {
    if (pairs.coupling == Coupling::real)
        rotate_as<Coupling::real>(psi, pairs, cosine, sine);
    else
        rotate_as<Coupling::imaginary>(psi, pairs, cosine, sine);
}

// dE/dt = 1/2 sum Re(conj(lambda) (-i P) psi), read off before psi and lambda are turned back: P commutes with its rotation.
template <Coupling coupling, class Real>
void rotate_back_as(Real* psi, Real* lambda, const PairSet& pairs, const Real* cosine, const Real* sine, Real* gradient) {
    using V = Vector<Real>;
    const V c = load(cosine), s = load(sine) * Real(-pairs.sign);
    const u64 x = pairs.x;
    V sum = {};
    for_rows(pairs.rows, [&, c, s, x](u64 k) {
        V *a = at(psi, k), *b = at(psi, k ^ x), *la = at(lambda, k), *lb = at(lambda, k ^ x);
        if constexpr (coupling == Coupling::real)
            sum += lb[0] * a[0] + lb[1] * a[1] - la[0] * b[0] - la[1] * b[1];
        else
            sum += la[0] * b[1] - la[1] * b[0] + lb[0] * a[1] - lb[1] * a[0];
        turn<coupling, V>(a, b, c, s);
        turn<coupling, V>(la, lb, c, s);
    });
    add_to(gradient, sum * Real(0.5 * pairs.sign));
}

template <class Real>
void rotate_back(Real* psi, Real* lambda, const PairSet& pairs, const Real* cosine, const Real* sine, Real* gradient) {
    if (pairs.coupling == Coupling::real)
        rotate_back_as<Coupling::real>(psi, lambda, pairs, cosine, sine, gradient);
    else
        rotate_back_as<Coupling::imaginary>(psi, lambda, pairs, cosine, sine, gradient);
}

template <class V>
inline void multiply(V* a, V re, V im) {
    const V ar = a[0], ai = a[1];
    a[0] = re * ar - im * ai;
    a[1] = re * ai + im * ar;
}

// exp(-i t/2 (+-1)) on rows of one parity: a multiplication by c -+ i s.
template <class Real>
void phase(Real* psi, const RowSet& rows, int sign, const Real* cosine, const Real* sine) {
    using V = Vector<Real>;
    const V re = load(cosine), im = load(sine) * Real(-sign);
    for_rows(rows, [=](u64 k) { multiply(at(psi, k), re, im); });
}

// dE/dt = 1/2 sum (+-1) Im(conj(lambda) psi) over the rows of one parity; then both states are multiplied by c +- i s.
template <class Real>
void phase_back(Real* psi, Real* lambda, const RowSet& rows, int sign, const Real* cosine, const Real* sine,
                Real* gradient) {
    using V = Vector<Real>;
    const V re = load(cosine), im = load(sine) * Real(sign);
    V sum = {};
    for_rows(rows, [&, re, im](u64 k) {
        V *a = at(psi, k), *l = at(lambda, k);
        sum += l[0] * a[1] - l[1] * a[0];
        multiply(a, re, im);
        multiply(l, re, im);
    });
    add_to(gradient, sum * Real(0.5 * sign));
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

// <P> over pairs: 2 Re(conj(b) i^c a); for a real coupling i^c a -> i a, for an imaginary one a.
template <class Real>
void expect(const Real* psi, const PairSet& pairs, Real* sum) {
    using V = Vector<Real>;
    const u64 x = pairs.x;
    V total = {};
    if (pairs.coupling == Coupling::real)
        for_rows(pairs.rows, [&, x](u64 k) {
            const V *a = at(psi, k), *b = at(psi, k ^ x);
            total += b[1] * a[0] - b[0] * a[1];
        });
    else
        for_rows(pairs.rows, [&, x](u64 k) {
            const V *a = at(psi, k), *b = at(psi, k ^ x);
            total += b[0] * a[0] + b[1] * a[1];
        });
    add_to(sum, total * Real(2 * pairs.sign));
}

template <class Real>
void expect_diagonal(const Real* psi, const RowSet& rows, int sign, Real* sum) {
    using V = Vector<Real>;
    V total = {};
    for_rows(rows, [&](u64 k) {
        const V* a = at(psi, k);
        total += a[0] * a[0] + a[1] * a[1];
    });
    add_to(sum, total * Real(sign));
}

// lambda += coefficient P psi. Real coupling: P psi = (-i b, i a); imaginary: (b, a).
template <class Real>
void apply_word(Real* lambda, const Real* psi, const PairSet& pairs, const Real* coefficient) {
    using V = Vector<Real>;
    const V w = load(coefficient) * Real(pairs.sign);
    const u64 x = pairs.x;
    if (pairs.coupling == Coupling::real)
        for_rows(pairs.rows, [=](u64 k) {
            const V *a = at(psi, k), *b = at(psi, k ^ x);
            V *la = at(lambda, k), *lb = at(lambda, k ^ x);
            la[0] += w * b[1];
            la[1] -= w * b[0];
            lb[0] -= w * a[1];
            lb[1] += w * a[0];
        });
    else
        for_rows(pairs.rows, [=](u64 k) {
            const V *a = at(psi, k), *b = at(psi, k ^ x);
            V *la = at(lambda, k), *lb = at(lambda, k ^ x);
            la[0] += w * b[0];
            la[1] += w * b[1];
            lb[0] += w * a[0];
            lb[1] += w * a[1];
        });
}

template <class Real>
void apply_diagonal(Real* lambda, const Real* psi, const RowSet& rows, int sign, const Real* coefficient) {
    using V = Vector<Real>;
    const V w = load(coefficient) * Real(sign);
    for_rows(rows, [=](u64 k) {
        const V* a = at(psi, k);
        V* l = at(lambda, k);
        l[0] += w * a[0];
        l[1] += w * a[1];
    });
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

template <class Real>
constexpr Kernels<Real> kernels = {
    lanes<Real>,
    rotate<Real>,
    rotate_back<Real>,
    phase<Real>,
    phase_back<Real>,
    dense<Real>,
    expect<Real>,
    expect_diagonal<Real>,
    apply_word<Real>,
    apply_diagonal<Real>,
    probabilities<Real>,
    apply_outcomes<Real>,
    expand<Real>,
    contract<Real>,
};

constexpr ketgrad::InstructionSet instruction_set = {KETGRAD_TEXT(KETGRAD_TARGET), &kernels<double>, &kernels<float>};

}  // namespace

extern "C" const ketgrad::InstructionSet* KETGRAD_SYMBOL(KETGRAD_TARGET)() { return &instruction_set; }
