// From weights and inputs to slots, angles, coefficients of turns and phase tables.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "call.hpp"

namespace ketgrad {
namespace {

constexpr std::uint64_t kept_table_bytes = std::uint64_t(16) << 20;  // tables beyond this are made anew at each use

template <class Real>
void load_slots(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const std::int64_t weights = call.program().num_weights, inputs = call.program().num_inputs;
    const bool first = !space.started;
    for (int lane = 0; lane < call.lanes; ++lane) {
        const std::int64_t sample = call.sample(group, lane);
        double* slot = space.slots + lane;
        *slot = 1;
        if (first || call.arrays.weight_rows > 1) {
            const Real* w = call.arrays.weights + (call.arrays.weight_rows == 1 ? 0 : sample * weights);
            for (std::int64_t i = 0; i < weights; ++i) slot[(1 + i) * call.lanes] = w[i];
        }
        if (first || call.arrays.input_rows > 1) {
            const Real* x = call.arrays.inputs + (call.arrays.input_rows == 1 ? 0 : sample * inputs);
            for (std::int64_t i = 0; i < inputs; ++i) slot[(1 + weights + i) * call.lanes] = x[i];
        }
    }
}

template <class Real>
double angle_value(const Call<Real>& call, const double* slots, int angle, int lane) {
    double sum = 0;
    for (const Term& term : call.schedule.angles[angle].terms)
        sum += term.coefficient * slots[term.a * call.lanes + lane] * slots[term.b * call.lanes + lane];
    return sum;
}

/// Half the angle, reduced to less than one full turn of the state when it is large.
double half_angle(double angle) {
    constexpr double turn = 4 * std::numbers::pi, rest = 4 * 1.2246467991473532e-16;  // 4 pi = turn + rest
    if (std::abs(angle) > turn) {
        const double count = std::round(angle / turn);
        angle = std::fma(-count, rest, std::fma(-count, turn, angle));
    }
    return angle / 2;
}

template <class Real>
void fill(Real* lanes_of_value, int lanes, double value) {
    std::fill(lanes_of_value, lanes_of_value + lanes, Real(value));
}

/// cos and sin of half an angle as a turn: the larger one is taken out as a common factor where that is allowed.
template <class Real>
TurnForm make_turn(const Call<Real>& call, const TurnSource& source, double half, Real* values) {
    const double c = std::cos(half), s = std::sin(half);
    const int lanes = call.lanes;
    const auto write = [&](double a, double b, double inverse_a, double inverse_b) {
        fill(values, lanes, a);
        fill(values + lanes, lanes, b);
        fill(values + 2 * lanes, lanes, inverse_a);
        fill(values + 3 * lanes, lanes, inverse_b);
    };
    if (source.controlled || !call.schedule.passes.tangent) {
        write(c, s, c, -s);
        return {Form::full, 1, 1};
    }
    if (std::abs(c) >= std::abs(s)) {
        write(1, s / c, 1, -s / c);
        return {Form::tangent, c, c};
    }
    if (source.signed_sets) {
        write(c / s, 1, c / s, -1);
        return {Form::full, s, s};
    }
    write(c / s, 1, -c / s, 1);
    return {Form::cotangent, s, -s};
}

template <class Real>
void find_differences(Call<Real>& call) {
    const auto& angles = call.schedule.angles;
    call.differs.assign(angles.size(), 0);
    if (call.spread) return;
    for (std::size_t i = 0; i < angles.size(); ++i)
        for (const Term& term : angles[i].terms)
            if (call.slot_rows(term.a) > 1 || call.slot_rows(term.b) > 1) call.differs[i] = 1;
}

/// Scatters the angles of one kind (shared or not) over the Z words: a table of phases before its transform.
template <class Real, class Add>
void for_entries(const Call<Real>& call, std::size_t step, bool differing, Add add) {
    for (const Rotation& rotation : call.lowered.steps[step].table.rotations)
        if (bool(call.differs[rotation.angle]) == differing)
            add(rotation.word.z, rotation.word.power & 2 ? -rotation.scale : rotation.scale, rotation.angle);
}

/// exp(i factor angles[k]) in blocks of `lanes` of the call, computed in double precision.
template <class Real>
void fill_table(const Call<Real>& call, const double* angles, double factor, Real* table) {
    const std::uint64_t size = call.padded_size();
    if constexpr (sizeof(Real) == sizeof(double)) {
        call.exact.unit_phases(table, angles, size / call.lanes, factor);
    } else {
        const int exact_lanes = call.exact.lanes;
        Buffer<double> chunk = allocate<double>(2 * call.lanes);
        for (std::uint64_t k = 0; k < size; k += call.lanes) {
            call.exact.unit_phases(chunk.get(), angles + k, call.lanes / exact_lanes, factor);
            for (int l = 0; l < call.lanes; ++l) {
                const double* block = chunk.get() + l / exact_lanes * 2 * exact_lanes + l % exact_lanes;
                table[2 * k + l] = Real(block[0]);
                table[2 * k + call.lanes + l] = Real(block[exact_lanes]);
            }
        }
    }
}

template <class Real>
void make_shared_table(const Call<Real>& call, const double* slots, std::size_t step, Real* table) {
    if (call.uses_cost[step]) {
        const TableStep& one = call.lowered.steps[step].table;
        return fill_table(call, call.cost_of(step), -0.5 * slots[one.a * call.lanes] * slots[one.b * call.lanes], table);
    }
    Buffer<double> phases = allocate_zeros<double>(call.padded_size());
    for_entries(call, step, false, [&](std::uint64_t z, double scale, int angle) {
        phases[z] -= half_angle(scale * angle_value(call, slots, angle, 0));
    });
    call.exact.walsh(phases.get(), call.size());
    fill_table(call, phases.get(), 1, table);
}

/// Transforms the cost functions, and decides which tables may use theirs: shared ones whose phases stay moderate.
template <class Real>
void prepare_costs(Call<Real>& call, const double* slots) {
    constexpr double largest_phase = 1e5;  // range of the sine and cosine
    const auto& steps = call.lowered.steps;
    call.uses_cost.assign(steps.size(), 0);
    bool any = false;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const TableStep& table = steps[i].table;
        if (table.cost < 0 || call.differs[table.rotations[0].angle]) continue;
        const double factor = std::abs(slots[table.a * call.lanes] * slots[table.b * call.lanes]);
        call.uses_cost[i] = call.lowered.costs[table.cost].bound * factor < largest_phase;
        any = any || call.uses_cost[i];
    }
    if (!any) return;
    call.costs = allocate_zeros<double>(call.lowered.costs.size() * call.padded_size());
    for (std::size_t c = 0; c < call.lowered.costs.size(); ++c) {
        double* values = call.costs.get() + c * call.padded_size();
        for (const auto& [z, coefficient] : call.lowered.costs[c].entries) values[z] += coefficient;
        call.exact.walsh(values, call.size());
    }
}

template <class Real>
std::uint64_t table_reals(const Call<Real>& call) {
    return 2 * call.padded_size();
}

/// Decides which tables are kept for the whole call, and makes them.
template <class Real>
void prepare_tables(Call<Real>& call, const double* slots) {
    const auto& steps = call.lowered.steps;
    call.table_kinds.assign(steps.size(), 0);
    call.table_places.assign(steps.size(), -1);
    std::int64_t count = 0;
    for (std::size_t i = 0; i < steps.size(); ++i)
        for (const Rotation& rotation : steps[i].table.rotations) call.table_kinds[i] |= call.differs[rotation.angle] ? 2 : 1;
    for (char kind : call.table_kinds) count += kind & 1;
    const std::uint64_t reals = table_reals(call);
    if (count == 0 || count * reals * sizeof(Real) > kept_table_bytes) return;
    call.tables = allocate<Real>(count * reals);
    std::int64_t place = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        if (!(call.table_kinds[i] & 1)) continue;
        call.table_places[i] = place * std::int64_t(reals);
        make_shared_table(call, slots, i, call.tables.get() + call.table_places[i]);
        ++place;
    }
}

/// The diagonal words of an observable as a table of its values, made once per call.
template <class Real>
void prepare_observables(Call<Real>& call) {
    const auto& observables = call.lowered.observables;
    call.observable_places.assign(observables.size(), -1);
    std::int64_t count = 0;
    for (const auto& observable : observables) count += !observable.diagonal.empty();
    if (count == 0) return;
    const std::uint64_t size = call.padded_size();
    call.observable_tables = allocate_zeros<Real>(count * size);
    Real* table = call.observable_tables.get();
    for (std::size_t k = 0; k < observables.size(); ++k) {
        if (observables[k].diagonal.empty()) continue;
        for (const WeightedWord& word : observables[k].diagonal)
            table[word.word.z] += Real(word.word.power & 2 ? -word.coefficient : word.coefficient);
        call.kernels.walsh(table, call.size());
        call.observable_places[k] = table - call.observable_tables.get();
        table += size;
    }
}

}  // namespace

template <class Real>
void prepare_call(Call<Real>& call) {
    find_differences(call);
    Buffer<double> numbers = allocate<double>(call.program().num_slots() * call.lanes);
    Workspace<Real> space{};
    space.slots = numbers.get();
    load_slots(call, space, 0);
    const auto& turns = call.lowered.turns;
    call.forms.assign(turns.size(), {});
    call.turns = allocate<Real>(turns.size() * turn_parts * call.lanes);
    for (std::size_t t = 0; t < turns.size(); ++t) {
        if (call.differs[turns[t].angle]) {
            call.differing_turns.push_back(t);
            continue;
        }
        const double half = half_angle(turns[t].scale * angle_value(call, space.slots, turns[t].angle, 0));
        call.forms[t] = make_turn(call, turns[t], half, call.turns.get() + t * turn_parts * call.lanes);
    }
    prepare_costs(call, space.slots);
    prepare_tables(call, space.slots);
    prepare_observables(call);
}

template <class Real>
void prepare_group(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    load_slots(call, space, group);
    const int lanes = call.lanes;
    for (std::size_t i = 0; i < call.differing_turns.size(); ++i) {
        const TurnSource& source = call.lowered.turns[call.differing_turns[i]];
        for (int lane = 0; lane < lanes; ++lane)
            space.half_angles[i * lanes + lane] =
                Real(half_angle(source.scale * angle_value(call, space.slots, source.angle, lane)));
    }
    call.kernels.unit_phases(space.phases, space.half_angles, call.differing_turns.size(), 1);
    for (std::size_t i = 0; i < call.differing_turns.size(); ++i) {
        const Real* phase = space.phases + 2 * i * lanes;
        Real* values = space.turns + call.differing_turns[i] * turn_parts * lanes;
        std::copy(phase, phase + 2 * lanes, values);
        std::copy(phase, phase + lanes, values + 2 * lanes);
        for (int lane = 0; lane < lanes; ++lane) values[3 * lanes + lane] = -phase[lanes + lane];
    }
    space.started = true;
}

template <class Real>
const Real* shared_table(const Call<Real>& call, Workspace<Real>& space, std::size_t step) {
    if (call.table_places[step] >= 0) return call.tables.get() + call.table_places[step];
    make_shared_table(call, space.slots, step, space.scratch);
    return space.scratch;
}

template <class Real>
const Real* lane_table(const Call<Real>& call, Workspace<Real>& space, std::size_t step) {
    const std::uint64_t rows = call.rows();
    const int lanes = call.lanes;
    Real* phases = space.scratch + rows * lanes;  // the second half: the table overtakes the phases without touching them
    std::fill(phases, phases + rows * lanes, Real(0));
    for_entries(call, step, true, [&](std::uint64_t z, double scale, int angle) {
        for (int lane = 0; lane < lanes; ++lane)
            phases[z * lanes + lane] -= Real(half_angle(scale * angle_value(call, space.slots, angle, lane)));
    });
    call.kernels.walsh_rows(phases, rows);
    call.kernels.unit_phases(space.scratch, phases, rows, 1);
    return space.scratch;
}

template void prepare_call(Call<double>&);
template void prepare_call(Call<float>&);
template void prepare_group(const Call<double>&, Workspace<double>&, std::int64_t);
template void prepare_group(const Call<float>&, Workspace<float>&, std::int64_t);
template const double* shared_table(const Call<double>&, Workspace<double>&, std::size_t);
template const float* shared_table(const Call<float>&, Workspace<float>&, std::size_t);
template const double* lane_table(const Call<double>&, Workspace<double>&, std::size_t);
template const float* lane_table(const Call<float>&, Workspace<float>&, std::size_t);

}  // namespace ketgrad
