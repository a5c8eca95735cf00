// Program -> passes over one large state. Everything becomes Pauli rotations, CNOTs and constant matrices; a pass gathers
// blocks of 2^m amplitudes that fit into the cache and does all the work whose flips stay inside the block.
#pragma once
#include <bit>
#include <complex>
#include <vector>

#include "program/program.hpp"

namespace ketgrad::blocks {

inline constexpr std::size_t most_tabulated = 3;  // masks across the edge of a tile for which all tables are made beforehand

/// exp(-i t/2 i^power X^x Z^z) with t = scale * angle(instruction) + constant, or a CNOT, or a matrix
/// whose targets are the bits of x, and targets and controls those of z.
struct PauliOp {
    std::uint64_t x = 0, z = 0;
    int power = 0;
    int instruction = -1;
    double scale = 0, constant = 0;
    int control = -1, target = -1;  // a CNOT when target >= 0
    int matrix = -1;                // a matrix of the plan when >= 0

    bool is_cnot() const { return target >= 0; }
    bool is_matrix() const { return matrix >= 0; }
};

/// A constant matrix; the first target is the most significant bit of its index.
struct ConstantMatrix {
    std::vector<int> targets;
    std::uint64_t controls = 0;
    std::vector<std::complex<double>> data;
};

/// A PauliOp in the coordinates of a pass: masks over local bits, and the part of z on bits outside of the block.
struct Entry {
    std::uint64_t x = 0, z = 0, outside = 0;
    int power = 0;
    int op = -1;
};

enum class LayerKind { diagonal, rotations, matrix };

/// Entries that are done together: one diagonal factor, rotations one after the other, or one matrix.
struct Layer {
    LayerKind kind;
    std::vector<Entry> entries;
};

/// Local bit i is bit bits[i] of the index. After the layers, local index p of the block at `base` belongs at the index
/// whose bit b is parity(logical[b] & index): the CNOTs of the pass, paid for while the block is written back.
struct Pass {
    std::vector<int> bits;
    std::vector<Layer> layers;
    std::vector<std::uint64_t> logical;
    bool moves = false;      // whether `logical` is not the identity
    std::uint64_t live = 0;  // bits outside of the block: where any other is set, the state is zero up to here

    std::uint64_t num_blocks() const { return std::uint64_t(1) << std::popcount(live); }
};

struct Plan {
    Program program;
    std::vector<PauliOp> ops;
    std::vector<ConstantMatrix> matrices;
    int pruned = 0;  // operations that cannot reach the question
    std::vector<Pass> passes;
    // The frame in which the last pass leaves the state: logical X_b is X^flips[b], logical Z_b is Z^parities[b].
    std::vector<std::uint64_t> flips, parities;
};

/// The bits of the index that are set where the target bits, the first one most significant, spell `index`.
std::uint64_t spread(std::size_t index, const std::vector<int>& targets);

/// Fills plan.ops and plan.matrices from plan.program.
void lower_to_words(Plan& plan);

/// `block_bits` bits of a block; smaller programs are one block.
Plan make_plan(Program program, int block_bits);

}  // namespace ketgrad::blocks
