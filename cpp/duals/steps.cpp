// One step forward on psi and its tangent, and backward on psi, lambda and both tangents.
#include <algorithm>

#include "duals/call.hpp"

namespace ketgrad {
namespace {

template <class Real>
DualTurn<Real> dual_turn(const DualCall<Real>& dual, const DualSpace<Real>& space, int turn, bool inverse, Real* room) {
    const Call<Real>& call = dual.call;
    const int lanes = call.lanes;
    const Real* values = call.turns.get() + std::int64_t(turn) * turn_parts * lanes + (inverse ? 2 * lanes : 0);
    if (call.plan.differs[call.lowered.turns[turn].angle]) {
        const Real* phases = lane_phases(call, space.point, turn);
        for (int l = 0; l < lanes; ++l) {
            room[l] = phases[l];
            room[lanes + l] = inverse ? -phases[lanes + l] : phases[lanes + l];
        }
        values = room;
    }
    return {values, values + lanes, space.shears + (2 * std::int64_t(turn) + inverse) * lanes};
}

template <class Real>
void rotate(const DualCall<Real>& dual, DualSpace<Real>& space, const RotationStep& step) {
    const DualKernels<Real>& kernels = dual.kernels;
    alignas(64) Real room[2][2 * max_lanes];
    DualTurn<Real> turns[2] = {dual_turn(dual, space, step.turns[0], false, room[0]), {}};
    if (step.turns[1] >= 0) turns[1] = dual_turn(dual, space, step.turns[1], false, room[1]);
    for (const QuartetSet& set : step.quartets) kernels.rotate_quartets(space.point.psi, space.dpsi, set, turns);
    for (const PairSet& set : step.pairs) kernels.rotate_pairs(space.point.psi, space.dpsi, set, turns[0]);
    for (const SignedRows& set : step.phases) kernels.phase(space.point.psi, space.dpsi, set, turns[0]);
}

template <class Real>
void unrotate(const DualCall<Real>& dual, DualSpace<Real>& space, const RotationStep& step) {
    const DualKernels<Real>& kernels = dual.kernels;
    const int lanes = dual.call.lanes;
    alignas(64) Real sums[4 * max_lanes] = {};
    Real* const states[4] = {space.point.psi, space.dpsi, space.point.lambda, space.dlambda};
    alignas(64) Real room[2][2 * max_lanes];
    DualTurn<Real> turns[2] = {dual_turn(dual, space, step.turns[0], true, room[0]), {}};
    if (step.turns[1] >= 0) turns[1] = dual_turn(dual, space, step.turns[1], true, room[1]);
    for (const QuartetSet& set : step.quartets) kernels.unrotate_quartets(states, set, turns, sums);
    for (const PairSet& set : step.pairs) kernels.unrotate_pairs(states, set, turns[0], sums);
    for (const SignedRows& set : step.phases) kernels.unphase(states, set, turns[0], sums);
    for (int i = 0; i < 2 && step.turns[i] >= 0; ++i) {
        const TurnSource& source = dual.call.lowered.turns[step.turns[i]];
        const std::int64_t place = std::int64_t(source.angle) * lanes;
        for (int l = 0; l < lanes; ++l) {
            space.point.dangles[place + l] += source.scale * sums[i * lanes + l];
            space.dangle_rates[place + l] += source.scale * sums[(2 + i) * lanes + l];
        }
    }
}

double signed_scale(const Rotation& rotation) { return rotation.word.power & 2 ? -rotation.scale : rotation.scale; }

/// How fast the phases of a table change: scattered over the Z words, then transformed. Shared ones are scalars.
template <class Real>
void make_rates(const DualCall<Real>& dual, DualSpace<Real>& space, std::size_t step, bool differing) {
    const Call<Real>& call = dual.call;
    const int width = differing ? call.lanes : 1;
    std::fill(space.rates, space.rates + (differing ? call.rows() * call.lanes : call.padded_size()), Real(0));
    for (const Rotation& rotation : call.table(step).rotations) {
        if (bool(call.plan.differs[rotation.angle]) != differing) continue;
        const double half = 0.5 * signed_scale(rotation);
        for (int l = 0; l < width; ++l)
            space.rates[rotation.word.z * width + l] -= Real(half * dual.angle_rate(space, rotation.angle, l));
    }
    if (differing)
        call.kernels.walsh_rows(space.rates, call.rows());
    else
        call.kernels.walsh(space.rates, call.size());
}

template <class Real>
void multiply_tables(const DualCall<Real>& dual, DualSpace<Real>& space, std::size_t step) {
    const Call<Real>& call = dual.call;
    for (const bool differing : {false, true}) {
        if (!(call.plan.table_kinds[step] & (differing ? 2 : 1))) continue;
        make_rates(dual, space, step, differing);
        const Real* table = differing ? lane_table(call, space.point, step) : shared_table(call, space.point, step);
        const auto kernel = differing || call.spread ? dual.kernels.multiply_rows : dual.kernels.multiply_scalars;
        kernel(space.point.psi, space.dpsi, table, space.rates, call.rows());
    }
}

template <class Real>
void add_table_gradients(const DualCall<Real>& dual, DualSpace<Real>& space, std::size_t step, bool differing) {
    const Call<Real>& call = dual.call;
    const int width = differing ? call.lanes : 1;
    for (const Rotation& rotation : call.table(step).rotations) {
        if (bool(call.plan.differs[rotation.angle]) != differing) continue;
        const double half = 0.5 * signed_scale(rotation);
        const std::int64_t place = std::int64_t(rotation.angle) * call.lanes;
        for (int l = 0; l < width; ++l) {
            space.point.dangles[place + l] += half * space.overlaps[rotation.word.z * width + l];
            space.dangle_rates[place + l] += half * space.overlap_rates[rotation.word.z * width + l];
        }
    }
}

/// Sums over lanes that share a table: one scalar per row, in place.
template <class Real>
void sum_lanes(const Call<Real>& call, Real* overlaps) {
    for (std::uint64_t k = 0; k < call.rows(); ++k) {
        Real sum = 0;
        for (int l = 0; l < call.lanes; ++l) sum += overlaps[k * call.lanes + l];
        overlaps[k] = sum;
    }
}

template <class Real>
void unmultiply_tables(const DualCall<Real>& dual, DualSpace<Real>& space, std::size_t step) {
    const Call<Real>& call = dual.call;
    Real* const states[4] = {space.point.psi, space.dpsi, space.point.lambda, space.dlambda};
    for (const bool differing : {true, false}) {
        if (!(call.plan.table_kinds[step] & (differing ? 2 : 1))) continue;
        make_rates(dual, space, step, differing);
        const Real* table = differing ? lane_table(call, space.point, step) : shared_table(call, space.point, step);
        const auto kernel = differing || call.spread ? dual.kernels.unmultiply_rows : dual.kernels.unmultiply_scalars;
        kernel(states, table, space.rates, call.rows(), space.overlaps, space.overlap_rates);
        for (Real* overlaps : {space.overlaps, space.overlap_rates}) {
            if (differing) {
                call.kernels.walsh_rows(overlaps, call.rows());
                continue;
            }
            if (!call.spread) sum_lanes(call, overlaps);
            call.kernels.walsh(overlaps, call.size());
        }
        add_table_gradients(dual, space, step, differing);
    }
}

}  // namespace

template <class Real>
void apply_dual_step(const DualCall<Real>& dual, DualSpace<Real>& space, std::size_t index) {
    const Step& step = dual.call.lowered.steps[index];
    if (const RotationStep* rotation = std::get_if<RotationStep>(&step)) return rotate(dual, space, *rotation);
    if (std::holds_alternative<TableStep>(step)) return multiply_tables(dual, space, index);
    for (int i = 0; i < 2; ++i) {
        apply_step(dual.call, space.point, index);
        exchange(space);
    }
}

template <class Real>
void unapply_dual_step(const DualCall<Real>& dual, DualSpace<Real>& space, std::size_t index) {
    const Step& step = dual.call.lowered.steps[index];
    if (const RotationStep* rotation = std::get_if<RotationStep>(&step)) return unrotate(dual, space, *rotation);
    if (std::holds_alternative<TableStep>(step)) return unmultiply_tables(dual, space, index);
    for (int i = 0; i < 2; ++i) {
        unapply_step(dual.call, space.point, index);
        exchange(space);
    }
}

template void apply_dual_step(const DualCall<double>&, DualSpace<double>&, std::size_t);
template void apply_dual_step(const DualCall<float>&, DualSpace<float>&, std::size_t);
template void unapply_dual_step(const DualCall<double>&, DualSpace<double>&, std::size_t);
template void unapply_dual_step(const DualCall<float>&, DualSpace<float>&, std::size_t);

}  // namespace ketgrad
