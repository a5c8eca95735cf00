// The kernels that one instruction set provides for a single large state. Amplitude k is lane k % lanes of row k / lanes; a
// row is {re[lanes], im[lanes]}. So the lowest index bits live inside vector registers and all others choose rows.
#pragma once
#include <cstdint>

namespace ketgrad {

inline constexpr int tile_bits = 9;  // diagonal factors are tabulated for 2^9 amplitudes: the table stays in the L1 cache

/// 1 + tan J with J = -i P, on pairs of rows (r, r ^ x): a += tan (J b), b += tan (J a).
/// P has real J when its word holds an odd number of Y. `tangent[parity]` are lane vectors, signs of the lanes included, for
/// rows of even and odd parity(z & r); `partner` the same for the second member of a pair. `unit` is +-1 without the tangent.
template <class Real>
struct WordTurn {
    std::uint64_t x = 0, z = 0;  // row masks
    int lane_flip = 0;
    bool real = false;
    alignas(64) Real tangent[2][16];
    alignas(64) Real partner[2][16];
    alignas(64) Real unit[2][16];
    alignas(64) Real partner_unit[2][16];
};

/// A constant matrix on targets among the rows and the lanes. Column (a, f) of output row a' and lane l reads row
/// r ^ offsets[a], lane l ^ flips[f]; r runs over the rows whose `fixed` bits (targets and controls) spell `value`.
template <class Real>
struct MatrixTurn {
    const std::uint64_t* offsets = nullptr;
    int size = 1;  // of offsets, a power of two
    int num_flips = 1;
    int flips[16] = {};
    std::uint64_t fixed = 0, value = 0;
    /// By tiles of min(4, size) output rows: entries[tile][column][row of the tile], each {re, im} of one number when `same`,
    /// otherwise of lanes.
    const Real* entries = nullptr;
    bool same = true, masked = false;
    alignas(64) Real on[16] = {};  // when masked: 1 in the lanes where the controls hold, 0 in others
};

template <class Real>
struct BlockKernels {
    int lanes;
    void (*turn)(Real* psi, std::uint64_t rows, const WordTurn<Real>& turn);
    void (*turn_two)(Real* psi, std::uint64_t rows, const WordTurn<Real>& first, const WordTurn<Real>& second);
    /// The same backward on psi and lambda; adds Re <lambda|J psi> of each turn.
    void (*turn_back)(Real* psi, Real* lambda, std::uint64_t rows, const WordTurn<Real>& turn, double* gradient);
    void (*turn_two_back)(Real* psi, Real* lambda, std::uint64_t rows, const WordTurn<Real>& first, const WordTurn<Real>& second,
                          double* first_gradient, double* second_gradient);
    /// values[k] = sum_m spectrum[m] (-1)^parity(m & k) in place, `count` reals, a power of two.
    void (*walsh)(Real* values, std::uint64_t count);
    /// table[k] = exp(i factor angles[k]) as rows of {re, im}, `rows` of them.
    void (*unit_phases)(Real* table, const Real* angles, std::uint64_t rows, Real factor);
    /// psi *= scalar * table over `rows` rows.
    void (*multiply)(Real* psi, const Real* table, int rows, Real re, Real im);
    /// The same for psi and lambda with the conjugate, after overlap[k] = Im(conj(lambda) psi).
    void (*multiply_back)(Real* psi, Real* lambda, const Real* table, int rows, Real re, Real im, Real* overlap);
    void (*scale)(Real* psi, std::uint64_t rows, Real factor);
    /// out[r] += coefficient * (P psi)[r] for rows first <= r < last; the word as a turn with unit vectors (J = -i P).
    void (*add_word)(Real* out, const Real* psi, std::uint64_t first, std::uint64_t last, const WordTurn<Real>& word,
                     Real coefficient);
    /// out[r] += diagonal[r] * psi[r].
    void (*add_diagonal)(Real* out, const Real* psi, const Real* diagonal, std::uint64_t rows);
    /// out += factor * in.
    void (*accumulate)(Real* out, const Real* in, std::uint64_t rows, Real factor);
    /// Re <a|b> over rows.
    double (*dot)(const Real* a, const Real* b, std::uint64_t rows);
    /// psi = M psi; scratch has room for size * num_flips rows, four times as many when size < 4.
    void (*apply_matrix)(Real* psi, std::uint64_t rows, const MatrixTurn<Real>& matrix, Real* scratch);
};

}  // namespace ketgrad
