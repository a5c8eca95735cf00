#include "gram.hpp"

#include <algorithm>
#include <vector>

#include "buffer.hpp"

namespace ketgrad {
namespace {

constexpr std::int64_t tile_rows = 32;                            // samples of a row tile
constexpr std::int64_t depth = 128;                               // amplitudes that are summed before moving on
constexpr std::int64_t packed_bytes = std::int64_t(64) << 20;     // columns that are packed at a time

template <class Real>
struct Columns {
    Buffer<Real> packed;
    std::int64_t first, count;  // samples
};

/// Where amplitude `start` (a multiple of depth) of a group begins: blocks of `depth` rows of all groups lie side by side, so
/// that a tile is contiguous and no power of two separates what is used together.
std::int64_t panel(std::int64_t group, std::int64_t start, std::int64_t groups, std::int64_t length, int lanes) {
    return (start * groups + group * std::min(depth, length - start)) * 2 * lanes;
}

/// `count` states as groups of lanes, rows of {re[lanes], im[lanes]}; lanes beyond the end are zero.
template <class Real>
void pack(const std::complex<Real>* states, std::int64_t count, std::int64_t length, int lanes, std::int64_t groups, Real* packed) {
    for (std::int64_t g = 0; g * lanes < count; ++g) {
        const Real* samples[max_lanes];
        for (int l = 0; l < lanes; ++l)
            samples[l] = reinterpret_cast<const Real*>(states + std::min(g * lanes + l, count - 1) * length);
        const int used = int(std::min<std::int64_t>(lanes, count - g * lanes));
        for (std::int64_t start = 0; start < length; start += depth) {
            Real* row = packed + panel(g, start, groups, length, lanes);
            for (std::int64_t k = start; k < std::min(start + depth, length); ++k, row += 2 * lanes)
                for (int l = 0; l < lanes; ++l) {
                    row[l] = l < used ? samples[l][2 * k] : 0;
                    row[lanes + l] = l < used ? samples[l][2 * k + 1] : 0;
                }
        }
    }
}

/// Packed states, and the groups of them that belong to a tile.
template <class Real>
struct Tile {
    const Real* packed;
    std::int64_t all_groups, first_group, groups;
};

/// Sums of one row tile against one tile of columns: [row pair of groups][column][group of the pair][re, im][lane].
template <class Real>
void multiply_tiles(const Kernels<Real>& kernels, const Tile<Real>& rows, const Tile<Real>& columns, std::int64_t length,
                    Real* sums) {
    const int lanes = kernels.lanes, step = kernels.overlap_columns;
    for (std::int64_t start = 0; start < length; start += depth) {
        const auto place = [&](const Tile<Real>& tile, std::int64_t group) {
            return tile.packed + panel(tile.first_group + group, start, tile.all_groups, length, lanes);
        };
        const std::uint64_t count = std::uint64_t(std::min(depth, length - start));
        for (std::int64_t p = 0; p < rows.groups / 2; ++p)
            for (std::int64_t g = 0; g < columns.groups; ++g)
                for (int c = 0; c < lanes; c += step)
                    kernels.overlap_tile(place(rows, 2 * p), place(rows, 2 * p + 1), place(columns, g), c, count,
                                         sums + ((p * columns.groups + g) * lanes + c) * 4 * lanes);
    }
}

/// |.|^2 of the sums into the result; below the diagonal of a symmetric matrix each value is written twice.
template <class Real>
void write_tile(const GramArrays<Real>& arrays, const Real* sums, int lanes, std::int64_t first_row, std::int64_t end_row,
                std::int64_t first_column, std::int64_t column_groups, std::int64_t end_column) {
    for (std::int64_t i = first_row; i < end_row; ++i) {
        const std::int64_t pair = (i - first_row) / (2 * lanes), g = (i - first_row) / lanes % 2, l = (i - first_row) % lanes;
        const std::int64_t from = arrays.others ? first_column : std::max(first_column, i);
        for (std::int64_t j = from; j < end_column; ++j) {
            const Real* sum = sums + (pair * column_groups * lanes + (j - first_column)) * 4 * lanes + g * 2 * lanes + l;
            const Real value = std::min(sum[0] * sum[0] + sum[lanes] * sum[lanes], Real(1));
            arrays.result[i * arrays.columns + j] = value;
            if (!arrays.others) arrays.result[j * arrays.columns + i] = value;
        }
    }
}

template <class Real>
void do_row_tile(const Kernels<Real>& kernels, const GramArrays<Real>& arrays, const Columns<Real>& columns, std::int64_t tile,
                 Interrupt& interrupt, bool polls) {
    const int lanes = kernels.lanes;
    const std::int64_t first_row = tile * tile_rows, end_row = std::min(first_row + tile_rows, arrays.rows);
    const std::int64_t last_column = columns.first + columns.count;
    if (!arrays.others && last_column <= first_row) return;
    const std::int64_t row_pairs = (end_row - first_row + 2 * lanes - 1) / (2 * lanes);
    const std::int64_t group = arrays.length * 2 * lanes, column_groups = tile_rows / lanes;
    Buffer<Real> rows = allocate_zeros<Real>(2 * row_pairs * group);
    pack(arrays.states + first_row * arrays.length, end_row - first_row, arrays.length, lanes, 2 * row_pairs, rows.get());
    const std::int64_t all_columns = (columns.count + lanes - 1) / lanes;
    Buffer<Real> sums = allocate<Real>(row_pairs * column_groups * lanes * 4 * lanes);
    for (std::int64_t first = columns.first; first < last_column; first += tile_rows) {
        const std::int64_t end = std::min(first + tile_rows, last_column);
        if (!arrays.others && end <= first_row) continue;
        if (polls && interrupt.poll && interrupt.poll()) interrupt.stop = true;
        if (interrupt.stop) return;
        const std::int64_t groups = (end - first + lanes - 1) / lanes;
        std::fill(sums.get(), sums.get() + row_pairs * groups * lanes * 4 * lanes, Real(0));
        const Tile<Real> row_tile{rows.get(), 2 * row_pairs, 0, 2 * row_pairs};
        const Tile<Real> column_tile{columns.packed.get(), all_columns, (first - columns.first) / lanes, groups};
        multiply_tiles(kernels, row_tile, column_tile, arrays.length, sums.get());
        write_tile(arrays, sums.get(), lanes, first_row, end_row, first, groups, end);
    }
}

}  // namespace

template <class Real>
bool gram(const Kernels<Real>& kernels, const GramArrays<Real>& arrays, int threads, Interrupt& interrupt) {
    const std::complex<Real>* others = arrays.others ? arrays.others : arrays.states;
    const std::int64_t sample_bytes = arrays.length * 2 * std::int64_t(sizeof(Real));
    const std::int64_t at_once = std::max<std::int64_t>(1, packed_bytes / (sample_bytes * tile_rows)) * tile_rows;
    const std::int64_t row_tiles = (arrays.rows + tile_rows - 1) / tile_rows;
    for (std::int64_t first = 0; first < arrays.columns; first += at_once) {
        Columns<Real> columns{{}, first, std::min(at_once, arrays.columns - first)};
        const std::int64_t groups = (columns.count + kernels.lanes - 1) / kernels.lanes;
        columns.packed = allocate<Real>(groups * arrays.length * 2 * kernels.lanes);
        pack(others + first * arrays.length, columns.count, arrays.length, kernels.lanes, groups, columns.packed.get());
        parallel(threads, row_tiles, interrupt, [&](int worker, std::int64_t tile) {
            do_row_tile(kernels, arrays, columns, tile, interrupt, worker == 0);
        });
        if (interrupt.stop) return false;
    }
    return true;
}

void draw(const double* probabilities, std::int64_t count, const double* uniforms, std::int64_t shots, std::uint64_t* outcomes) {
    while (count > 1 && probabilities[count - 1] == 0) --count;  // what rounding would push past the end
    Buffer<double> cumulated = allocate<double>(count);
    double total = 0;
    for (std::int64_t i = 0; i < count; ++i) cumulated[i] = total += probabilities[i];
    std::int64_t guides = 1;
    while (guides < count / 2 && guides < (std::int64_t(1) << 20)) guides *= 2;
    Buffer<std::uint32_t> guide = allocate<std::uint32_t>(guides);
    std::int64_t i = 0;
    for (std::int64_t g = 0; g < guides; ++g) {
        const double bound = double(g) / double(guides) * total;
        while (i < count - 1 && cumulated[i] <= bound) ++i;
        guide[g] = std::uint32_t(std::min<std::int64_t>(i, UINT32_MAX));
    }
    const auto start_of = [&](std::int64_t s) {
        const std::int64_t g = std::int64_t(uniforms[s] * double(guides));
        return std::int64_t(guide[std::clamp<std::int64_t>(g, 0, guides - 1)]);
    };
    constexpr std::int64_t ahead = 16;  // the tables are larger than the cache: ask for the next entries early
    for (std::int64_t s = 0; s < shots; ++s) {
        if (s + ahead < shots) __builtin_prefetch(&cumulated[start_of(s + ahead)]);
        const double bound = uniforms[s] * total;
        std::int64_t outcome = start_of(s);
        while (outcome < count - 1 && cumulated[outcome] <= bound) ++outcome;
        outcomes[s] = std::uint64_t(outcome);
    }
}

template bool gram(const Kernels<double>&, const GramArrays<double>&, int, Interrupt&);
template bool gram(const Kernels<float>&, const GramArrays<float>&, int, Interrupt&);

}  // namespace ketgrad
