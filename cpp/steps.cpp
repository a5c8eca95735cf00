// One step forward on psi, and backward on psi and lambda together.
#include <algorithm>
#include <cmath>

#include "call.hpp"

namespace ketgrad {
namespace {

constexpr double smallest_scale = 0x1p-30;  // a smaller common factor is multiplied into the rows

/// A turn, or its inverse; a pending factor is put on both coefficients, which then need the full form.
template <class Real>
Turn<Real> get_turn(const Call<Real>& call, const Workspace<Real>& space, int index, bool inverse, double factor, Real* room) {
    const Real* values = turn_values(call, space, index) + (inverse ? 2 * call.lanes : 0);
    if (factor == 1) return {values, values + call.lanes, call.forms[index].form};
    for (int i = 0; i < 2 * call.lanes; ++i) room[i] = values[i] * Real(factor);
    return {room, room + call.lanes, Form::full};
}

/// The factor to multiply in now, taken from the scale.
template <class Real>
double take_small_scale(Workspace<Real>& space, bool allowed) {
    if (!allowed || std::abs(space.scale) > smallest_scale) return 1;
    const double factor = space.scale;
    space.scale = 1;
    return factor;
}

template <class Real>
void rotate(const Call<Real>& call, Workspace<Real>& space, const RotationStep& step) {
    alignas(64) Real room[2 * max_lanes];
    const bool controlled = call.lowered.turns[step.turns[0]].controlled;
    const double factor = take_small_scale(space, !controlled);
    Turn<Real> turns[2] = {get_turn(call, space, step.turns[0], false, factor, room), {}};
    space.scale *= call.forms[step.turns[0]].factor;
    if (step.turns[1] >= 0) {
        turns[1] = get_turn<Real>(call, space, step.turns[1], false, 1, nullptr);
        space.scale *= call.forms[step.turns[1]].factor;
    }
    for (const QuartetSet& set : step.quartets) call.kernels.rotate_quartets(space.psi, set, turns);
    for (const PairSet& set : step.pairs) call.kernels.rotate_pairs(space.psi, set, turns[0]);
    for (const SignedRows& set : step.phases) call.kernels.phase(space.psi, set, turns[0]);
}

/// sums (per lane) times the square of the scale, to the derivative by the turn's angle.
template <class Real>
void add_angle_gradient(const Call<Real>& call, Workspace<Real>& space, int turn, const Real* sums, double square) {
    const TurnSource& source = call.lowered.turns[turn];
    if (call.schedule.angles[source.angle].is_constant) return;
    double* gradient = space.dangles + std::int64_t(source.angle) * call.lanes;
    for (int l = 0; l < call.lanes; ++l) gradient[l] += source.scale * square * sums[l];
}

template <class Real>
void unrotate(const Call<Real>& call, Workspace<Real>& space, const RotationStep& step) {
    alignas(64) Real room[2 * max_lanes], sums[2 * max_lanes] = {};
    const double square = space.scale * space.scale;
    const bool controlled = call.lowered.turns[step.turns[0]].controlled;
    const double factor = take_small_scale(space, !controlled);
    Turn<Real> turns[2] = {get_turn(call, space, step.turns[0], true, factor, room), {}};
    space.scale *= call.forms[step.turns[0]].inverse_factor;
    if (step.turns[1] >= 0) {
        turns[1] = get_turn<Real>(call, space, step.turns[1], true, 1, nullptr);
        space.scale *= call.forms[step.turns[1]].inverse_factor;
    }
    for (const QuartetSet& set : step.quartets) call.kernels.unrotate_quartets(space.psi, space.lambda, set, turns, sums);
    for (const PairSet& set : step.pairs) call.kernels.unrotate_pairs(space.psi, space.lambda, set, turns[0], sums);
    for (const SignedRows& set : step.phases) call.kernels.unphase(space.psi, space.lambda, set, turns[0], sums);
    add_angle_gradient(call, space, step.turns[0], sums, square);
    if (step.turns[1] >= 0) add_angle_gradient(call, space, step.turns[1], sums + call.lanes, square);
}

template <class Real>
Real take_scale(Workspace<Real>& space) {
    const double factor = space.scale;
    space.scale = 1;
    return Real(factor);
}

template <class Real>
void multiply_tables(const Call<Real>& call, Workspace<Real>& space, std::size_t step) {
    if (call.table_kinds[step] & 1) {
        const Real* table = shared_table(call, space, step);
        if (call.spread)
            call.kernels.multiply_rows(space.psi, table, call.rows(), take_scale(space));
        else
            call.kernels.multiply_scalars(space.psi, table, call.rows(), take_scale(space));
    }
    if (call.table_kinds[step] & 2)
        call.kernels.multiply_rows(space.psi, lane_table(call, space, step), call.rows(), take_scale(space));
}

/// Derivatives of a table's entries from the transformed overlaps: dE/dt = -+ scale sum_k (-1)^(z.k) Re(i ...) / 2.
template <class Real>
void add_table_gradient(const Call<Real>& call, Workspace<Real>& space, std::size_t step, bool differing, const Real* overlaps,
                        double square) {
    const int width = differing ? call.lanes : 1;
    for (const Rotation& rotation : call.lowered.steps[step].table.rotations) {
        if (bool(call.differs[rotation.angle]) != differing || call.schedule.angles[rotation.angle].is_constant) continue;
        const double sign = 0.5 * square * (rotation.word.power & 2 ? -rotation.scale : rotation.scale);
        double* gradient = space.dangles + std::int64_t(rotation.angle) * call.lanes;
        for (int l = 0; l < width; ++l) gradient[l] += sign * overlaps[rotation.word.z * width + l];
    }
}

/// All phases are multiples of one cost function: the derivative is a single sum, without a transform. It is booked on the
/// first entry's angle, whose coefficient the chain rule will put back.
template <class Real>
void add_cost_gradient(const Call<Real>& call, Workspace<Real>& space, std::size_t step, const Real* overlaps, double square) {
    const double* cost = call.cost_of(step);
    double sums[4] = {};
    for (std::uint64_t k = 0; k < call.size(); k += 4)
        for (std::uint64_t i = 0; i < 4 && k + i < call.size(); ++i) sums[i] += cost[k + i] * overlaps[k + i];
    const int angle = call.lowered.steps[step].table.rotations[0].angle;
    const double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    space.dangles[std::int64_t(angle) * call.lanes] += 0.5 * square * sum / call.schedule.angles[angle].terms[0].coefficient;
}

template <class Real>
void unmultiply_tables(const Call<Real>& call, Workspace<Real>& space, std::size_t step) {
    Real* overlaps = space.scratch;
    if (call.table_kinds[step] & 2) {
        const double square = space.scale * space.scale;
        const Real* table = lane_table(call, space, step);
        call.kernels.unmultiply_rows(space.psi, space.lambda, table, call.rows(), take_scale(space), overlaps);
        call.kernels.walsh_rows(overlaps, call.rows());
        add_table_gradient(call, space, step, true, overlaps, square);
    }
    if (call.table_kinds[step] & 1) {
        const double square = space.scale * space.scale;
        const Real* table = shared_table(call, space, step);
        if (call.spread)
            call.kernels.unmultiply_rows(space.psi, space.lambda, table, call.rows(), take_scale(space), overlaps);
        else
            call.kernels.unmultiply_scalars(space.psi, space.lambda, table, call.rows(), take_scale(space), overlaps);
        if (call.uses_cost[step]) return add_cost_gradient(call, space, step, overlaps, square);
        call.kernels.walsh(overlaps, call.size());
        add_table_gradient(call, space, step, false, overlaps, square);
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
    const Dense& dense = *step.dense;
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
    if (step.kind == StepKind::rotation)
        rotate(call, space, step.rotation);
    else if (step.kind == StepKind::table)
        multiply_tables(call, space, index);
    else
        apply_dense(call, space, step.dense, space.psi, false);
}

template <class Real>
void unapply_step(const Call<Real>& call, Workspace<Real>& space, std::size_t index) {
    const Step& step = call.lowered.steps[index];
    if (step.kind == StepKind::rotation) {
        unrotate(call, space, step.rotation);
    } else if (step.kind == StepKind::table) {
        unmultiply_tables(call, space, index);
    } else {
        apply_dense(call, space, step.dense, space.psi, true);
        apply_dense(call, space, step.dense, space.lambda, true);
    }
}

template void apply_step(const Call<double>&, Workspace<double>&, std::size_t);
template void apply_step(const Call<float>&, Workspace<float>&, std::size_t);
template void unapply_step(const Call<double>&, Workspace<double>&, std::size_t);
template void unapply_step(const Call<float>&, Workspace<float>&, std::size_t);

}  // namespace ketgrad
