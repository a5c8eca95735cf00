// Gram matrices |<a_i|b_j>|^2 of states that are given as rows of amplitudes, and draws from a distribution.
#pragma once
#include <complex>
#include <cstdint>

#include "kernels.hpp"
#include "pool.hpp"

namespace ketgrad {

/// States of `length` amplitudes; `others` may be null: the states among themselves, an exactly symmetric result.
template <class Real>
struct GramArrays {
    const std::complex<Real>* states = nullptr;
    const std::complex<Real>* others = nullptr;
    std::int64_t rows = 0, columns = 0, length = 0;
    Real* result = nullptr;  // (rows, columns)
};

/// Returns false when the call was interrupted. Throws std::bad_alloc.
template <class Real>
bool gram(const Kernels<Real>& kernels, const GramArrays<Real>& arrays, int threads, Interrupt& interrupt);

/// outcomes[s] = the first i with cumulated probability above uniforms[s] * total; a table of starting points makes the
/// search short.
void draw(const double* probabilities, std::int64_t count, const double* uniforms, std::int64_t shots, std::uint64_t* outcomes);

}  // namespace ketgrad
