// A program as it runs: which engine takes a call, and what the call needs. Python and XLA only convert arrays.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/arrays.hpp"
#include "base/interrupt.hpp"
#include "blocks/plan.hpp"
#include "lanes/engine.hpp"
#include "passes/schedule.hpp"
#include "simulator/dual_simulator.hpp"
#include "simulator/layouts.hpp"

namespace ketgrad {

/// What each pass made of the program, which way a batch goes, and the bytes that one thread allocates for it.
struct SimulatorPlan {
    const char* instruction_set;
    int lanes;
    bool spread, blocked;
    double cost_lanes, cost_blocks;
    std::size_t blocked_passes = 0, blocked_turns = 0, blocked_tables = 0, blocked_matrices = 0;
    int seen, qubits;               // qubits that the question can see, bits of the rows that are held
    std::size_t instructions, unseen, absorbed, operations, pruned;
    std::size_t product = 0, rotations = 0, tables = 0, rotation_passes = 0, dense = 0;
    std::uint64_t bytes_run, bytes_vjp;
};

/// All methods may be called by several threads at once.
class Simulator {
    std::size_t num_instructions;    // as they were given
    std::size_t num_unseen = 0;      // of these, outside the light cone of the question
    const Schedule schedule;
    const InstructionSet& set;
    const Layouts layouts;
    const int block_bits;
    mutable Kept<double> kept_exact;
    mutable Kept<float> kept_single;
    mutable std::once_flag once_blocked;
    mutable blocks::Plan blocked;     // made when it is first needed
    mutable double cost_blocks = 0;

    Schedule compiled(Program program, const Passes& passes);
    template <class Real>
    bool uses_blocks(std::int64_t batch) const;
    template <class Real>
    Kept<Real>& kept() const;

public:
    /// block_bits: 0, or blocks of that size wherever they are possible, for tests. Throws std::invalid_argument with a sentence
    /// when the program cannot be.
    Simulator(Program program, const Passes& passes, const InstructionSet& set, int block_bits = 0);
    Simulator(const Simulator&) = delete;

    const Program& program() const { return schedule.program; }
    const InstructionSet& instruction_set() const { return set; }
    std::int64_t num_outputs() const { return ketgrad::num_outputs(schedule, layouts.batched().one); }
    bool is_state() const { return schedule.program.question == Question::state; }
    template <class Real>
    int lanes() const;

    /// Values, or with a cotangent values and the vector-Jacobian product. False when the call was interrupted. Throws
    /// std::bad_alloc.
    template <class Real>
    bool run(const Arrays<Real>& arrays, int threads, Interrupt& interrupt) const;
    /// States into the panels of `arrays`, as the rows hold them: in one order for all calls, whatever the batch.
    template <class Real>
    bool run_states(const Arrays<Real>& arrays, int threads, Interrupt& interrupt) const;
    /// Bytes that a call allocates beside the values that it returns.
    template <class Real>
    std::uint64_t bytes(std::int64_t batch, int threads, bool backward) const;
    SimulatorPlan plan(std::int64_t batch) const;

    /// The program compiled for derivatives along a direction.
    std::unique_ptr<DualSimulator> dual() const;
};

}  // namespace ketgrad
