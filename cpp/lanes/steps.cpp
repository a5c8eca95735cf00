// One step forward on psi, and backward on psi and lambda together.
#include <algorithm>
#include <cmath>

#include "lanes/call.hpp"

namespace ketgrad {
namespace {

constexpr double smallest_scale = 0x1p-30;  // a smaller common factor is multiplied into the rows

/// A turn, or its inverse; a pending factor is put on both coefficients, which then need the full form.
template <class Real>
Turn<Real> get_turn(const Call<Real>& call, const Workspace<Real>& space, int index, bool inverse, double factor, Real* room) {
    const int lanes = call.lanes;
    if (call.plan.differs[call.lowered.turns[index].angle]) {
        const Real* phases = lane_phases(call, space, index);
        for (int l = 0; l < lanes; ++l) {
            room[l] = phases[l] * Real(factor);
            room[lanes + l] = phases[lanes + l] * Real(inverse ? -factor : factor);
        }
        return {room, room + lanes, Form::full};
    }
    const Real* values = call.turns.get() + std::int64_t(index) * turn_parts * lanes + (inverse ? 2 * lanes : 0);
    if (factor == 1) return {values, values + lanes, call.forms[index].form};
    for (int i = 0; i < 2 * lanes; ++i) room[i] = values[i] * Real(factor);
    return {room, room + lanes, Form::full};
}

/// The factor to multiply in now, taken from the scale.
template <class Real>
double take_small_scale(Workspace<Real>& space, bool allowed) {
    if (!allowed || std::abs(space.scale) > smallest_scale) return 1;
    const double factor = space.scale;
    space.scale = 1;
    return factor;
}

/// visit(step) once for the rows of all members of the pack, or for one after the other if their turns differ.
template <class Real, class Visit>
void for_rotations(const Call<Real>& call, Workspace<Real>& space, std::size_t index, Visit visit) {
    if (call.plan.step_differs[index])
        for_members(call, space, [&](int) { visit(std::get<RotationStep>(call.lowered.steps[index])); });
    else
        visit(std::get<RotationStep>(space.lowered->steps[index]));
}

template <class Real>
void rotate(const Call<Real>& call, Workspace<Real>& space, std::size_t index) {
    const RotationStep& turned = std::get<RotationStep>(call.lowered.steps[index]);
    const double factor = take_small_scale(space, !call.lowered.turns[turned.turns[0]].controlled);
    for_rotations(call, space, index, [&](const RotationStep& step) {
        alignas(64) Real room[2][2 * max_lanes];
        Turn<Real> turns[2] = {get_turn(call, space, step.turns[0], false, factor, room[0]), {}};
        if (step.turns[1] >= 0) turns[1] = get_turn(call, space, step.turns[1], false, 1, room[1]);
        for (const QuartetSet& set : step.quartets) call.kernels.rotate_quartets(space.psi, set, turns);
        for (const PairSet& set : step.pairs) call.kernels.rotate_pairs(space.psi, set, turns[0]);
        for (const SignedRows& set : step.phases) call.kernels.phase(space.psi, set, turns[0]);
    });
    for (int turn : turned.turns)
        if (turn >= 0) space.scale *= call.forms[turn].factor;
}

/// sums (per lane) times the square of the scale, to the derivative by the turn's angle.
template <class Real>
void add_angle_gradient(const Call<Real>& call, Workspace<Real>& space, int turn, const Real* sums, double square) {
    const TurnSource& source = call.lowered.turns[turn];
    if (call.schedule.angles[source.angle].is_constant) return;
    double* gradient = angle_gradient(call, space, source.angle);
    for (int l = 0; l < call.lanes; ++l) gradient[l] += source.scale * square * sums[l];
}

template <class Real>
void unrotate(const Call<Real>& call, Workspace<Real>& space, std::size_t index) {
    const RotationStep& turned = std::get<RotationStep>(call.lowered.steps[index]);
    const double square = space.scale * space.scale;
    const double factor = take_small_scale(space, !call.lowered.turns[turned.turns[0]].controlled);
    for_rotations(call, space, index, [&](const RotationStep& step) {
        alignas(64) Real room[2][2 * max_lanes], sums[2 * max_lanes] = {};
        Turn<Real> turns[2] = {get_turn(call, space, step.turns[0], true, factor, room[0]), {}};
        if (step.turns[1] >= 0) turns[1] = get_turn(call, space, step.turns[1], true, 1, room[1]);
        for (const QuartetSet& set : step.quartets) call.kernels.unrotate_quartets(space.psi, space.lambda, set, turns, sums);
        for (const PairSet& set : step.pairs) call.kernels.unrotate_pairs(space.psi, space.lambda, set, turns[0], sums);
        for (const SignedRows& set : step.phases) call.kernels.unphase(space.psi, space.lambda, set, turns[0], sums);
        add_angle_gradient(call, space, step.turns[0], sums, square);
        if (step.turns[1] >= 0) add_angle_gradient(call, space, step.turns[1], sums + call.lanes, square);
    });
    for (int turn : turned.turns)
        if (turn >= 0) space.scale *= call.forms[turn].inverse_factor;
}

template <class Real>
Real take_scale(Workspace<Real>& space) {
    const double factor = space.scale;
    space.scale = 1;
    return Real(factor);
}

template <class Real>
void multiply_tables(const Call<Real>& call, Workspace<Real>& space, std::size_t step) {
    if (call.plan.table_kinds[step] & 1) {
        const Real* table = shared_table(call, space, step);
        const auto kernel = call.spread ? call.kernels.multiply_rows : call.kernels.multiply_scalars;
        const Real factor = take_scale(space);
        for_members(call, space, [&](int) { kernel(space.psi, table, call.rows(), factor); });
    }
    if (call.plan.table_kinds[step] & 2) {
        const Real factor = take_scale(space);
        for_members(call, space, [&](int) {
            call.kernels.multiply_rows(space.psi, lane_table(call, space, step), call.rows(), factor);
        });
    }
}

/// Derivatives of a table's entries from the transformed overlaps: dE/dt = -+ scale sum_k (-1)^(z.k) Re(i ...) / 2.
template <class Real, class Overlap>
void add_table_gradient(const Call<Real>& call, Workspace<Real>& space, std::size_t step, bool differing,
                        const Overlap* overlaps, double square) {
    const int width = differing ? call.lanes : 1;
    for (const Rotation& rotation : call.table(step).rotations) {
        if (bool(call.plan.differs[rotation.angle]) != differing || call.schedule.angles[rotation.angle].is_constant) continue;
        const double sign = 0.5 * square * (rotation.word.power & 2 ? -rotation.scale : rotation.scale);
        double* gradient = angle_gradient(call, space, rotation.angle);
        for (int l = 0; l < width; ++l) gradient[l] += sign * overlaps[rotation.word.z * width + l];
    }
}

/// All phases are multiples of one cost function: the derivative is a single sum, without a transform. It is booked on the
/// first entry's angle, whose coefficient the chain rule will put back.
template <class Real, class Overlap>
void add_cost_gradient(const Call<Real>& call, Workspace<Real>& space, std::size_t step, const Overlap* overlaps,
                       double square) {
    const double* cost = call.cost_of(step);
    double sums[4] = {};
    for (std::uint64_t k = 0; k < call.size(); k += 4)
        for (std::uint64_t i = 0; i < 4 && k + i < call.size(); ++i) sums[i] += cost[k + i] * overlaps[k + i];
    const int angle = call.table(step).rotations[0].angle;
    const double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    *angle_gradient(call, space, angle) += 0.5 * square * sum / call.schedule.angles[angle].terms[0].coefficient;
}

/// The overlaps of a table that all samples share: transformed at once, or, for a table that is kept, once for a block.
template <class Real>
void use_overlaps(const Call<Real>& call, Workspace<Real>& space, std::size_t step, Real* overlaps, double square) {
    if (call.plan.table_places[step] >= 0) {
        double* sums = space.table_overlaps + call.plan.table_places[step] * std::int64_t(call.padded_size());
        call.kernels.add_scaled(sums, overlaps, call.size(), square);
        return;
    }
    if (call.uses_cost[step]) return add_cost_gradient(call, space, step, overlaps, square);
    call.kernels.walsh(overlaps, call.size());
    add_table_gradient(call, space, step, false, overlaps, square);
}

template <class Real>
void unmultiply_tables(const Call<Real>& call, Workspace<Real>& space, std::size_t step) {
    Real* overlaps = space.scratch;
    if (call.plan.table_kinds[step] & 2) {
        const double square = space.scale * space.scale;
        const Real factor = take_scale(space);
        for_members(call, space, [&](int) {
            const Real* table = lane_table(call, space, step);
            call.kernels.unmultiply_rows(space.psi, space.lambda, table, call.rows(), factor, overlaps);
            call.kernels.walsh_rows(overlaps, call.rows());
            add_table_gradient(call, space, step, true, overlaps, square);
        });
    }
    if (call.plan.table_kinds[step] & 1) {
        const double square = space.scale * space.scale;
        const Real factor = take_scale(space);
        const auto kernel = call.spread ? call.kernels.unmultiply_rows : call.kernels.unmultiply_scalars;
        for_members(call, space, [&](int) {
            const Real* table = shared_table(call, space, step);
            kernel(space.psi, space.lambda, table, call.rows(), factor, overlaps);
            use_overlaps(call, space, step, overlaps, square);
        });
    }
}

/// The matrix in the precision of the call; double precision is read where it is.
template <class Real>
const Real* matrix_values(const Call<Real>& call, Workspace<Real>& space, const std::vector<std::complex<double>>& matrix) {
    if constexpr (sizeof(Real) == sizeof(double)) {
        return reinterpret_cast<const double*>(matrix.data());
    } else {
        Real* values = space.dense + call.lowered.scratch_rows * call.row_reals();
        for (std::size_t i = 0; i < matrix.size(); ++i) {
            values[2 * i] = Real(matrix[i].real());
            values[2 * i + 1] = Real(matrix[i].imag());
        }
        return values;
    }
}

template <class Real>
void apply_dense(const Call<Real>& call, Workspace<Real>& space, const DenseStep& step, Real* state, bool inverse) {
    const Dense& dense = *call.schedule.layers[step.layer].dense();
    const auto kernel = step.spread ? call.kernels.dense_spread : call.kernels.dense;
    for (std::size_t i = 0; i < dense.classes.size(); ++i) {
        if (step.rows[i].dim < 0) continue;
        const Real* matrix = matrix_values(call, space, inverse ? dense.classes[i].adjoint : dense.classes[i].matrix);
        kernel(state, step.rows[i], dense.offsets.data(), int(dense.offsets.size()), matrix, space.dense);
    }
}

}  // namespace

template <class Real>
void apply_step(const Call<Real>& call, Workspace<Real>& space, std::size_t index) {
    const Step& step = call.lowered.steps[index];
    if (std::holds_alternative<RotationStep>(step))
        rotate(call, space, index);
    else if (std::holds_alternative<TableStep>(step))
        multiply_tables(call, space, index);
    else
        for_members(call, space, [&](int) { apply_dense(call, space, std::get<DenseStep>(step), space.psi, false); });
}

template <class Real>
void unapply_step(const Call<Real>& call, Workspace<Real>& space, std::size_t index) {
    const Step& step = call.lowered.steps[index];
    if (std::holds_alternative<RotationStep>(step)) {
        unrotate(call, space, index);
    } else if (std::holds_alternative<TableStep>(step)) {
        unmultiply_tables(call, space, index);
    } else {
        for_members(call, space, [&](int) {
            apply_dense(call, space, std::get<DenseStep>(step), space.psi, true);
            apply_dense(call, space, std::get<DenseStep>(step), space.lambda, true);
        });
    }
}

/// The overlaps of kept tables, summed over the samples of a block, become derivatives.
template <class Real>
void finish_tables(const Call<Real>& call, Workspace<Real>& space) {
    for (std::size_t step = 0; step < call.plan.table_places.size(); ++step) {
        if (call.plan.table_places[step] < 0) continue;
        double* overlaps = space.table_overlaps + call.plan.table_places[step] * std::int64_t(call.padded_size());
        if (call.uses_cost[step]) {
            add_cost_gradient(call, space, step, overlaps, 1);
        } else {
            call.exact.walsh(overlaps, call.size());
            add_table_gradient(call, space, step, false, overlaps, 1);
        }
    }
}

template void apply_step(const Call<double>&, Workspace<double>&, std::size_t);
template void apply_step(const Call<float>&, Workspace<float>&, std::size_t);
template void unapply_step(const Call<double>&, Workspace<double>&, std::size_t);
template void unapply_step(const Call<float>&, Workspace<float>&, std::size_t);
template void finish_tables(const Call<double>&, Workspace<double>&);
template void finish_tables(const Call<float>&, Workspace<float>&);

}  // namespace ketgrad
