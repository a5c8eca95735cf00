// Products with tables, scaling, sums of rows.
#pragma once
#include "simd/shuffles.hpp"

namespace ketgrad {
namespace {

template <class Real>
void multiply_table(Real* psi, const Real* table, int rows, Real re, Real im) {
    using V = Vector<Real>;
    for (int r = 0; r < rows; ++r) {
        const V tr = at(table, r)[0], ti = at(table, r)[1];
        const V fr = tr * re - ti * im, fi = tr * im + ti * re;
        V* a = at(psi, r);
        const V ar = a[0], ai = a[1];
        a[0] = ar * fr - ai * fi;
        a[1] = ar * fi + ai * fr;
    }
}

template <class Real>
void multiply_table_back(Real* psi, Real* lambda, const Real* table, int rows, Real re, Real im, Real* overlaps) {
    using V = Vector<Real>;
    for (int r = 0; r < rows; ++r) {
        const V tr = at(table, r)[0], ti = at(table, r)[1];
        const V fr = tr * re - ti * im, fi = tr * im + ti * re;
        V *a = at(psi, r), *l = at(lambda, r);
        const V ar = a[0], ai = a[1], lr = l[0], li = l[1];
        reinterpret_cast<V*>(overlaps)[r] = lr * ai - li * ar;
        a[0] = ar * fr + ai * fi;
        a[1] = ai * fr - ar * fi;
        l[0] = lr * fr + li * fi;
        l[1] = li * fr - lr * fi;
    }
}

template <class Real>
void scale(Real* psi, u64 rows, Real factor) {
    for (u64 r = 0; r < rows; ++r) at(psi, r)[0] *= factor, at(psi, r)[1] *= factor;
}

template <class Real>
void add_diagonal(Real* out, const Real* psi, const Real* diagonal, u64 rows) {
    for (u64 r = 0; r < rows; ++r) {
        const Vector<Real> d = load(diagonal + r * lanes<Real>);
        at(out, r)[0] += d * at(psi, r)[0];
        at(out, r)[1] += d * at(psi, r)[1];
    }
}

template <class Real>
void accumulate(Real* out, const Real* in, u64 rows, Real factor) {
    for (u64 r = 0; r < rows; ++r) at(out, r)[0] += factor * at(in, r)[0], at(out, r)[1] += factor * at(in, r)[1];
}

template <class Real>
double dot(const Real* a, const Real* b, u64 rows) {
    Vector<Real> sum = {};
    double total = 0;
    for (u64 r = 0; r < rows; ++r) {
        sum += at(a, r)[0] * at(b, r)[0] + at(a, r)[1] * at(b, r)[1];
        if ((r & 255) == 255) total += sum_lanes<Real>(sum), sum = Vector<Real>{};
    }
    return total + sum_lanes<Real>(sum);
}

}  // namespace
}  // namespace ketgrad
