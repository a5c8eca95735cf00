// What one call of the blocked engine knows and holds, shared by its parts.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>
#include <vector>

#include "base/arrays.hpp"
#include "base/buffer.hpp"
#include "base/pool.hpp"
#include "blocks/kernels.hpp"
#include "blocks/plan.hpp"
#include "program/pauli.hpp"

namespace ketgrad::blocks {

using u64 = std::uint64_t;
using Complex = std::complex<double>;
constexpr std::int64_t most_parts = 256;   // parallel parts; a constant, so that sums never depend on the threads
constexpr double growth_limit = 0x1p60;    // states are rescaled before the postponed scales exceed this

inline double sign(u64 mask) { return parity(mask) ? -1 : 1; }

/// psi = phase X^x Z^z stored: rotations by more than a quarter turn leave a Pauli operator behind, which only changes signs.
struct PauliFrame {
    u64 x = 0, z = 0;
    Complex phase = 1;

    bool anticommutes(u64 other_x, u64 other_z) const { return parity(x & other_z) ^ parity(z & other_x); }

    /// frame <- frame * factor * i^power X^x Z^z
    void multiply(const PauliOp& op, Complex factor) {
        static constexpr Complex powers[4] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
        phase *= factor * powers[op.power] * sign(z & op.x);
        x ^= op.x;
        z ^= op.z;
    }
    /// frame <- CNOT frame CNOT: X_c becomes X_c X_t, Z_t becomes Z_c Z_t; X^x Z^z in this order takes no sign.
    void cnot(int control, int target) {
        x ^= (x >> control & 1) << target;
        z ^= (z >> target & 1) << control;
    }
};

/// The angle of one operation in this call, after the Pauli frame has reduced it to [-pi/2, pi/2].
struct Turning {
    double half = 0;      // half of the reduced angle
    double direction = 1; // d reduced / d angle
};

/// X^x Z^z, which is left behind when a matrix is applied.
struct LeftBehind {
    u64 x = 0, z = 0;
};

template <class Real>
struct Call {
    const Plan& plan;
    const BlockKernels<Real>& kernels;
    const Arrays<Real>& arrays;
    Interrupt& interrupt;
    int threads, lane_bits;
    std::int64_t sample = 0;
    std::vector<double> slots{};
    std::vector<Turning> turnings{};
    std::vector<LeftBehind> left_behind{};  // per matrix
    PauliFrame frame{};
    double scale = 1;  // psi and lambda are `scale` times what is stored
    Buffer<Real> psi{}, lambda{};
    std::vector<double> gradient{};  // per operation: d loss / d reduced angle

    const Program& program() const { return plan.program; }
    int num_bits() const { return program().num_qubits; }
    u64 amplitudes() const { return u64(1) << num_bits(); }
};

/// visit(part, first, last, worker) over at most `most_parts` consecutive ranges of `count` items.
template <class Real, class Visit>
void in_parts(Call<Real>& call, u64 count, Visit visit) {
    const u64 parts = std::min<u64>(count, most_parts);
    parallel(call.threads, std::int64_t(parts), call.interrupt, [&](int worker, std::int64_t part) {
        check_interrupt(call.interrupt, worker);
        visit(u64(part), count * u64(part) / parts, count * (u64(part) + 1) / parts, worker);
    });
}

/// A rotation in a form that kernels take: two versions, for even and odd parity of z on the bits outside of the block.
template <class Real>
struct Rotation {
    WordTurn<Real> turn[2];
    int op = -1;
    u64 outside = 0;
    double cosine = 1;

    const WordTurn<Real>& at(u64 base) const { return turn[parity(outside & base)]; }
};

/// One pass over the block: one rotation, or two whose flips lie outside of the lanes and differ.
template <class Real>
struct Move {
    Rotation<Real> first, second;
    bool two = false;
    double rescale = 1;  // what the stored amplitudes are multiplied by before the move
    double scale = 1;    // true amplitudes / stored amplitudes before the move
};

/// A diagonal factor exp(i sum_j phase_j (-1)^parity(mask_j & k)), its masks split at the tile: the low part is tabulated.
struct Phase {
    u64 low, high, outside;
    double phase;
    int op;
};

/// A matrix in the form that kernels take; blocks whose outside bits are not `outside_value` are left as they are.
template <class Real>
struct PreparedMatrix {
    MatrixTurn<Real> turn;
    std::vector<u64> offsets;
    Buffer<Real> entries;
    u64 outside = 0, outside_value = 0;
};

template <class Real>
struct PreparedLayer {
    LayerKind kind = LayerKind::diagonal;
    PreparedMatrix<Real> matrix;
    std::vector<Move<Real>> moves;
    std::vector<Phase> phases;
    std::vector<Phase> high;   // masks without low bits: a scalar for each tile
    std::vector<Phase> mixed;  // masks with both: the table differs between tiles
    Buffer<Real> spectrum;
    std::vector<Buffer<Real>> tables;  // one for each choice of signs of the mixed masks, if these are few
    bool has_parameters = false;
    double scale = 1;  // true amplitudes / stored amplitudes at this layer
};

template <class Real>
int tile_bits_of(const Call<Real>& call, int local_bits) {
    return std::max(call.lane_bits, std::min(tile_bits, local_bits));
}

/// A block of amplitudes and what a worker needs beside it. lambda is null in the forward direction.
template <class Real>
struct Block {
    Real* psi;
    Real* lambda;
    u64 base;  // the index bits outside of the block
    int bits;  // the number of local bits
    Real *table, *overlap, *matrix;
    double* gradient;  // per operation
};

template <class Real>
u64 rows_of(const Call<Real>& call, const Block<Real>& block) {
    return u64(1) << (block.bits - call.lane_bits);
}

inline bool is_negative(const Phase& phase, u64 tile, u64 base) { return parity(phase.high & tile) ^ parity(phase.outside & base); }

inline double signed_phase(const Phase& phase, u64 tile, u64 base) {
    return is_negative(phase, tile, base) ? -phase.phase : phase.phase;
}


/// Where a block lives: local index p is at base ^ low[p & 255] ^ high[p >> 8]; runs of 2^run amplitudes are contiguous.
struct Addresses {
    std::vector<u64> low, high;
    int run = 0;

    u64 of(u64 p) const { return low[p & 255] ^ high[p >> 8]; }
};

Addresses addresses_of(const std::vector<u64>& images, const std::vector<u64>& outside);

/// XOR of the chosen masks.
u64 select(const std::vector<u64>& masks, u64 choice);

template <class Real>
struct Worker {
    Buffer<Real> psi, lambda, table, overlap, matrix;
};

template <class Real>
std::vector<Worker<Real>> make_workers(const Call<Real>& call, int bits, bool copies, bool backward) {
    std::vector<Worker<Real>> workers(std::max(call.threads, 1));
    const int tile = tile_bits_of(call, bits);
    for (Worker<Real>& worker : workers) {
        if (copies) worker.psi = allocate<Real>(u64(2) << bits);
        if (copies && backward) worker.lambda = allocate<Real>(u64(2) << bits);
        worker.table = allocate<Real>(u64(2) << tile);
        worker.overlap = allocate<Real>(u64(1) << tile);
    }
    return workers;
}

template <class Real>
std::size_t place_of(const Call<Real>& call, u64 index) {
    const u64 lane_mask = (u64(1) << call.lane_bits) - 1;
    return 2 * (index & ~lane_mask) + (index & lane_mask);
}

// matrices (matrix.cpp)
template <class Real>
PreparedMatrix<Real> prepare_matrix(const Call<Real>& call, const Pass& pass, const Entry& entry, bool backward);
template <class Real>
std::size_t scratch_of(const PreparedMatrix<Real>& matrix, int lanes);

// angles and layers (layers.cpp)
template <class Real>
void load_turnings(Call<Real>& call);
template <class Real>
std::vector<PreparedLayer<Real>> prepare_layers(Call<Real>& call, const Pass& pass, bool backward);
template <class Real>
void run_layers(const Call<Real>& call, const std::vector<PreparedLayer<Real>>& layers, const Block<Real>& block);

// the first state and the last (readout.cpp)
template <class Real>
void start(Call<Real>& call);
template <class Real>
void finish_gradient(const Call<Real>& call, std::vector<double>& dslots);
template <class Real>
void answer(Call<Real>& call);

}  // namespace ketgrad::blocks
