// Overlaps <a_i|b_j> of many states that are kept as panels.
#pragma once
#include <complex>
#include <cstdint>

#include "base/interrupt.hpp"
#include "base/panels.hpp"
#include "gram/kernels.hpp"

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

/// Takes over one group of lanes, rows of {re[lanes], im[lanes]}, times `scale`.
template <class Real>
void store_group(const GramKernels<Real>& kernels, const Panels<Real>& panels, std::int64_t group, const Real* psi, Real scale);

/// States as rows of amplitudes into their panels. Like `multiply` false when the call was interrupted.
template <class Real>
bool pack(const GramKernels<Real>& kernels, const std::complex<Real>* states, const Panels<Real>& panels, int threads,
          Interrupt& interrupt);

/// Fixed tiles, each summed in a fixed order: an entry depends on its two states alone, bit for bit.
template <class Real>
bool multiply(const GramKernels<Real>& kernels, const PanelProduct<Real>& product, int threads, Interrupt& interrupt);

}  // namespace ketgrad
