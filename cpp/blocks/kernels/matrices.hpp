// Constant matrices on one block of a large state, for blocks/kernels.cpp.
#pragma once
#include "blocks/kernels.hpp"
#include "simd/shuffles.hpp"

namespace ketgrad {
namespace {

/// buffer[(a * flips + f) * groups + g] = row rows[g] ^ offsets[a], its lanes exchanged by flips[f].
template <int groups, class Real>
inline void gather_groups(Vector<Real>* buffer, const Real* psi, const u64* rows, const MatrixTurn<Real>& t) {
    for (int f = 0; f < t.num_flips; ++f)
        with_flip<Real>(t.flips[f], [&]<int flip>() {
            for (int a = 0; a < t.size; ++a)
                for (int g = 0; g < groups; ++g) {
                    const Vector<Real>* row = at(psi, rows[g] ^ t.offsets[a]);
                    Vector<Real>* place = buffer + 2 * ((a * t.num_flips + f) * groups + g);
                    place[0] = flipped<flip, Real>(row[0]);
                    place[1] = flipped<flip, Real>(row[1]);
                }
        });
}

// out_i = sum_j M_ij in_j over the rows r ^ offsets[j] and their flipped lanes. `outs` results of `groups` groups of rows are
// summed in registers at a time; entries are lane vectors, or one number for all lanes.
template <int outs, int groups, bool same, class Real>
void apply_matrix_as(Real* psi, u64 rows, const MatrixTurn<Real>& t, Real* scratch) {
    using V = Vector<Real>;
    V* buffer = reinterpret_cast<V*>(scratch);
    constexpr int entry = same ? 2 : 2 * lanes<Real>;
    const int columns = t.size * t.num_flips;
    const V on = load(t.on);
    const u64 count = rows >> __builtin_popcountll(t.fixed);
    u64 next = 0;
    for (u64 b = 0; b < count; b += groups) {
        u64 at_row[groups];
        for (int g = 0; g < groups; ++g, next = ((next | t.fixed) + 1) & ~t.fixed) at_row[g] = next ^ t.value;
        gather_groups<groups, Real>(buffer, psi, at_row, t);
        for (int first = 0; first < t.size; first += outs) {
            V re[outs][groups], im[outs][groups];
#pragma GCC unroll 4
            for (int i = 0; i < outs; ++i)
#pragma GCC unroll 4
                for (int g = 0; g < groups; ++g) re[i][g] = im[i][g] = V{};
            const Real* entries = t.entries + u64(first) * columns * entry;
            for (int j = 0; j < columns; ++j) {
                const V* in = buffer + 2 * j * groups;
#pragma GCC unroll 4
                for (int i = 0; i < outs; ++i, entries += entry) {
                    const V mr = same ? entries[0] - V{} : load(entries);
                    const V mi = same ? entries[1] - V{} : load(entries + (same ? 0 : lanes<Real>));
#pragma GCC unroll 4
                    for (int g = 0; g < groups; ++g) {
                        re[i][g] += mr * in[2 * g], im[i][g] += mr * in[2 * g + 1];
                        re[i][g] -= mi * in[2 * g + 1], im[i][g] += mi * in[2 * g];
                    }
                }
            }
#pragma GCC unroll 4
            for (int i = 0; i < outs; ++i)
#pragma GCC unroll 4
                for (int g = 0; g < groups; ++g) {
                    V* out = at(psi, at_row[g] ^ t.offsets[first + i]);
                    const V* old = buffer + 2 * ((first + i) * t.num_flips * groups + g);
                    if (t.masked) re[i][g] = old[0] + on * (re[i][g] - old[0]), im[i][g] = old[1] + on * (im[i][g] - old[1]);
                    out[0] = re[i][g], out[1] = im[i][g];
                }
        }
    }
}

template <bool same, class Real>
void apply_matrix_to(Real* psi, u64 rows, const MatrixTurn<Real>& t, Real* scratch) {
    const u64 count = rows >> __builtin_popcountll(t.fixed);
    if (t.size >= 4)
        apply_matrix_as<4, 1, same>(psi, rows, t, scratch);
    else if (t.size == 2)
        (count >= 2 ? apply_matrix_as<2, 2, same, Real> : apply_matrix_as<2, 1, same, Real>)(psi, rows, t, scratch);
    else
        (count >= 4 ? apply_matrix_as<1, 4, same, Real> : apply_matrix_as<1, 1, same, Real>)(psi, rows, t, scratch);
}

template <class Real>
void apply_matrix(Real* psi, u64 rows, const MatrixTurn<Real>& t, Real* scratch) {
    (t.same ? apply_matrix_to<true, Real> : apply_matrix_to<false, Real>)(psi, rows, t, scratch);
}

}  // namespace
}  // namespace ketgrad
