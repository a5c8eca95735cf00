// One call of a program: what all threads share, and what each needs for itself.
#pragma once
#include <vector>

#include "buffer.hpp"
#include "engine.hpp"

namespace ketgrad {

/// Coefficients of a turn and of its inverse, `lanes` of each: a, b, inverse a, inverse b.
inline constexpr int turn_parts = 4;

/// The common factors that the tangent and cotangent forms leave out.
struct TurnForm {
    Form form = Form::full;
    double factor = 1, inverse_factor = 1;
};

/// What one thread holds while it works on a group of lanes.
template <class Real>
struct Workspace {
    Buffer<Real> memory;
    Real *psi, *lambda;
    Real* scratch;     // one state at most: a table, then its overlaps
    Real* turns;       // coefficients of turns that differ between lanes
    Real *half_angles, *phases;  // of the turns that differ
    Real* dense;       // gathered rows, and a matrix in the precision of the call
    Real* factors;     // (bits, 2) rows: the product state's factors, and their gradients
    Real* halves;      // the two halves of the product state at every stage, and their gradients
    Real* outcomes;
    Real *amplitudes, *amplitude_gradient;
    Buffer<double> numbers;
    double *slots, *dslots, *dangles;
    double scale = 1;  // the true state is scale * psi, and so is lambda
    bool started = false;
};

/// What the threads of one call share.
template <class Real>
struct Call {
    const Schedule& schedule;
    const Lowered& lowered;
    const Kernels<Real>& kernels;
    const Kernels<double>& exact;  // tables are made in double precision
    const Arrays<Real>& arrays;
    Interrupt& interrupt;
    int lanes = 0;
    bool spread = false;  // lanes are index bits of one state
    std::int64_t groups = 0, blocks = 0;
    bool polls_often = false;
    std::vector<char> differs;       // per angle: differs between lanes
    std::vector<TurnForm> forms;     // per turn
    std::vector<std::size_t> differing_turns;
    std::vector<char> table_kinds;   // per step: 1 has entries that all lanes share, 2 has others
    Buffer<Real> turns;              // shared turns
    Buffer<Real> tables;             // shared tables, when they are kept
    std::vector<std::int64_t> table_places;  // per step: the place of its kept table, or -1
    Buffer<double> costs;            // values of the cost functions
    std::vector<char> uses_cost;     // per step: its phases are a multiple of a cost function
    Buffer<Real> observable_tables;  // per observable with a table of its diagonal words
    std::vector<std::int64_t> observable_places;
    Buffer<Real> partial;            // (blocks, slots - 1): gradients summed over the samples of a block

    const Program& program() const { return schedule.program; }
    bool backward() const { return arrays.cotangent; }
    std::uint64_t rows() const { return lowered.num_rows(); }
    std::uint64_t size() const { return std::uint64_t(1) << program().num_qubits; }
    std::uint64_t row_reals() const { return 2 * std::uint64_t(lanes); }
    std::int64_t slot_rows(std::int64_t slot) const {
        return slot == 0 ? 1 : slot <= program().num_weights ? arrays.weight_rows : arrays.input_rows;
    }
    /// The sample of a lane; lanes beyond the batch repeat the last one and have no cotangent.
    std::int64_t sample(std::int64_t group, int lane) const {
        if (spread) return group;
        const std::int64_t sample = group * lanes + lane;
        return sample < arrays.batch ? sample : arrays.batch - 1;
    }
    const double* cost_of(std::size_t step) const {
        return costs.get() + std::uint64_t(lowered.steps[step].table.cost) * padded_size();
    }
    std::uint64_t padded_size() const { return size() < std::uint64_t(lanes) ? std::uint64_t(lanes) : size(); }
    int valid_lanes(std::int64_t group) const {
        if (spread) return 1;
        const std::int64_t left = arrays.batch - group * lanes;
        return int(left < lanes ? left : lanes);
    }
};

// prepare.cpp
template <class Real>
void prepare_call(Call<Real>& call);
template <class Real>
void prepare_group(const Call<Real>& call, Workspace<Real>& space, std::int64_t group);
template <class Real>
const Real* turn_values(const Call<Real>& call, const Workspace<Real>& space, int turn) {
    const Real* base = call.differs[call.lowered.turns[turn].angle] ? space.turns : call.turns.get();
    return base + std::int64_t(turn) * turn_parts * call.lanes;
}
template <class Real>
const Real* shared_table(const Call<Real>& call, Workspace<Real>& space, std::size_t step);
template <class Real>
const Real* lane_table(const Call<Real>& call, Workspace<Real>& space, std::size_t step);

// product.cpp
template <class Real>
void start_state(const Call<Real>& call, Workspace<Real>& space);
template <class Real>
void unstart_state(const Call<Real>& call, Workspace<Real>& space);
std::size_t half_rows(const Lowered& lowered);

// steps.cpp
template <class Real>
void apply_step(const Call<Real>& call, Workspace<Real>& space, std::size_t step);
template <class Real>
void unapply_step(const Call<Real>& call, Workspace<Real>& space, std::size_t step);

// readout.cpp
template <class Real>
void write_values(const Call<Real>& call, Workspace<Real>& space, std::int64_t group);
template <class Real>
void write_values_and_start_lambda(const Call<Real>& call, Workspace<Real>& space, std::int64_t group);

}  // namespace ketgrad
