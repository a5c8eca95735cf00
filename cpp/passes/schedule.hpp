// A program as words on row indices, in few layers: what the passes work on.
#pragma once
#include <complex>
#include <span>
#include <variant>
#include <vector>

#include "program/linear.hpp"
#include "program/pauli.hpp"
#include "program/program.hpp"

namespace ketgrad {

/// Which rewrites are on; all of them unless a test says otherwise.
struct Passes {
    bool frame = true;     // absorb Clifford gates
    bool merge = true;     // collect commuting rotations into layers and diagonal ones into tables
    bool product = true;   // start from a product state
    bool prune = true;     // drop what cannot reach the question
    bool quartets = true;  // two rotations per pass
    bool half_tangent = true;  // the forms that leave a factor out
    bool spread = true;    // few samples: one state over the lanes
    bool blocks = true;    // a few large states: block by block through the cache
};

struct Angle {
    std::vector<Term> terms;
    bool is_constant = true;
};

/// exp(-i scale * angle / 2 * word) where all controls hold. The word's power carries its sign.
struct Rotation {
    Pauli word;
    std::vector<Constraint> controls;
    int angle = 0;
    double scale = 1;
};

/// The rows with one pattern of signs, and the matrix as it looks there.
struct DenseClass {
    std::vector<Constraint> constraints;
    std::vector<std::complex<double>> matrix, adjoint;
};

struct Dense {
    std::vector<std::uint64_t> offsets;
    std::vector<DenseClass> classes;
    std::vector<Pauli> generators;  // what commutes with all of them commutes with the matrix
};

using Operation = std::variant<Rotation, Dense>;

/// All words that must commute with something for it to commute with the operation.
inline std::vector<Pauli> generators(const Operation& operation) {
    if (const Dense* dense = std::get_if<Dense>(&operation)) return dense->generators;
    const Rotation& rotation = std::get<Rotation>(operation);
    std::vector<Pauli> words{rotation.word};
    for (const Constraint& control : rotation.controls) words.push_back({0, control.mask, 0});
    return words;
}

/// Diagonal rotations without controls: one table of phases.
struct Table {
    std::vector<Rotation> rotations;
};

/// Other rotations, all of which commute.
struct Commuting {
    std::vector<Rotation> rotations;
};

/// What is done together, and all bits that its words flip or read.
struct Layer {
    std::variant<Table, Commuting, Dense> work;
    std::uint64_t x_union = 0, z_union = 0;

    const Dense* dense() const { return std::get_if<Dense>(&work); }
    /// None of a matrix.
    std::span<const Rotation> rotations() const {
        if (const Table* table = std::get_if<Table>(&work)) return table->rotations;
        if (const Commuting* commuting = std::get_if<Commuting>(&work)) return commuting->rotations;
        return {};
    }
};

struct WeightedWord {
    double coefficient;
    Pauli word;
};

struct Preparation {
    int instruction;
    RowSet rows;  // the support of the factors before it
    std::vector<std::uint64_t> offsets;
};

/// Where basis states are found: row 0 holds `origin` (times `phase`); flipping qubit w moves by the word flips[w].
struct Readout {
    std::uint64_t origin = 0;
    std::complex<double> phase = 1;
    std::vector<Pauli> flips, parities;  // C^-1 X_w C and C^-1 Z_w C, w a bit of the basis index
};

struct Schedule {
    Program program;
    Passes passes;
    std::vector<Angle> angles;
    std::vector<Operation> operations;                // between translation and scheduling
    std::vector<Preparation> preparations;
    std::vector<std::vector<Rotation>> product;       // per bit: rotations of |0> before everything else
    std::vector<Layer> layers;
    std::vector<std::vector<WeightedWord>> observables;
    Readout readout;
    int absorbed = 0;        // instructions that left nothing but a change of the frame
    int made = 0, pruned = 0;  // operations that the others became, and those of them that cannot reach the question
    int given_qubits = 0;    // the masks of the program's instructions are on so many; its num_qubits counts the bits of rows

    bool is_product() const { return !product.empty(); }
    /// The program that was compiled.
    Program source() const {
        Program source = program;
        source.num_qubits = given_qubits;
        return source;
    }
};

}  // namespace ketgrad
