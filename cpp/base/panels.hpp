// States as panels of a matrix product: lanes are samples, and each amplitude r + i s is kept as r, r + s and r - s.
//
// With a_p = r + s, a_m = r - s: Re <a|b> = 2 a_r b_r - (a_p b_m + a_m b_p) / 2 and Im <a|b> = (a_m b_p - a_p b_m) / 2, three real
// products in place of four, and the same three planes serve on both sides.
#pragma once
#include <cstdint>

#include "base/buffer.hpp"
#include "lanes/kernels.hpp"

namespace ketgrad {

inline constexpr int num_planes = 3;
inline constexpr std::int64_t panel_depth = 128;  // amplitudes that are summed before moving on

/// Blocks of panel_depth amplitudes; in each the planes; in each the groups side by side; in each rows of lanes. So what is used
/// together is contiguous, and no power of two separates it. Lanes past the last sample hold anything finite.
template <class Real>
struct Panels {
    Buffer<Real> values;
    std::int64_t count = 0, length = 0, groups = 0;
    int lanes = 0;

    std::int64_t rows(std::int64_t start) const { return start + panel_depth < length ? panel_depth : length - start; }
    Real* place(std::int64_t start, int plane, std::int64_t group) const {
        return values.get() + (start * groups * num_planes + (plane * groups + group) * rows(start)) * lanes;
    }
};

/// Numbers in the panels of `count` states.
std::int64_t panel_numbers(std::int64_t count, std::int64_t length, int lanes);

/// Room for `count` states; throws std::bad_alloc.
template <class Real>
Panels<Real> allocate_panels(std::int64_t count, std::int64_t length, int lanes);

/// Takes over one group of lanes, rows of {re[lanes], im[lanes]}, times `scale`.
template <class Real>
void store_group(const Kernels<Real>& kernels, const Panels<Real>& panels, std::int64_t group, const Real* psi, Real scale);

}  // namespace ketgrad
