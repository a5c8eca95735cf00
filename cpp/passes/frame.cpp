#include "passes/frame.hpp"

#include <cmath>
#include <numbers>

namespace ketgrad {
namespace {

std::complex<double> eighth_turns(int count) { return std::polar(1.0, count * std::numbers::pi / 4); }

/// g^-1 P g for g = exp(-i quarters pi/4 Q): P itself if it commutes with Q, otherwise P (-i Q)^quarters.
Pauli conjugated(Pauli word, const Pauli& q, int quarters) {
    if (commute(word, q)) return word;
    for (int i = 0; i < (quarters & 3); ++i) {
        word = word * q;
        word.power = (word.power + 3) & 3;
    }
    return word;
}

}  // namespace

Frame identity_frame(int num_qubits) {
    Frame frame;
    for (int w = 0; w < num_qubits; ++w) {
        frame.x.push_back({std::uint64_t(1) << w, 0, 0});
        frame.z.push_back({0, std::uint64_t(1) << w, 0});
    }
    return frame;
}

Pauli image(const Frame& frame, std::uint64_t x, std::uint64_t z) {
    Pauli word{0, 0, std::popcount(x & z) & 3};
    for (std::uint64_t rest = x; rest; rest &= rest - 1) word = word * frame.x[std::countr_zero(rest)];
    for (std::uint64_t rest = z; rest; rest &= rest - 1) word = word * frame.z[std::countr_zero(rest)];
    return word;
}

void absorb_diagonal(Frame& frame, std::uint64_t z, int quarters) {
    const Pauli q = image(frame, 0, z);
    for (Pauli& word : frame.x) word = conjugated(word, q, quarters);
    frame.phase *= eighth_turns(parity(z & frame.origin) ? quarters : -quarters);
}

void absorb_word(Frame& frame, std::uint64_t x, std::uint64_t z, int halves) {
    frame.phase *= eighth_turns(-2 * halves);  // (-i P)^halves; an even power is a sign
    if (halves % 2 == 0) return;
    const Pauli q = image(frame, x, z);
    for (Pauli& word : frame.x) word = conjugated(word, q, 2);
    for (Pauli& word : frame.z) word = conjugated(word, q, 2);
    frame.phase *= eighth_turns(2 * std::popcount(x & z) + 4 * parity(z & frame.origin));
    frame.origin ^= x;
}

void absorb_permutation(Frame& frame, const std::vector<int>& bits, const std::vector<std::size_t>& permutation) {
    const std::size_t count = bits.size(), shift = permutation[0];
    const auto bit_of = [&](std::size_t t) { return std::size_t(1) << (count - 1 - t); };
    std::vector<Pauli> x(count), z(count);
    for (std::size_t t = 0; t < count; ++t) {
        for (std::size_t j = 0; j < permutation.size(); ++j)  // G^-1 X_t G flips the j with G|j> = G|0> ^ e_t
            if ((permutation[j] ^ shift) == bit_of(t))
                for (std::size_t s = 0; s < count; ++s)
                    if (j & bit_of(s)) x[t] = x[t] * frame.x[bits[s]];
        for (std::size_t s = 0; s < count; ++s)  // G^-1 Z_t G reads bit t of G|j>
            if ((permutation[bit_of(s)] ^ shift) & bit_of(t)) z[t] = z[t] * frame.z[bits[s]];
        if (shift & bit_of(t)) z[t].power = (z[t].power + 2) & 3;
    }
    std::size_t before = 0;
    for (std::size_t t = 0; t < count; ++t) {
        frame.x[bits[t]] = x[t];
        frame.z[bits[t]] = z[t];
        if (frame.origin >> bits[t] & 1) before |= bit_of(t);
    }
    for (std::size_t t = 0; t < count; ++t) {
        frame.origin &= ~(std::uint64_t(1) << bits[t]);
        if (permutation[before] & bit_of(t)) frame.origin |= std::uint64_t(1) << bits[t];
    }
}

std::vector<DiagonalClifford> flush_signs(Frame& frame) {
    std::vector<DiagonalClifford> undone;
    const auto absorb = [&](const Pauli& word, int quarters) {
        for (Pauli& flip : frame.x) flip = conjugated(flip, word, quarters);
        frame.phase *= eighth_turns(word.power & 2 ? quarters : -quarters);  // g|0>
        undone.push_back({word, -quarters});
    };
    for (std::size_t w = 0; w < frame.x.size(); ++w) {
        for (std::size_t v = w + 1; v < frame.x.size(); ++v) {
            if (!parity(frame.x[w].z & frame.x[v].x)) continue;
            absorb(frame.z[w], 1);  // a CZ of the two wires
            absorb(frame.z[v], 1);
            absorb(frame.z[w] * frame.z[v], -1);
        }
        if (parity(frame.x[w].z & frame.x[w].x)) absorb(frame.z[w], 1);  // an S
    }
    return undone;
}

}  // namespace ketgrad
