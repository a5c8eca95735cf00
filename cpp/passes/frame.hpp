// A Clifford C that maps Z words to Z words, kept as the images of all X and Z under C^-1 . C.
#pragma once
#include <complex>
#include <cstdint>
#include <vector>

#include "program/pauli.hpp"

namespace ketgrad {

struct Frame {
    std::vector<Pauli> x, z;  // images of X_w and Z_w, w a bit of the basis index
    std::uint64_t origin = 0;  // C|0...0> = phase |origin>
    std::complex<double> phase = 1;
};

Frame identity_frame(int num_qubits);

/// C^-1 (i^popcount(x & z) X^x Z^z) C.
Pauli image(const Frame& frame, std::uint64_t x, std::uint64_t z);

/// C <- exp(-i quarters pi/4 Z^z) C.
void absorb_diagonal(Frame& frame, std::uint64_t z, int quarters);

/// C <- exp(-i halves pi/2 i^popcount(x & z) X^x Z^z) C.
void absorb_word(Frame& frame, std::uint64_t x, std::uint64_t z, int halves);

/// C <- G C with G|j> = |permutation[j]>, an affine map on the given bits (the first is the most significant).
void absorb_permutation(Frame& frame, const std::vector<int>& bits, const std::vector<std::size_t>& permutation);

/// exp(-i quarters pi/4 word) on the rows, word a Z word.
struct DiagonalClifford {
    Pauli word;
    int quarters;
};

/// C <- C g with the diagonal Clifford g after which no flip carries signs; the returned factors of g^-1 belong on the rows.
std::vector<DiagonalClifford> flush_signs(Frame& frame);

}  // namespace ketgrad
