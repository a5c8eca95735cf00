// Program -> Plan: the steps that the engine executes on rows.
#pragma once
#include <string>
#include <vector>

#include "algebra.hpp"
#include "program.hpp"

namespace ketgrad {

enum class StepKind { rotate, phase, dense };

/// One step on all rows. Rotations and phases take their angle from `instruction`; a dense step owns its matrix.
struct Step {
    StepKind kind;
    int instruction = -1;
    std::vector<PairSet> pairs;
    std::vector<SignedRows> phases;
    RowSet rows;
    std::vector<std::uint64_t> offsets;
    std::vector<std::complex<double>> matrix, adjoint;
};

/// A factor of the initial product state on qubits that are in |0>.
struct Preparation {
    int instruction;
    RowSet rows;  // the support of the factors before it
    std::vector<std::uint64_t> offsets;
};

struct CompiledWord {
    double coefficient;
    std::vector<PairSet> pairs;
    std::vector<SignedRows> phases;
};

struct Plan {
    Program program;
    std::vector<Preparation> preparations;
    std::vector<Step> steps;
    std::vector<std::vector<CompiledWord>> observables;
    RowSet outcome_rows;  // probabilities: row -> outcome; state: row -> basis index
    int outcome_bits = 0;
    int scratch_rows = 0;  // rows of scratch that the dense steps need

    std::uint64_t num_rows() const { return std::uint64_t(1) << program.num_qubits; }
};

Plan compile(Program program);

}  // namespace ketgrad
