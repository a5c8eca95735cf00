// What moves values between lanes, and sums over them.
#pragma once
#if defined(__x86_64__) && KETGRAD_VECTOR_BYTES > 16
#include <immintrin.h>
#endif

#include <utility>

#include "simd/vectors.hpp"

namespace ketgrad {
namespace {

/// a in the lanes whose mask is all ones, b in those whose mask is zero.
template <class Real>
inline Vector<Real> select(Index<Real> mask, Vector<Real> a, Vector<Real> b) {
    return (Vector<Real>)((mask & (Index<Real>)a) | (~mask & (Index<Real>)b));
}

/// The lanes of a and b in an order that is known when this is compiled: lane l of the result is lane `from` of {a, b}.
template <class Real, int... from>
inline Vector<Real> rearranged(Vector<Real> a, Vector<Real> b, std::integer_sequence<int, from...>) {
#ifdef __clang__
    return __builtin_shufflevector(a, b, from...);
#else
    return __builtin_shuffle(a, b, Index<Real>{from...});
#endif
}

/// v[l ^ flip].
template <int flip, class Real>
inline Vector<Real> flipped(Vector<Real> v) {
    if constexpr (flip == 0) {
        return v;
    } else {
        return [&]<int... l>(std::integer_sequence<int, l...>) {
            return rearranged<Real>(v, v, std::integer_sequence<int, (l ^ flip)...>());
        }(std::make_integer_sequence<int, lanes<Real>>());
    }
}

/// visit<flip>() for a flip that is known when this runs.
template <class Real, class Visit>
inline void with_flip(int flip, Visit visit) {
    [&]<int... f>(std::integer_sequence<int, f...>) {
        (void)((flip == f && (visit.template operator()<f>(), true)) || ...);
    }(std::make_integer_sequence<int, lanes<Real>>());
}

#if KETGRAD_VECTOR_BYTES > 16
/// A flip of the lanes that is known when this runs: an index of 32-bit words, which AVX2 and AVX-512 shuffle in one instruction.
template <class Real>
using Order = Index32;
template <class Real>
inline Order<Real> permutation(int flip) {
    constexpr int words = sizeof(Real) / 4;
    Index32 order = {};
    for (int i = 0; i < KETGRAD_VECTOR_BYTES / 4; ++i) order[i] = ((i / words) ^ flip) * words + i % words;
    return order;
}
/// v[l ^ flip].
template <class Real>
inline Vector<Real> permute(Vector<Real> v, Order<Real> order) {
#if !defined(__clang__)
    return (Vector<Real>)__builtin_shuffle((Index32)v, order);
#elif KETGRAD_VECTOR_BYTES == 32 && defined(__AVX2__)
    return (Vector<Real>)_mm256_permutevar8x32_epi32((__m256i)v, (__m256i)order);
#elif KETGRAD_VECTOR_BYTES == 64 && defined(__AVX512F__)
    return (Vector<Real>)_mm512_permutexvar_epi32((__m512i)order, (__m512i)v);
#else
    const Index32 words = (Index32)v;
    Index32 result = {};
    for (int i = 0; i < KETGRAD_VECTOR_BYTES / 4; ++i) result[i] = words[order[i]];
    return (Vector<Real>)result;
#endif
}
#else
/// The same where vectors have four lanes at most: neighbours are swapped, then halves, each where a mask says so.
template <class Real>
struct Order {
    Index<Real> swap_neighbours, swap_halves;
};
template <class Real>
inline Order<Real> permutation(int flip) {
    return {Index<Real>{} - (flip & 1), Index<Real>{} - (flip >> 1 & 1)};
}
template <class Real>
inline Vector<Real> permute(Vector<Real> v, const Order<Real>& order) {
    v = select<Real>(order.swap_neighbours, flipped<1, Real>(v), v);
    if constexpr (lanes<Real> > 2) v = select<Real>(order.swap_halves, flipped<2, Real>(v), v);
    return v;
}
#endif

/// +1, or -1 in the lanes whose bit is set.
template <class Real>
inline Vector<Real> lane_signs(std::uint32_t negative) {
    Vector<Real> signs = {};
    for (int l = 0; l < lanes<Real>; ++l) signs[l] = negative >> l & 1 ? Real(-1) : Real(1);
    return signs;
}

template <class Real>
inline double sum_lanes(Vector<Real> v) {
    double sum = 0;
    for (int l = 0; l < lanes<Real>; ++l) sum += v[l];
    return sum;
}

/// Sums over the lanes of `lanes` vectors at once, in lanes order: a tree of shuffles.
template <class Real, int block>
inline Vector<Real> interleave_add(Vector<Real> a, Vector<Real> b) {
    constexpr int L = lanes<Real>;
    return [&]<int... l>(std::integer_sequence<int, l...>) {
        constexpr auto source = [](int lane) { return (lane / block % 2 ? L : 0) + lane / (2 * block) * 2 * block + lane % block; };
        return rearranged<Real>(a, b, std::integer_sequence<int, source(l)...>()) +
               rearranged<Real>(a, b, std::integer_sequence<int, (source(l) + block)...>());
    }(std::make_integer_sequence<int, L>());
}
template <class Real, int block = 1>
inline Vector<Real> sum_lanes_of(const Vector<Real>* v) {
    constexpr int L = lanes<Real>, count = L / block;
    if constexpr (count == 1) {
        return v[0];
    } else {
        Vector<Real> half[count / 2];
        for (int i = 0; i < count / 2; ++i) half[i] = interleave_add<Real, block>(v[2 * i], v[2 * i + 1]);
        return sum_lanes_of<Real, 2 * block>(half);
    }
}

}  // namespace
}  // namespace ketgrad
