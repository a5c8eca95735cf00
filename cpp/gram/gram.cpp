#include "gram/gram.hpp"

#include <algorithm>
#include <vector>

#include "base/pool.hpp"
#include "program/row_sets.hpp"

namespace ketgrad {
namespace {

constexpr std::int64_t tile_samples = 96;  // a tile is 96 x 96 overlaps: whole units of 3 groups for any number of lanes
constexpr std::int64_t unit = panel_unit;
/// One tile of the product: groups first_row .. first_row + row_groups against those of the columns.
struct Tile {
    std::int64_t first_row, row_groups, first_column, column_groups;
};

/// Sums of a tile, one part per plane of the rows: [unit][column][sample of the unit].
template <class Real>
struct Sums {
    Real* values;
    std::int64_t lanes, column_groups, part;

    Real* column(int plane, std::int64_t u, std::int64_t c) const {
        return values + plane * part + (u * column_groups * lanes + c) * unit * lanes;
    }
};

/// Of a symmetric matrix only what is on or above the diagonal is needed.
template <class Real>
bool is_needed(const PanelProduct<Real>& product, std::int64_t first_row_group, std::int64_t column_group) {
    return !product.is_symmetric() || column_group >= first_row_group;
}

/// Adds the products of one block of amplitudes: plane r with r, r + s with r - s and r - s with r + s.
template <class Real>
void add_products(const GramKernels<Real>& kernels, const PanelProduct<Real>& product, const Tile& tile, std::int64_t start,
                  const Sums<Real>& sums) {
    const Panels<Real>&a = *product.rows, &b = *product.columns;
    const std::int64_t lanes = kernels.lanes, rows = a.rows(start);
    for (int plane = 0; plane < num_planes; ++plane)
        for (std::int64_t g = 0; g < tile.row_groups; g += unit)
            for (std::int64_t h = 0; h < tile.column_groups; ++h) {
                if (!is_needed(product, tile.first_row + g, tile.first_column + h)) continue;
                const Real* const row = a.place(start, plane, tile.first_row + g);
                const Real* const column = b.place(start, (num_planes - plane) % num_planes, tile.first_column + h);
                for (std::int64_t c = 0; c < lanes; c += kernels.overlap_columns)
                    kernels.overlap_tile(row, rows * lanes, column + c, rows, sums.column(plane, g / unit, h * lanes + c));
            }
}

/// From the three sums to |<a|b>|^2, at most 1, in the first part; or to real and imaginary parts in the first two.
template <class Real>
void combine(const Sums<Real>& sums, std::int64_t units, bool squared) {
    const std::int64_t count = units * sums.column_groups * sums.lanes * unit * sums.lanes;
    Real *const first = sums.values, *const second = first + sums.part, *const third = second + sums.part;
    for (std::int64_t i = 0; i < count; ++i) {
        const Real re = 2 * first[i] - (second[i] + third[i]) / 2, im = (third[i] - second[i]) / 2;
        first[i] = squared ? std::min(re * re + im * im, Real(1)) : re;
        second[i] = im;
    }
}

template <class Real>
void write_tile(const PanelProduct<Real>& product, const Tile& tile, const Sums<Real>& sums) {
    const std::int64_t lanes = sums.lanes, samples = unit * lanes, parts = product.is_complex ? 2 : 1;
    const std::int64_t first_column = tile.first_column * lanes;
    const std::int64_t end_column = std::min(first_column + tile.column_groups * lanes, product.columns->count);
    for (std::int64_t g = 0; g < tile.row_groups; g += unit) {
        const std::int64_t first = (tile.first_row + g) * lanes, end = std::min(first + samples, product.rows->count);
        for (std::int64_t i = first; i < end; ++i) {
            Real* const row = product.result + ((product.first_row + i) * product.stride + product.first_column) * parts;
            for (std::int64_t j = product.is_symmetric() ? std::max(i, first_column) : first_column; j < end_column; ++j)
                for (int part = 0; part < parts; ++part)
                    row[j * parts + part] = sums.column(part, g / unit, j - first_column)[i - first];
        }
    }
    if (!product.is_mirrored()) return;
    for (std::int64_t j = first_column; j < end_column; ++j) {
        Real* const row = product.result + ((product.first_column + j) * product.stride + product.first_row) * parts;
        for (std::int64_t g = 0; g < tile.row_groups; g += unit) {
            const std::int64_t first = (tile.first_row + g) * lanes, last = product.is_symmetric() ? j : product.rows->count;
            const Real *const re = sums.column(0, g / unit, j - first_column), *const im = sums.column(1, g / unit, j - first_column);
            for (std::int64_t i = first; i < std::min(first + samples, last); ++i) {
                row[i * parts] = re[i - first];
                if (parts == 2) row[i * parts + 1] = -im[i - first];
            }
        }
    }
}

/// The tiles of the product, row after row; of a symmetric one those that touch the diagonal or are right of it.
template <class Real>
std::vector<Tile> tiles_of(const PanelProduct<Real>& product) {
    const std::int64_t lanes = product.rows->lanes, size = tile_samples / lanes;
    const std::int64_t row_groups = product.rows->groups, column_groups = (product.columns->count + lanes - 1) / lanes;
    std::vector<Tile> tiles;
    for (std::int64_t row = 0; row < row_groups; row += size)
        for (std::int64_t column = product.is_symmetric() ? row : 0; column < column_groups; column += size)
            tiles.push_back({row, std::min(size, row_groups - row), column, std::min(size, column_groups - column)});
    return tiles;
}

}  // namespace

template <class Real>
void store_group(const GramKernels<Real>& kernels, const Panels<Real>& panels, std::int64_t group, const Real* psi, Real scale) {
    for (std::int64_t start = 0; start < panels.length; start += panel_depth) {
        const std::int64_t rows = panels.rows(start);
        kernels.split_planes(psi + start * 2 * panels.lanes, std::uint64_t(rows), scale, panels.place(start, 0, group),
                             std::uint64_t(rows * panels.groups * panels.lanes));
    }
}

template <class Real>
bool pack(const GramKernels<Real>& kernels, const std::complex<Real>* states, const Panels<Real>& panels, int threads,
          Interrupt& interrupt) {
    const std::int64_t lanes = panels.lanes, groups = (panels.count + lanes - 1) / lanes;
    parallel(threads, groups, interrupt, [&](int worker, std::int64_t group) {
        if (worker == 0 && interrupt.poll && interrupt.poll()) interrupt.stop = true;
        if (interrupt.stop) return;
        alignas(64) Real block[panel_depth * 2 * max_lanes];
        for (std::int64_t start = 0; start < panels.length; start += panel_depth) {
            const std::int64_t rows = panels.rows(start);
            for (std::int64_t l = 0; l < lanes; ++l) {
                const std::int64_t sample = std::min(group * lanes + l, panels.count - 1);
                const std::complex<Real>* const state = states + sample * panels.length + start;
                for (std::int64_t k = 0; k < rows; ++k) {
                    block[k * 2 * lanes + l] = state[k].real();
                    block[(k * 2 + 1) * lanes + l] = state[k].imag();
                }
            }
            kernels.split_planes(block, std::uint64_t(rows), Real(1), panels.place(start, 0, group),
                                 std::uint64_t(rows * panels.groups * lanes));
        }
    });
    return !interrupt.stop;
}

template <class Real>
bool multiply(const GramKernels<Real>& kernels, const PanelProduct<Real>& product, int threads, Interrupt& interrupt) {
    const std::vector<Tile> tiles = tiles_of(product);
    const std::int64_t part = tile_samples * tile_samples;
    threads = int(std::clamp<std::int64_t>(threads, 1, std::max<std::int64_t>(1, std::int64_t(tiles.size()))));
    std::vector<Buffer<Real>> memory;
    for (int worker = 0; worker < threads; ++worker) memory.push_back(allocate<Real>(std::size_t(num_planes * part)));
    parallel(threads, std::int64_t(tiles.size()), interrupt, [&](int worker, std::int64_t t) {
        const Tile& tile = tiles[std::size_t(t)];
        const Sums<Real> sums{memory[std::size_t(worker)].get(), kernels.lanes, tile.column_groups, part};
        std::fill_n(sums.values, num_planes * part, Real(0));
        for (std::int64_t start = 0; start < product.rows->length; start += panel_depth) {
            if (worker == 0 && interrupt.poll && interrupt.poll()) interrupt.stop = true;
            if (interrupt.stop) return;
            add_products(kernels, product, tile, start, sums);
        }
        combine(sums, tile.row_groups / unit, !product.is_complex);
        write_tile(product, tile, sums);
    });
    return !interrupt.stop;
}

template void store_group(const GramKernels<double>&, const Panels<double>&, std::int64_t, const double*, double);
template void store_group(const GramKernels<float>&, const Panels<float>&, std::int64_t, const float*, float);
template bool pack(const GramKernels<double>&, const std::complex<double>*, const Panels<double>&, int, Interrupt&);
template bool pack(const GramKernels<float>&, const std::complex<float>*, const Panels<float>&, int, Interrupt&);
template bool multiply(const GramKernels<double>&, const PanelProduct<double>&, int, Interrupt&);
template bool multiply(const GramKernels<float>&, const PanelProduct<float>&, int, Interrupt&);

}  // namespace ketgrad
