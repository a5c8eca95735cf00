// The table of kernels that one instruction set provides. A state is 2^n rows; row k is {re[lanes], im[lanes]}, lane = sample.
#pragma once
#include <cstdint>

#include "rows.hpp"

namespace ketgrad {

/// Coupling of the two members of a pair: real like Y (0 <- -s 1, 1 <- +s 0) or imaginary like X (0 <- -i s 1, 1 <- -i s 0).
enum class Coupling : int { real = 0, imaginary = 1 };

/// Pairs (k, k ^ x) for k in rows; `sign` multiplies the sine, so that every pair of the set has the same coupling.
struct PairSet {
    RowSet rows;
    std::uint64_t x = 0;
    Coupling coupling = Coupling::real;
    int sign = 1;
};

template <class Real>
struct Kernels {
    int lanes;
    void (*rotate)(Real* psi, const PairSet& pairs, const Real* cosine, const Real* sine);
    void (*rotate_back)(Real* psi, Real* lambda, const PairSet& pairs, const Real* cosine, const Real* sine, Real* gradient);
    void (*phase)(Real* psi, const RowSet& rows, int sign, const Real* cosine, const Real* sine);
    void (*phase_back)(Real* psi, Real* lambda, const RowSet& rows, int sign, const Real* cosine, const Real* sine,
                       Real* gradient);
    void (*dense)(Real* psi, const RowSet& rows, const std::uint64_t* offsets, int size, const Real* matrix, Real* scratch);
    void (*expect)(const Real* psi, const PairSet& pairs, Real* sum);
    void (*expect_diagonal)(const Real* psi, const RowSet& rows, int sign, Real* sum);
    void (*apply_word)(Real* lambda, const Real* psi, const PairSet& pairs, const Real* coefficient);
    void (*apply_diagonal)(Real* lambda, const Real* psi, const RowSet& rows, int sign, const Real* coefficient);
    void (*probabilities)(const Real* psi, const RowSet& rows, Real* outcomes);
    void (*apply_outcomes)(Real* lambda, const Real* psi, const RowSet& rows, const Real* outcomes);
    void (*expand)(Real* psi, const RowSet& rows, const std::uint64_t* offsets, int size, const Real* amplitudes);
    void (*contract)(Real* lambda, const Real* psi, const RowSet& rows, const std::uint64_t* offsets, int size,
                     const Real* amplitudes, Real* gradient);
};

struct InstructionSet {
    const char* name;
    const Kernels<double>* float64;
    const Kernels<float>* float32;
};

extern "C" const InstructionSet* ketgrad_kernels_avx512();
extern "C" const InstructionSet* ketgrad_kernels_avx2();
extern "C" const InstructionSet* ketgrad_kernels_baseline();

/// The best instruction set of this machine, or the one called `name` ("" means best); nullptr if it cannot run here.
const InstructionSet* find_instruction_set(const char* name);

}  // namespace ketgrad
