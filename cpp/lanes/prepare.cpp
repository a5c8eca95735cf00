// From weights and inputs to slots, angles, coefficients of turns and phase tables.
#include <algorithm>
#include <cmath>

#include "lanes/call.hpp"
#include "lanes/engine.hpp"
#include "program/angle_reduction.hpp"

namespace ketgrad {
namespace {

/// The samples of the pack in the lanes, for what differs between them.
template <class Real>
void load_slots(const Call<Real>& call, Workspace<Real>& space, const Pack& pack) {
    const std::int64_t weights = call.program().num_weights, inputs = call.program().num_inputs;
    const auto load = [&](const Real* rows, std::int64_t count, std::int64_t first_slot) {
        for (int lane = 0; lane < space.wide; ++lane) {
            const Real* row = rows + call.sample(pack.first, lane) * count;
            double* slot = space.slots + first_slot * call.wide + lane;
            for (std::int64_t i = 0; i < count; ++i) slot[i * call.wide] = row[i];
        }
    };
    if (call.arrays.weight_rows > 1) load(call.arrays.weights, weights, 1);
    if (call.arrays.input_rows > 1) load(call.arrays.inputs, inputs, 1 + weights);
}

/// The value of an angle that all samples share.
template <class Real>
double shared_angle(const Call<Real>& call, int angle) {
    double sum = 0;
    for (const Term& term : call.schedule.angles[angle].terms)
        sum += term.coefficient * call.shared_slots[term.a] * call.shared_slots[term.b];
    return sum;
}

/// The values of an angle in `count` lanes of the pack.
template <class Real>
void lane_angles(const Call<Real>& call, const Workspace<Real>& space, int angle, int first, int count, double* result) {
    std::fill(result, result + count, 0.0);
    for (const Term& term : call.schedule.angles[angle].terms) {
        const SlotValues a = slot_values(call, space, term.a), b = slot_values(call, space, term.b);
        for (int l = 0; l < count; ++l) result[l] += term.coefficient * a[first + l] * b[first + l];
    }
}

double half_angle(double angle) { return within_a_turn(angle) / 2; }

template <class Real>
void fill(Real* lanes_of_value, int lanes, double value) {
    std::fill(lanes_of_value, lanes_of_value + lanes, Real(value));
}

/// cos and sin of half an angle as a turn: the larger one is taken out as a common factor where that is allowed.
template <class Real>
TurnForm make_turn(const Call<Real>& call, const TurnSource& source, double c, double s, Real* values) {
    const int lanes = call.lanes;
    const auto write = [&](double a, double b, double inverse_a, double inverse_b) {
        fill(values, lanes, a);
        fill(values + lanes, lanes, b);
        fill(values + 2 * lanes, lanes, inverse_a);
        fill(values + 3 * lanes, lanes, inverse_b);
    };
    if (source.controlled || !call.schedule.passes.half_tangent) {
        write(c, s, c, -s);
        return {Form::full, 1, 1};
    }
    if (std::abs(c) >= std::abs(s)) {
        write(1, s / c, 1, -s / c);
        return {Form::half_tangent, c, c};
    }
    if (source.signed_sets) {
        write(c / s, 1, c / s, -1);
        return {Form::full, s, s};
    }
    write(c / s, 1, -c / s, 1);
    return {Form::half_cotangent, s, -s};
}

template <class Real>
void find_differences(Call<Real>& call) {
    const auto& angles = call.schedule.angles;
    call.plan.differs.assign(angles.size(), 0);
    for (std::size_t i = 0; i < angles.size(); ++i) {
        for (const Term& term : angles[i].terms)
            if (!call.spread && (call.slot_differs(term.a) || call.slot_differs(term.b))) call.plan.differs[i] = 1;
        if (!angles[i].is_constant) (call.plan.differs[i] ? call.plan.differing_angles : call.plan.shared_angles).push_back(int(i));
    }
}

/// Scatters the angles of one kind (shared or not) over the Z words: a table of phases before its transform.
template <class Real, class Add>
void for_entries(const Call<Real>& call, std::size_t step, bool differing, Add add) {
    for (const Rotation& rotation : call.table(step).rotations)
        if (bool(call.plan.differs[rotation.angle]) == differing)
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
void make_shared_table(const Call<Real>& call, std::size_t step, double* phases, Real* table) {
    if (call.uses_cost[step]) {
        const TableStep& one = call.table(step);
        return fill_table(call, call.cost_of(step), -0.5 * call.shared_slots[one.a] * call.shared_slots[one.b], table);
    }
    std::fill_n(phases, call.padded_size(), 0.0);
    for_entries(call, step, false, [&](std::uint64_t z, double scale, int angle) {
        phases[z] -= half_angle(scale * shared_angle(call, angle));
    });
    call.exact.walsh(phases, call.size());
    fill_table(call, phases, 1, table);
}

/// The cost functions of tables that all samples share, transformed.
template <class Real>
void plan_costs(Call<Real>& call) {
    const auto& steps = call.lowered.steps;
    call.uses_cost.assign(steps.size(), 0);
    const bool any = std::any_of(steps.begin(), steps.end(), [&](const Step& step) {
        const TableStep* const table = std::get_if<TableStep>(&step);
        return table && table->cost >= 0 && !call.plan.differs[table->rotations[0].angle];
    });
    if (!any) return;
    call.plan.costs = allocate_zeros<double>(call.lowered.costs.size() * call.padded_size());
    for (std::size_t c = 0; c < call.lowered.costs.size(); ++c) {
        double* values = call.plan.costs.get() + c * call.padded_size();
        for (const auto& [z, coefficient] : call.lowered.costs[c].entries) values[z] += coefficient;
        call.exact.walsh(values, call.size());
    }
}

/// Which tables may use their cost function: shared ones whose phases stay moderate.
template <class Real>
void choose_costs(Call<Real>& call) {
    constexpr double largest_phase = 1e5;  // range of the sine and cosine
    const auto& steps = call.lowered.steps;
    for (std::size_t i = 0; call.plan.costs && i < steps.size(); ++i) {
        const TableStep* const table = std::get_if<TableStep>(&steps[i]);
        if (!table || table->cost < 0 || call.plan.differs[table->rotations[0].angle]) continue;
        const double factor = std::abs(call.shared_slots[table->a] * call.shared_slots[table->b]);
        call.uses_cost[i] = call.lowered.costs[table->cost].bound * factor < largest_phase;
    }
}

/// Decides which tables are kept for the whole call.
template <class Real>
void plan_tables(Call<Real>& call) {
    const auto& steps = call.lowered.steps;
    call.plan.table_kinds.assign(steps.size(), 0);
    call.plan.table_places.assign(steps.size(), -1);
    std::int64_t count = 0;
    for (std::size_t i = 0; i < steps.size(); ++i)
        if (const TableStep* const table = std::get_if<TableStep>(&steps[i]))
            for (const Rotation& rotation : table->rotations) call.plan.table_kinds[i] |= call.plan.differs[rotation.angle] ? 2 : 1;
    for (char kind : call.plan.table_kinds) count += kind & 1;
    const std::uint64_t reals = 2 * call.padded_size();
    if (count == 0 || count * reals * sizeof(Real) > kept_table_bytes) return;
    for (std::size_t i = 0; i < steps.size(); ++i)
        if (call.plan.table_kinds[i] & 1) call.plan.table_places[i] = call.plan.kept_tables++;
    call.tables = allocate<Real>(count * reals);
    call.table_phases = allocate<double>(call.padded_size());
}

template <class Real>
Real* kept_table(const Call<Real>& call, std::size_t step) {
    return call.tables.get() + call.plan.table_places[step] * std::int64_t(2 * call.padded_size());
}

/// The diagonal words of an observable as a table of its values, made once per call.
template <class Real>
void plan_observables(Call<Real>& call) {
    const auto& observables = call.lowered.observables;
    call.plan.observable_places.assign(observables.size(), -1);
    std::int64_t count = 0;
    for (const auto& observable : observables) count += !observable.diagonal.empty();
    if (count == 0) return;
    const std::uint64_t size = call.padded_size();
    call.plan.observable_tables = allocate_zeros<Real>(count * size);
    Real* table = call.plan.observable_tables.get();
    for (std::size_t k = 0; k < observables.size(); ++k) {
        if (observables[k].diagonal.empty()) continue;
        for (const WeightedWord& word : observables[k].diagonal)
            table[word.word.z] += Real(word.word.power & 2 ? -word.coefficient : word.coefficient);
        call.kernels.walsh(table, call.size());
        call.plan.observable_places[k] = table - call.plan.observable_tables.get();
        table += size;
    }
}

/// The words of a sum in the form that the kernels take.
template <class Real>
void plan_words(Call<Real>& call) {
    if (!call.lowered.sums_words()) return;
    const auto& applied = call.lowered.observables[0].applied;
    call.plan.word_weights = allocate<Real>(2 * call.lanes * applied.size());
    Real* weights = call.plan.word_weights.get();
    const auto flip = [](std::uint64_t bit) { return bit ? -Real(0) : Real(0); };
    for (const AppliedWord& word : applied) {
        call.plan.words.push_back({word.x, word.z & ~std::uint64_t(3), weights, {flip(word.z & 1), flip(word.z & 2)}});
        for (int parity = 0; parity < 2; ++parity)
            for (int l = 0; l < call.lanes; ++l)
                *weights++ = Real((word.negative_lanes >> l & 1) == unsigned(parity) ? word.coefficient : -word.coefficient);
    }
}

/// Turns that differ get a place each; so does every stretch of the product state's rotations that does not.
template <class Real>
void plan_turns(Call<Real>& call) {
    const auto& turns = call.lowered.turns;
    const auto differs = [&](int turn) { return turn >= 0 && call.plan.differs[turns[turn].angle]; };
    call.plan.turn_places.assign(turns.size(), 0);
    for (std::size_t t = 0; t < turns.size(); ++t) {
        if (!differs(int(t))) continue;
        call.plan.turn_places[t] = call.plan.differing_turns.size();
        call.plan.differing_turns.push_back(t);
    }
    for (const Step& step : call.lowered.steps) {
        const RotationStep* const rotation = std::get_if<RotationStep>(&step);
        call.plan.step_differs.push_back(rotation && (differs(rotation->turns[0]) || differs(rotation->turns[1])));
    }
    for (const auto& rotations : call.lowered.product) {
        auto& runs = call.plan.runs.emplace_back();
        for (std::size_t i = 0; i < rotations.size(); ++i) {
            const bool varies = differs(rotations[i].turn);
            if (runs.empty() || runs.back().differs != varies)
                runs.push_back({varies, i, 0, varies ? 0 : call.plan.num_shared_runs++});
            ++runs.back().count;
        }
    }
    const std::size_t exact_lanes = call.exact.lanes, padded = (turns.size() + exact_lanes - 1) / exact_lanes * exact_lanes;
    call.forms.assign(turns.size(), {});
    call.half_angles = allocate_zeros<double>(padded);
    call.phases = allocate<double>(2 * padded);
    call.turns = allocate<Real>(turns.size() * turn_parts * call.lanes);
    call.run_matrices.resize(call.plan.num_shared_runs * (turn_matrix_parts + bloch_matrix_parts));
}

/// A run of rotations as one: the first column of its unitary, and the inverse rotation of the sphere, row by row.
template <class Real>
void make_run(const Call<Real>& call, const std::vector<ProductRotation>& rotations, const ProductRun& run, Real* matrix) {
    double v[4] = {1, 0, 0, 0};
    for (std::size_t i = run.first; i < run.first + run.count; ++i) {
        const auto [c, s] = shared_phase(call, rotations[i].turn);
        const double a = v[0], b = v[1], d = v[2], e = v[3];
        const double turned[3][4] = {{c * a + s * e, c * b - s * d, c * d + s * b, c * e - s * a},
                                     {c * a - s * d, c * b - s * e, c * d + s * a, c * e + s * b},
                                     {c * a + s * b, c * b - s * a, c * d - s * e, c * e + s * d}};
        std::copy(turned[rotations[i].axis], turned[rotations[i].axis] + 4, v);
    }
    for (int k = 0; k < turn_matrix_parts; ++k) matrix[k] = Real(v[k]);
    double bloch[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    for (std::size_t i = run.first + run.count; i-- > run.first;)
        for (int column = 0; column < 3; ++column) {
            const auto [c, s] = shared_phase(call, rotations[i].turn);
            const double full_c = c * c - s * s, full_s = 2 * c * s;
            double &p = bloch[(rotations[i].axis + 1) % 3][column], &q = bloch[(rotations[i].axis + 2) % 3][column];
            const double p0 = p;
            p = full_c * p0 + full_s * q;
            q = full_c * q - full_s * p0;
        }
    for (int k = 0; k < bloch_matrix_parts; ++k) matrix[turn_matrix_parts + k] = Real(bloch[k / 3][k % 3]);
}

template <class Real>
void load_turns(Call<Real>& call) {
    const auto& turns = call.lowered.turns;
    for (std::size_t t = 0; t < turns.size(); ++t)
        if (!call.plan.differs[turns[t].angle])
            call.half_angles[t] = half_angle(turns[t].scale * shared_angle(call, turns[t].angle));
    const std::uint64_t blocks = (turns.size() + call.exact.lanes - 1) / call.exact.lanes;
    call.exact.unit_phases(call.phases.get(), call.half_angles.get(), blocks, 1);
    std::size_t first = 0;  // of the turns that are not in the product state
    for (std::size_t bit = 0; bit < call.plan.runs.size(); ++bit) {
        first += call.lowered.product[bit].size();
        for (const ProductRun& run : call.plan.runs[bit])
            if (!run.differs)
                make_run(call, call.lowered.product[bit], run,
                         call.run_matrices.data() + run.place * (turn_matrix_parts + bloch_matrix_parts));
    }
    for (std::size_t t = first; t < turns.size(); ++t) {
        if (call.plan.differs[turns[t].angle]) continue;
        const auto [c, s] = shared_phase(call, t);
        call.forms[t] = make_turn(call, turns[t], c, s, call.turns.get() + t * turn_parts * call.lanes);
    }
}

}  // namespace

template <class Real>
void plan_call(Call<Real>& call) {
    find_differences(call);
    plan_turns(call);
    plan_costs(call);
    plan_tables(call);
    plan_observables(call);
    plan_words(call);
    call.shared_slots.assign(call.program().num_slots(), 1.0);
}

template <class Real>
void load_call(Call<Real>& call) {
    const std::int64_t weights = call.program().num_weights, inputs = call.program().num_inputs;
    if (call.arrays.weight_rows == 1) std::copy_n(call.arrays.weights, weights, call.shared_slots.begin() + 1);
    if (call.arrays.input_rows == 1) std::copy_n(call.arrays.inputs, inputs, call.shared_slots.begin() + 1 + weights);
    load_turns(call);
    choose_costs(call);
    for (std::size_t i = 0; i < call.plan.table_places.size(); ++i)
        if (call.plan.table_places[i] >= 0) make_shared_table(call, i, call.table_phases.get(), kept_table(call, i));
}

template <class Real>
void load_pack(const Call<Real>& call, Workspace<Real>& space, const Pack& pack) {
    space.lowered = &call.packs.of(pack.bits);
    space.wide = call.lanes << pack.bits;
    load_slots(call, space, pack);
    alignas(64) double angles[max_lanes << max_pack_bits];
    for (std::size_t i = 0; i < call.plan.differing_turns.size(); ++i) {
        const TurnSource& source = call.lowered.turns[call.plan.differing_turns[i]];
        lane_angles(call, space, source.angle, 0, space.wide, angles);
        Real* halves = space.half_angles + i * space.wide;
        for (int l = 0; l < space.wide; ++l) halves[l] = Real(half_angle(source.scale * angles[l]));
    }
    call.kernels.unit_phases(space.phases, space.half_angles, call.plan.differing_turns.size() << pack.bits, 1);
}

template <class Real>
const Real* shared_table(const Call<Real>& call, Workspace<Real>& space, std::size_t step) {
    if (call.plan.table_places[step] >= 0) return kept_table(call, step);
    Buffer<double> phases = allocate<double>(call.padded_size());
    make_shared_table(call, step, phases.get(), space.scratch);
    return space.scratch;
}

template <class Real>
const Real* lane_table(const Call<Real>& call, Workspace<Real>& space, std::size_t step) {
    const std::uint64_t rows = call.rows();
    const int lanes = call.lanes;
    Real* phases = space.scratch + rows * lanes;  // the second half: the table overtakes the phases without touching them
    std::fill(phases, phases + rows * lanes, Real(0));
    double angles[max_lanes];
    for_entries(call, step, true, [&](std::uint64_t z, double scale, int angle) {
        lane_angles(call, space, angle, space.member * lanes, lanes, angles);
        for (int lane = 0; lane < lanes; ++lane) phases[z * lanes + lane] -= Real(half_angle(scale * angles[lane]));
    });
    call.kernels.walsh_rows(phases, rows);
    call.kernels.unit_phases(space.scratch, phases, rows, 1);
    return space.scratch;
}

template void plan_call(Call<double>&);
template void plan_call(Call<float>&);
template void load_call(Call<double>&);
template void load_call(Call<float>&);
template void load_pack(const Call<double>&, Workspace<double>&, const Pack&);
template void load_pack(const Call<float>&, Workspace<float>&, const Pack&);
template const double* shared_table(const Call<double>&, Workspace<double>&, std::size_t);
template const float* shared_table(const Call<float>&, Workspace<float>&, std::size_t);
template const double* lane_table(const Call<double>&, Workspace<double>&, std::size_t);
template const float* lane_table(const Call<float>&, Workspace<float>&, std::size_t);

}  // namespace ketgrad
