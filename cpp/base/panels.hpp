// States as panels of a matrix product: lanes are samples, and each amplitude r + i s is kept as r, r + s and r - s.
//
// With a_p = r + s, a_m = r - s: Re <a|b> = 2 a_r b_r - (a_p b_m + a_m b_p) / 2 and Im <a|b> = (a_m b_p - a_p b_m) / 2, three real
// products in place of four, and the same three planes serve on both sides.
#pragma once
#include <algorithm>
#include <cstdint>

#include "base/buffer.hpp"

namespace ketgrad {

inline constexpr int num_planes = 3;
inline constexpr std::int64_t panel_depth = 128;  // amplitudes that are summed before moving on
inline constexpr std::int64_t panel_unit = 3;     // groups of lanes that are multiplied at a time

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

/// Groups of lanes for `count` states, in whole units.
inline std::int64_t padded_groups(std::int64_t count, int lanes) {
    const std::int64_t samples = panel_unit * lanes;
    return (count + samples - 1) / samples * panel_unit;
}

/// Numbers in the panels of `count` states.
inline std::int64_t panel_numbers(std::int64_t count, std::int64_t length, int lanes) {
    return padded_groups(count, lanes) * lanes * length * num_planes;
}

/// Room for `count` states; throws std::bad_alloc.
template <class Real>
Panels<Real> allocate_panels(std::int64_t count, std::int64_t length, int lanes) {
    Panels<Real> panels;
    panels.count = count;
    panels.length = length;
    panels.lanes = lanes;
    panels.groups = padded_groups(count, lanes);
    panels.values = allocate<Real>(std::size_t(panel_numbers(count, length, lanes)));
    for (std::int64_t start = 0; start < length; start += panel_depth)
        for (int plane = 0; plane < num_planes; ++plane)
            for (std::int64_t group = (count + lanes - 1) / lanes; group < panels.groups; ++group)
                std::fill_n(panels.place(start, plane, group), panels.rows(start) * lanes, Real(0));
    return panels;
}

}  // namespace ketgrad
