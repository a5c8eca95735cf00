// Affine subspaces of row indices over F2: the shape of every loop in the engine.
#pragma once
#include <cstdint>

namespace ketgrad {

inline constexpr int max_qubits = 40;
inline constexpr int max_lanes = 16;  // single precision in 64-byte vectors

/// The row indices base ^ span(basis), 2^dim of them. `image` is carried along: the linear map row -> image_base ^ ...
struct RowSet {
    std::uint64_t base = 0;
    std::uint64_t image_base = 0;
    int dim = 0;
    std::uint64_t basis[max_qubits];  // the first `dim` entries mean something
    std::uint64_t image[max_qubits];
};

/// How the two members of a pair turn: real like Y (0 <- -s 1, 1 <- +s 0) or imaginary like X (0 <- -i s 1, 1 <- -i s 0).
enum class Coupling : int { real = 0, imaginary = 1 };

/// Pairs (k, k ^ x), k in rows; member 1 has its lanes permuted by lane_x. The sine is multiplied by sign, and by -1 in the
/// lanes of negative_lanes, so that every pair of the set turns the same way. Lanes that are not active stay as they are.
struct PairSet {
    RowSet rows;
    std::uint64_t x = 0;
    int lane_x = 0;
    Coupling coupling = Coupling::real;
    int sign = 1;
    std::uint32_t negative_lanes = 0, active_lanes = ~0u;
};

/// Quartets k, k ^ x[0], k ^ x[1], k ^ x[0] ^ x[1] for two commuting rotations at once.
struct QuartetSet {
    RowSet rows;
    std::uint64_t x[2] = {};
    int lane_x[2] = {};
    Coupling coupling[2] = {};
    int sign[2] = {1, 1};
    std::uint32_t negative_lanes[2] = {};
};

/// Rows on which a diagonal word has one sign (up to the signs of the lanes).
struct SignedRows {
    RowSet rows;
    int sign = 1;
    std::uint32_t negative_lanes = 0, active_lanes = ~0u;
};

}  // namespace ketgrad
