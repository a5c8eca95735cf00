// Overlaps <a_i|b_j> of many states that are kept as panels, and draws from a distribution.
#pragma once
#include <complex>
#include <cstdint>

#include "base/panels.hpp"
#include "base/pool.hpp"

namespace ketgrad {

/// Entry (i, j) of rows times columns goes to place (first_row + i, first_column + j) of a matrix with rows of `stride`.
/// Rows and columns may be the same panels: half the work, and an exactly Hermitian result.
template <class Real>
struct PanelProduct {
    const Panels<Real>* rows = nullptr;
    const Panels<Real>* columns = nullptr;
    bool is_complex = false;  // <a|b> as pairs of numbers, otherwise |<a|b>|^2, at most 1
    bool mirrors = false;     // the conjugate goes to (first_column + j, first_row + i) as well
    Real* result = nullptr;
    std::int64_t first_row = 0, first_column = 0, stride = 0;

    bool is_symmetric() const { return rows == columns; }
    bool is_mirrored() const { return mirrors || is_symmetric(); }
};

/// States as rows of amplitudes into their panels. Like `multiply` false when the call was interrupted.
template <class Real>
bool pack(const Kernels<Real>& kernels, const std::complex<Real>* states, const Panels<Real>& panels, int threads,
          Interrupt& interrupt);

/// Fixed tiles, each summed in a fixed order: an entry depends on its two states alone, bit for bit.
template <class Real>
bool multiply(const Kernels<Real>& kernels, const PanelProduct<Real>& product, int threads, Interrupt& interrupt);

/// outcomes[s] = the first i with cumulated probability above uniforms[s] * total; a table of starting points makes the
/// search short. False when the call was interrupted.
bool draw(const double* probabilities, std::int64_t count, const double* uniforms, std::int64_t shots, std::uint64_t* outcomes,
          Interrupt& interrupt);

}  // namespace ketgrad
