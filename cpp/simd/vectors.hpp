// Vectors of lanes, for kernels, which are compiled once per instruction set and precision (KETGRAD_TARGET, KETGRAD_VECTOR_BYTES,
// KETGRAD_REAL). Everything is in an unnamed namespace and no library function is used, here and in all headers of kernels, so
// that no code of a wide instruction set can be shared with a narrow one by the linker.
#pragma once
#include <cstdint>

namespace ketgrad {
namespace {

using u64 = std::uint64_t;

typedef double Vector64 __attribute__((vector_size(KETGRAD_VECTOR_BYTES)));
typedef float Vector32 __attribute__((vector_size(KETGRAD_VECTOR_BYTES)));
typedef std::int64_t Index64 __attribute__((vector_size(KETGRAD_VECTOR_BYTES)));
typedef std::int32_t Index32 __attribute__((vector_size(KETGRAD_VECTOR_BYTES)));

template <class Real>
struct VectorOf;
template <>
struct VectorOf<double> {
    using type = Vector64;
    using index = Index64;
};
template <>
struct VectorOf<float> {
    using type = Vector32;
    using index = Index32;
};
template <class Real>
using Vector = typename VectorOf<Real>::type;
template <class Real>
using Index = typename VectorOf<Real>::index;
template <class Real>
constexpr int lanes = KETGRAD_VECTOR_BYTES / sizeof(Real);

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
template <class Real>
inline Vector<Real> broadcast(Real value) {
    return value - Vector<Real>{};  // folds to one broadcast; 0 + value would turn -0 into 0 and costs an addition
}

/// a *= re + i im, a being {re, im}.
template <class V>
inline void multiply(V* a, V re, V im) {
    const V ar = a[0], ai = a[1];
    a[0] = re * ar - im * ai;
    a[1] = re * ai + im * ar;
}

}  // namespace
}  // namespace ketgrad
