// One call of a program: what all threads share, and what each needs for itself.
#pragma once
#include <array>
#include <bit>
#include <utility>
#include <vector>

#include "base/arrays.hpp"
#include "base/buffer.hpp"
#include "base/interrupt.hpp"
#include "gram/kernels.hpp"
#include "lanes/kernels.hpp"
#include "passes/lower.hpp"

namespace ketgrad {

/// Coefficients of a turn and of its inverse, `lanes` of each: a, b, inverse a, inverse b.
inline constexpr int turn_parts = 4;

/// The common factors that the half-tangent and half-cotangent forms leave out.
struct TurnForm {
    Form form = Form::full;
    double factor = 1, inverse_factor = 1;
};

/// Rows of the stages of the product state's two halves, and of their gradients.
std::size_t half_rows(const Lowered& lowered);
std::size_t half_gradient_rows(const Lowered& lowered);

/// A stretch of rotations of one qubit in the product state that all depend on the sample, or none.
struct ProductRun {
    bool differs;
    std::size_t first, count;  // rotations of the bit
    std::size_t place;         // among the runs that all samples share
};

inline constexpr int turn_matrix_parts = 4;    // of a run: the first column of its unitary
inline constexpr int bloch_matrix_parts = 9;   // and its inverse as a rotation of the sphere

/// Neighbouring groups of lanes that go through the steps together: 2^bits of them.
struct Pack {
    std::int64_t first = 0;
    int bits = 0;

    int members() const { return 1 << bits; }
};

/// What one thread holds while it works on a pack.
template <class Real>
struct Workspace {
    Buffer<Real> memory;
    Buffer<double> numbers;
    Real *states, *lambdas, *all_factors, *all_halves;  // one part per member of the pack
    Real *psi, *lambda, *factors, *halves;              // those of the member at hand
    int member = 0, wide = 0;                           // wide: lanes of all members
    const Lowered* lowered = nullptr;                   // the steps on the rows of all members
    Real* scratch;                  // one state at most: a table, then its overlaps
    Real *half_angles, *phases;     // of the turns that differ
    Real* dense;                    // gathered rows, and a matrix in the precision of the call
    Real *factor_gradients, *half_gradients;
    Real* outcomes;
    Real* permuted;                 // psi with its lanes permuted
    Real *amplitudes, *amplitude_gradient;
    double *slots, *dslots, *dangles;      // call.wide of each; those that all samples share use the first ones only
    double *run_overlaps, *table_overlaps;  // sums over the samples of a chunk
    double scale = 1;                       // the true state is scale * psi, and so is lambda
};

struct SlotRange {
    std::int64_t first, count;
    bool differs;
};

/// What follows from the program and from which arrays differ between samples; kept between calls.
template <class Real>
struct Plan {
    std::vector<char> differs;       // per angle: differs between lanes
    std::vector<int> differing_angles, shared_angles;  // those that are not constant
    std::vector<char> step_differs;  // per step: a turn differs
    std::vector<std::size_t> differing_turns, turn_places;
    std::vector<std::vector<ProductRun>> runs;  // per bit
    std::size_t num_shared_runs = 0;
    std::vector<char> table_kinds;   // per step: 1 has entries that all lanes share, 2 has others
    std::vector<std::int64_t> table_places;  // per step: the place of its kept table among them, or -1
    std::int64_t kept_tables = 0;
    Buffer<double> costs;            // values of the cost functions
    Buffer<Real> observable_tables;  // per observable with a table of its diagonal words
    std::vector<std::int64_t> observable_places;
    std::vector<WordRows<Real>> words;  // of the sum that is applied as a whole
    Buffer<Real> word_weights;
};

/// What the threads of one call share. Kept between calls: all but the arrays, and the values made of them, stays.
template <class Real>
struct Call {
    const Schedule& schedule;
    const LoweredPacks& packs;
    const Lowered& lowered;  // for one group
    const LaneKernels<Real>& kernels;
    const LaneKernels<double>& exact;  // tables are made in double precision
    const GramKernels<Real>& planes;   // for states that go into panels
    Arrays<Real> arrays;
    Interrupt* interrupt = nullptr;
    int lanes = 0, wide = 0, pack_bits = 0;
    bool spread = false;  // lanes are index bits of one state
    std::int64_t groups = 0, num_packs = 0, chunks = 0;
    bool polls_often = false;
    Plan<Real> plan{};
    // values made of the arrays
    std::vector<TurnForm> forms{};   // per turn
    std::vector<Real> run_matrices{};  // per shared run: turn_matrix_parts + bloch_matrix_parts
    std::vector<double> shared_slots{};
    Buffer<double> half_angles{}, phases{};  // of the shared turns, in rows of cosines and sines
    Buffer<Real> turns{};            // shared turns
    Buffer<Real> tables{};           // shared tables, when they are kept
    Buffer<double> table_phases{};   // room for making one
    std::vector<char> uses_cost{};   // per step: its phases are a multiple of a cost function
    Real* partial = nullptr;         // (chunks, slots - 1): gradients summed over the samples of a chunk

    const Program& program() const { return schedule.program; }
    bool backward() const { return arrays.cotangent; }
    std::uint64_t rows() const { return lowered.num_rows(); }
    std::uint64_t size() const { return std::uint64_t(1) << program().num_qubits; }
    std::uint64_t row_reals() const { return 2 * std::uint64_t(lanes); }
    std::uint64_t state_reals() const { return rows() * row_reals(); }
    std::uint64_t factor_reals() const { return 2 * std::uint64_t(program().num_qubits) * row_reals(); }
    bool slot_differs(std::int64_t slot) const {
        return slot != 0 && (slot <= program().num_weights ? arrays.weight_rows : arrays.input_rows) > 1;
    }
    /// The slots of the weights and those of the inputs; in each all differ between samples, or none.
    std::array<SlotRange, 2> slot_ranges() const {
        const std::int64_t weights = program().num_weights, inputs = program().num_inputs;
        return {{{1, weights, slot_differs(1)}, {1 + weights, inputs, inputs > 0 && slot_differs(1 + weights)}}};
    }
    /// The sample of a lane; lanes beyond the batch repeat the last one and have no cotangent.
    std::int64_t sample(std::int64_t group, int lane) const {
        if (spread) return group;
        const std::int64_t sample = group * lanes + lane;
        return sample < arrays.batch ? sample : arrays.batch - 1;
    }
    const TableStep& table(std::size_t step) const { return std::get<TableStep>(lowered.steps[step]); }
    const double* cost_of(std::size_t step) const { return plan.costs.get() + std::uint64_t(table(step).cost) * padded_size(); }
    std::uint64_t padded_size() const { return size() < std::uint64_t(lanes) ? std::uint64_t(lanes) : size(); }
    int valid_lanes(std::int64_t group) const {
        if (spread) return 1;
        const std::int64_t left = arrays.batch - group * lanes;
        return int(left < lanes ? left : lanes);
    }
    /// Packs of the largest size come first, then ever smaller ones for the rest.
    Pack pack(std::int64_t index) const {
        const std::int64_t whole = groups >> pack_bits;
        if (index < whole) return {index << pack_bits, pack_bits};
        Pack pack{whole << pack_bits, pack_bits};
        for (std::int64_t left = index - whole;; --left) {
            const std::uint64_t rest = std::uint64_t(groups - pack.first);
            pack.bits = 63 - std::countl_zero(rest);
            if (left == 0) return pack;
            pack.first += pack.members();
        }
    }
};

/// Value of a slot in the lanes of the pack; `step` is 0 where all samples share it.
struct SlotValues {
    const double* values;
    int step;

    double operator[](int lane) const { return values[lane * step]; }
};
template <class Real>
SlotValues slot_values(const Call<Real>& call, const Workspace<Real>& space, std::int64_t slot) {
    if (call.slot_differs(slot)) return {space.slots + slot * call.wide, 1};
    return {call.shared_slots.data() + slot, 0};
}
/// Where the derivatives by a slot or an angle are collected: lane by lane only if they differ.
template <class Real>
double* angle_gradient(const Call<Real>& call, Workspace<Real>& space, int angle) {
    return space.dangles + std::int64_t(angle) * call.wide + (call.plan.differs[angle] ? space.member * call.lanes : 0);
}

template <class Real>
void select_member(const Call<Real>& call, Workspace<Real>& space, int member) {
    space.member = member;
    space.psi = space.states + member * call.state_reals();
    space.lambda = space.lambdas + member * call.state_reals();
    space.factors = space.all_factors + member * call.factor_reals();
    space.halves = space.all_halves + member * half_rows(call.lowered) * call.row_reals();
}
/// visit(member) for the groups of a pack one by one.
template <class Real, class Visit>
void for_members(const Call<Real>& call, Workspace<Real>& space, Visit visit) {
    for (int member = 0; member * call.lanes < space.wide; ++member) {
        select_member(call, space, member);
        visit(member);
    }
    select_member(call, space, 0);
}

// prepare.cpp
/// What does not depend on the numbers in the arrays; then, for each call, what does.
template <class Real>
void plan_call(Call<Real>& call);
template <class Real>
void load_call(Call<Real>& call);
template <class Real>
void load_pack(const Call<Real>& call, Workspace<Real>& space, const Pack& pack);
/// Cosine and sine of half the angle of a turn that all samples share.
template <class Real>
std::pair<double, double> shared_phase(const Call<Real>& call, std::size_t turn) {
    const std::size_t lanes = call.exact.lanes;
    const double* phase = call.phases.get() + turn / lanes * 2 * lanes + turn % lanes;
    return {phase[0], phase[lanes]};
}
/// Cosines and sines of a turn that differs, in the lanes of the member at hand.
template <class Real>
const Real* lane_phases(const Call<Real>& call, const Workspace<Real>& space, int turn) {
    return space.phases + 2 * (call.plan.turn_places[turn] * space.wide + space.member * call.lanes);
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
template <class Real>
void finish_product(const Call<Real>& call, Workspace<Real>& space);

// steps.cpp
template <class Real>
void apply_step(const Call<Real>& call, Workspace<Real>& space, std::size_t step);
template <class Real>
void unapply_step(const Call<Real>& call, Workspace<Real>& space, std::size_t step);
template <class Real>
void finish_tables(const Call<Real>& call, Workspace<Real>& space);

// readout.cpp
template <class Real>
void write_values(const Call<Real>& call, Workspace<Real>& space, std::int64_t group);
/// The values of a sum of words; needs room for lambda.
template <class Real>
void write_sum(const Call<Real>& call, Workspace<Real>& space, std::int64_t group);
template <class Real>
void write_values_and_start_lambda(const Call<Real>& call, Workspace<Real>& space, std::int64_t group);

}  // namespace ketgrad
