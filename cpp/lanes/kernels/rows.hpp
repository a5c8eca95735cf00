// Loops over sets of rows.
#pragma once
#include "program/row_sets.hpp"
#include "simd/vectors.hpp"

namespace ketgrad {
namespace {

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

}  // namespace
}  // namespace ketgrad
