// The kernels that one instruction set provides for products of states.
#pragma once
#include <cstdint>

namespace ketgrad {

template <class Real>
struct GramKernels {
    int lanes;
    int overlap_columns;
    void (*overlap_tile)(const Real* a, std::uint64_t stride, const Real* b, std::uint64_t rows, Real* sums);
    void (*split_planes)(const Real* psi, std::uint64_t rows, Real factor, Real* planes, std::uint64_t stride);
};

}  // namespace ketgrad
