// What Python hands over: flat arrays that describe a circuit and a question. Validated once, then never changed.
#pragma once
#include <complex>
#include <cstdint>
#include <vector>

namespace ketgrad {

enum class InstructionKind : std::uint8_t { pauli_rotation = 0, unitary = 1, state_preparation = 2 };
enum class Question : int { expect = 0, probabilities = 1, state = 2 };

/// angle = sum of coefficient * slot[a] * slot[b], slots = [1, weights..., inputs...].
struct Term {
    double coefficient;
    std::int64_t a, b;
};

struct Word {
    std::uint64_t x, z;
    double coefficient;
};

/// One instruction as read from the arrays; bit p of a mask is bit p of the basis index.
struct Instruction {
    InstructionKind kind;
    std::uint64_t x, z, controls;
    std::vector<Term> angle;
    std::vector<int> targets;  // the first is the most significant bit of the matrix or vector index
    std::vector<std::complex<double>> data;
    std::vector<std::int64_t> amplitude_slots;
    bool normalize;
};

struct Program {
    int num_qubits = 0;
    std::int64_t num_weights = 0, num_inputs = 0;
    std::vector<Instruction> instructions;
    Question question = Question::expect;
    std::vector<std::vector<Word>> observables;
    std::vector<int> measured;  // the first is the most significant bit of the outcome

    std::int64_t num_slots() const { return 1 + num_weights + num_inputs; }
};

/// Throws std::invalid_argument with a sentence when any content of the program is out of range or out of order.
void validate(const Program& program);

}  // namespace ketgrad
