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

}  // namespace ketgrad
