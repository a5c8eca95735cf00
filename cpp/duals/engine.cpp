// The engine for dual states: forward and backward over groups of lanes, the chain rule, and sums in a fixed order.
#include "duals/engine.hpp"

#include <algorithm>
#include <bit>

#include "base/parts.hpp"
#include "base/pool.hpp"
#include "duals/call.hpp"
#include "lanes/samples.hpp"

namespace ketgrad {
namespace {

constexpr std::int64_t max_chunks = 64;  // a constant, so that sums never depend on threads

std::size_t largest_matrix(const Schedule& schedule) {
    std::size_t size = 0;
    for (const Layer& layer : schedule.layers)
        if (layer.dense())
            for (const DenseClass& one : layer.dense()->classes) size = std::max(size, one.matrix.size());
    return size;
}

template <class Real>
void add_tables(const Call<Real>& call, DualSpace<Real>& space, Parts<Real>& parts) {
    const bool any = std::any_of(call.plan.table_kinds.begin(), call.plan.table_kinds.end(), [](char kind) { return kind; });
    const std::size_t amplitudes = any ? std::max<std::size_t>(call.rows() * call.lanes, call.padded_size()) : 0;
    parts.add(space.point.scratch, 2 * amplitudes);
    parts.add(space.rates, amplitudes);
    parts.add(space.overlaps, call.backward() ? amplitudes : 0);
    parts.add(space.overlap_rates, call.backward() ? amplitudes : 0);
}

template <class Real>
DualSpace<Real> make_space(const DualCall<Real>& dual) {
    const Call<Real>& call = dual.call;
    // states a multiple of 4 KiB apart would share the few cache lines of each set
    const std::size_t skew = 1024 / sizeof(Real), row = call.row_reals(), state = call.rows() * row + skew;
    const std::size_t turns = call.lowered.turns.size() * call.lanes;
    const bool measures = call.program().question == Question::probabilities;
    std::size_t largest = 0;
    for (const Preparation& factor : call.schedule.preparations) largest = std::max(largest, factor.offsets.size() * row);
    DualSpace<Real> space{};
    Workspace<Real>& point = space.point;
    Parts<Real> parts;
    parts.add(point.states, state);
    parts.add(space.dpsi, state);
    parts.add(point.lambdas, call.backward() ? state : 0);
    parts.add(space.dlambda, call.backward() ? state : 0);
    parts.add(space.shears, turns * 2);
    parts.add(point.half_angles, call.plan.differing_turns.size() * call.lanes);
    parts.add(point.phases, call.plan.differing_turns.size() * row);
    parts.add(point.dense, call.lowered.scratch_rows * row + 2 * largest_matrix(call.schedule));
    parts.add(point.outcomes, measures ? (std::size_t(1) << call.lowered.outcome_bits) * call.lanes : 0);
    parts.add(space.outcome_rates, measures ? (std::size_t(1) << call.lowered.outcome_bits) * call.lanes : 0);
    add_tables(call, space, parts);
    space.memory = parts.allocate_all();
    point.psi = point.states;
    point.lambda = point.lambdas;
    Parts<double> numbers;
    const std::size_t slots = call.program().num_slots() * call.lanes, angles = call.schedule.angles.size() * call.lanes;
    for (double** part : {&point.slots, &space.slot_rates, &point.dslots, &space.dslot_rates}) numbers.add(*part, slots);
    for (double** part : {&point.dangles, &space.dangle_rates}) numbers.add(*part, angles);
    for (double** part : {&space.amplitudes, &space.amplitude_rates, &space.environment, &space.environment_rates})
        numbers.add(*part, largest);
    space.numbers = numbers.allocate_all();
    return space;
}

/// How fast slots and turns change along the direction; what all samples share is made once.
template <class Real>
void prepare_rates(const DualCall<Real>& dual, DualSpace<Real>& space, std::int64_t group, bool first) {
    const Call<Real>& call = dual.call;
    const std::int64_t weights = call.program().num_weights, inputs = call.program().num_inputs;
    for (std::int64_t slot = 0; first && slot < call.program().num_slots(); ++slot)
        if (!call.slot_differs(slot))
            std::fill_n(space.point.slots + slot * call.lanes, call.lanes, call.shared_slots[slot]);
    const auto load = [&](const Real* direction, std::int64_t rows, std::int64_t columns, std::int64_t slot) {
        if (!first && rows == 1) return;
        for (std::int64_t i = 0; i < columns; ++i)
            for (int lane = 0; lane < call.lanes; ++lane)
                space.slot_rates[(slot + i) * call.lanes + lane] =
                    direction ? direction[(rows == 1 ? 0 : call.sample(group, lane) * columns) + i] : Real(0);
    };
    std::fill(space.slot_rates, space.slot_rates + call.lanes, 0.0);
    load(dual.arrays.weights_direction, call.arrays.weight_rows, weights, 1);
    load(dual.arrays.inputs_direction, call.arrays.input_rows, inputs, 1 + weights);
    for (std::size_t t = 0; t < call.lowered.turns.size(); ++t) {
        const TurnSource& source = call.lowered.turns[t];
        if (!first && !call.plan.differs[source.angle]) continue;
        Real* shears = space.shears + 2 * t * call.lanes;
        for (int lane = 0; lane < call.lanes; ++lane) {
            shears[lane] = Real(0.5 * source.scale * dual.angle_rate(space, source.angle, lane));
            shears[call.lanes + lane] = -shears[lane];
        }
    }
}

/// d angle / d slot times the derivatives by the angles of one kind, added to those by the slots; and the tangent of that.
template <class Real>
void chain_angles(const DualCall<Real>& dual, DualSpace<Real>& space, bool differing) {
    const Call<Real>& call = dual.call;
    const int lanes = call.lanes;
    for (std::size_t i = 0; i < call.schedule.angles.size(); ++i) {
        if (call.schedule.angles[i].is_constant || bool(call.plan.differs[i]) != differing) continue;
        double *g = space.point.dangles + i * lanes, *dg = space.dangle_rates + i * lanes;
        for (int l = 1; l < lanes && !differing; ++l) {  // the same slots in all lanes: lane 0 carries the sum
            g[0] += g[l];
            dg[0] += dg[l];
        }
        for (const Term& term : call.schedule.angles[i].terms)
            for (const auto& [to, from] : {std::pair{term.a, term.b}, std::pair{term.b, term.a}})
                for (int l = 0; l < (differing ? lanes : 1) && to; ++l) {
                    const double z = space.point.slots[from * lanes + l], dz = space.slot_rates[from * lanes + l];
                    space.point.dslots[to * lanes + l] += term.coefficient * g[l] * z;
                    space.dslot_rates[to * lanes + l] += term.coefficient * (dg[l] * z + g[l] * dz);
                }
    }
}

/// Slots that differ between samples get their gradients; the others go on collecting.
template <class Real>
void write_batched_gradients(const DualCall<Real>& dual, DualSpace<Real>& space, std::int64_t group) {
    const Call<Real>& call = dual.call;
    const std::int64_t weights = call.program().num_weights, inputs = call.program().num_inputs;
    for (std::int64_t i = 0; i < weights + inputs; ++i) {
        if (!call.slot_differs(1 + i)) continue;
        const std::int64_t stride = i < weights ? weights : inputs, column = i < weights ? i : i - weights;
        Real* first = i < weights ? call.arrays.dweights : call.arrays.dinputs;
        Real* second = i < weights ? dual.arrays.hweights : dual.arrays.hinputs;
        double *g = space.point.dslots + (1 + i) * call.lanes, *dg = space.dslot_rates + (1 + i) * call.lanes;
        for (int l = 0; l < call.valid_lanes(group); ++l) {
            first[(group * call.lanes + l) * stride + column] = Real(g[l]);
            second[(group * call.lanes + l) * stride + column] = Real(dg[l]);
        }
        std::fill(g, g + call.lanes, 0.0);
        std::fill(dg, dg + call.lanes, 0.0);
    }
}

/// Gradients of what all samples share, summed over the samples of a chunk: (2, slots - 1) numbers.
template <class Real>
void write_shared_gradients(const DualCall<Real>& dual, DualSpace<Real>& space, double* partial) {
    const Call<Real>& call = dual.call;
    chain_angles(dual, space, false);
    const std::int64_t count = call.program().num_slots() - 1;
    for (std::int64_t i = 0; i < count; ++i)
        for (int l = 0; l < call.lanes; ++l) {
            partial[i] += space.point.dslots[(1 + i) * call.lanes + l];
            partial[count + i] += space.dslot_rates[(1 + i) * call.lanes + l];
        }
}

/// Angles that differ between lanes are chained group by group, so their derivatives start at zero in each.
template <class Real>
void clear_gradients(const DualCall<Real>& dual, DualSpace<Real>& space, bool all) {
    const Call<Real>& call = dual.call;
    const std::size_t slots = call.program().num_slots() * call.lanes;
    for (std::size_t i = 0; i < call.plan.differs.size(); ++i)
        if (all || call.plan.differs[i])
            for (double* rows : {space.point.dangles, space.dangle_rates})
                std::fill(rows + i * call.lanes, rows + (i + 1) * call.lanes, 0.0);
    for (double* rows : {space.point.dslots, space.dslot_rates})
        if (all) std::fill(rows, rows + slots, 0.0);
}

template <class Real>
void run_group(const DualCall<Real>& dual, DualSpace<Real>& space, std::int64_t group, int worker, bool first_of_chunk) {
    const Call<Real>& call = dual.call;
    load_pack(call, space.point, {group, 0});
    prepare_rates(dual, space, group, !space.started);
    space.started = true;
    start_dual(dual, space);
    const std::size_t steps = call.lowered.steps.size();
    for (std::size_t i = 0; i < steps; ++i) {
        if (call.polls_often) check_interrupt(*call.interrupt, worker);
        apply_dual_step(dual, space, i);
    }
    write_duals(dual, space, group);
    if (!call.backward()) return;
    clear_gradients(dual, space, first_of_chunk);
    for (std::size_t i = steps; i-- > 0;) {
        if (call.polls_often) check_interrupt(*call.interrupt, worker);
        unapply_dual_step(dual, space, i);
    }
    unstart_dual(dual, space);
    chain_angles(dual, space, true);
    write_batched_gradients(dual, space, group);
}

/// Groups of lanes are divided into chunks of about 20 microseconds, whatever the number of threads.
template <class Real>
std::int64_t count_chunks(const Call<Real>& call) {
    const double row_steps = double(call.rows()) * double(call.lowered.steps.size() + 1) * double(call.groups);
    const double most = double(std::min(call.groups, max_chunks));
    return call.groups == 0 ? 0 : std::int64_t(std::clamp(row_steps / 3000, 1.0, most));
}

/// Sums over the chunks in their order, whatever thread computed them.
template <class Real>
void sum_partials(const Program& program, const DualArrays<Real>& arrays, const double* partial, std::int64_t chunks) {
    const std::int64_t weights = program.num_weights, count = program.num_slots() - 1;
    for (std::int64_t i = 0; i < 2 * count; ++i) {
        const bool second = i >= count;
        const std::int64_t slot = second ? i - count : i;
        const bool of_weights = slot < weights;
        if ((of_weights ? arrays.point.weight_rows : arrays.point.input_rows) > 1) continue;
        const double sum = sum_of_chunks(partial + i, chunks, 2 * count);
        Real* const rows = of_weights ? (second ? arrays.hweights : arrays.point.dweights)
                                      : (second ? arrays.hinputs : arrays.point.dinputs);
        rows[of_weights ? slot : slot - weights] = Real(sum);
    }
}

/// What every call of the engine is made with.
template <class Real>
struct Engine {
    const Schedule& schedule;
    const LoweredPacks& packs;
    const InstructionSet& set;
    Interrupt& interrupt;

    const DualKernels<Real>& kernels() const { return kernels_of<DualKernels<Real>>(set); }
    Call<Real> make_call(const Arrays<Real>& arrays) const {
        const LaneKernels<Real>& shared = kernels_of<LaneKernels<Real>>(set);
        Call<Real> call{schedule, packs, packs.one, shared, kernels_of<LaneKernels<double>>(set), kernels_of<GramKernels<Real>>(set),
                        arrays, &interrupt};
        call.lanes = call.wide = shared.lanes;
        call.spread = packs.one.lane_bits > 0;
        call.groups = call.num_packs = call.spread ? arrays.batch : (arrays.batch + shared.lanes - 1) / shared.lanes;
        call.chunks = count_chunks(call);
        call.polls_often = call.rows() >= 1024;
        return call;
    }
};

/// The call whose values are the tangents.
template <class Real>
Arrays<Real> moved_arrays(const DualArrays<Real>& arrays) {
    Arrays<Real> moved = arrays.point;
    moved.values = arrays.tangents;
    moved.cotangent = arrays.cotangent_direction;
    return moved;
}

/// Lanes are samples: chunks of groups go to the threads.
template <class Real>
void execute_batched(const Engine<Real>& engine, const DualArrays<Real>& arrays, int threads, std::vector<double>& partial) {
    const Arrays<Real> moved_point = moved_arrays(arrays);
    Call<Real> call = engine.make_call(arrays.point);
    const Call<Real> moved = engine.make_call(moved_point);
    if (call.groups == 0) return;
    plan_call(call);
    load_call(call);
    const DualCall<Real> dual{call, moved, arrays, engine.kernels()};
    const std::int64_t count = 2 * (call.program().num_slots() - 1);
    partial.assign(std::size_t(call.chunks * count), 0.0);
    threads = int(std::clamp<std::int64_t>(threads, 1, call.chunks));
    std::vector<DualSpace<Real>> spaces;
    for (int worker = 0; worker < threads; ++worker) spaces.push_back(make_space(dual));
    parallel(threads, call.chunks, engine.interrupt, [&](int worker, std::int64_t chunk) {
        const std::int64_t first = chunk * call.groups / call.chunks, end = (chunk + 1) * call.groups / call.chunks;
        for (std::int64_t group = first; group < end; ++group) {
            check_interrupt(*call.interrupt, worker);
            run_group(dual, spaces[worker], group, worker, group == first);
        }
        if (call.backward()) write_shared_gradients(dual, spaces[worker], partial.data() + chunk * count);
    });
}

/// The arrays of one sample. All its gradients go to `partial`, so those pointers are never written.
template <class Real>
DualArrays<Real> one_dual_sample(const Program& program, const DualArrays<Real>& all, std::int64_t sample, std::size_t outputs) {
    DualArrays<Real> one = all;
    one.point = one_sample(program, all.point, sample, outputs);
    const auto advance = [sample](auto*& array, std::size_t stride) { array = array ? array + sample * stride : array; };
    if (all.point.weight_rows > 1) advance(one.weights_direction, program.num_weights);
    if (all.point.input_rows > 1) advance(one.inputs_direction, program.num_inputs);
    advance(one.cotangent_direction, outputs);
    advance(one.tangents, outputs);
    return one;
}

template <class Real>
void write_rows(const Program& program, const DualArrays<Real>& arrays, std::int64_t sample, const double* partial) {
    const std::int64_t weights = program.num_weights, inputs = program.num_inputs, count = weights + inputs;
    for (int second = 0; second < 2; ++second) {
        const double* sums = partial + second * count;
        Real* const rows[2] = {second ? arrays.hweights : arrays.point.dweights, second ? arrays.hinputs : arrays.point.dinputs};
        if (arrays.point.weight_rows > 1)
            for (std::int64_t i = 0; i < weights; ++i) rows[0][sample * weights + i] = Real(sums[i]);
        if (arrays.point.input_rows > 1)
            for (std::int64_t i = 0; i < inputs; ++i) rows[1][sample * inputs + i] = Real(sums[weights + i]);
    }
}

/// One state over the lanes: samples go to the threads.
template <class Real>
void execute_spread(const Engine<Real>& engine, const DualArrays<Real>& arrays, int threads, std::vector<double>& partial) {
    const Program& program = engine.schedule.program;
    const std::size_t outputs = std::size_t(num_outputs(engine.schedule, engine.packs.one)) * (program.question == Question::state ? 2 : 1);
    const std::int64_t batch = arrays.point.batch, count = 2 * (program.num_slots() - 1);
    partial.assign(std::size_t(batch * count), 0.0);
    threads = int(std::clamp<std::int64_t>(threads, 1, std::max<std::int64_t>(batch, 1)));
    parallel(threads, batch, engine.interrupt, [&](int worker, std::int64_t sample) {
        const DualArrays<Real> one = one_dual_sample(program, arrays, sample, outputs);
        const Arrays<Real> moved_point = moved_arrays(one);
        Call<Real> call = engine.make_call(one.point);
        const Call<Real> moved = engine.make_call(moved_point);
        plan_call(call);
        load_call(call);
        const DualCall<Real> dual{call, moved, one, engine.kernels()};
        DualSpace<Real> space = make_space(dual);
        check_interrupt(*call.interrupt, worker);
        run_group(dual, space, 0, worker, true);
        if (!call.backward()) return;
        write_shared_gradients(dual, space, partial.data() + sample * count);
        write_rows(program, arrays, sample, partial.data() + sample * count);
    });
}

}  // namespace

template <class Real>
bool execute_duals(const Schedule& schedule, const LoweredPacks& packs, const InstructionSet& set, const DualArrays<Real>& arrays,
                   int threads, Interrupt& interrupt) {
    const Engine<Real> engine{schedule, packs, set, interrupt};
    std::vector<double> partial;
    try {
        (packs.one.lane_bits > 0 ? execute_spread<Real> : execute_batched<Real>)(engine, arrays, threads, partial);
    } catch (const Stopped&) {
        return false;
    }
    const std::int64_t count = 2 * (schedule.program.num_slots() - 1);
    if (arrays.point.cotangent)
        sum_partials(schedule.program, arrays, partial.data(), count ? std::int64_t(partial.size()) / count : 0);
    return true;
}

std::uint64_t bytes_in_duals(const Schedule& schedule, const Lowered& lowered, const CallSize& size) {
    const bool spread = lowered.lane_bits > 0;
    const bool tables = std::any_of(schedule.layers.begin(), schedule.layers.end(),
                                    [](const Layer& layer) { return std::holds_alternative<Table>(layer.work); });
    const std::int64_t groups = spread ? size.batch : (size.batch + size.lanes - 1) / size.lanes;
    const int halves = 2 * (size.backward ? 4 : 2) + (tables ? (size.backward ? 6 : 4) : 0);  // of a state: a real number each
    const std::uint64_t amplitudes = (std::uint64_t(1) << schedule.program.num_qubits) * std::uint64_t(spread ? 1 : size.lanes);
    const std::int64_t workers = std::max<std::int64_t>(1, std::min<std::int64_t>(size.threads, groups));
    return std::uint64_t(halves * size.real_size) * amplitudes * std::uint64_t(workers);
}

template bool execute_duals(const Schedule&, const LoweredPacks&, const InstructionSet&, const DualArrays<double>&, int, Interrupt&);
template bool execute_duals(const Schedule&, const LoweredPacks&, const InstructionSet&, const DualArrays<float>&, int, Interrupt&);

}  // namespace ketgrad
