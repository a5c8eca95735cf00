#include "engine.hpp"

#include <algorithm>
#include <chrono>

#include "call.hpp"

namespace ketgrad {
namespace {

constexpr std::int64_t max_blocks = 64;  // blocks of lane groups; a constant, so that sums never depend on threads

struct Stopped {};

/// Worker 0 is the calling thread: it asks Python every 50 ms; every worker obeys the flag.
template <class Real>
void check_interrupt(const Call<Real>& call, int worker) {
    using Clock = std::chrono::steady_clock;
    if (worker == 0 && call.interrupt.poll) {
        thread_local Clock::time_point last = Clock::now();
        const Clock::time_point now = Clock::now();
        if (now - last > std::chrono::milliseconds(50)) {
            last = now;
            if (call.interrupt.poll()) call.interrupt.stop = true;
        }
    }
    if (call.interrupt.stop) throw Stopped{};
}

std::size_t largest_matrix(const Schedule& schedule) {
    std::size_t size = 0;
    for (const Block& block : schedule.blocks)
        for (const DenseClass& one : block.dense.classes) size = std::max(size, one.matrix.size());
    return size;
}

std::size_t largest_preparation(const Schedule& schedule) {
    std::size_t size = 0;
    for (const Preparation& preparation : schedule.preparations) size = std::max(size, preparation.offsets.size());
    return size;
}

/// Room for a table that is made during the work, or for the overlaps of one that is kept.
template <class Real>
std::size_t scratch_reals(const Call<Real>& call) {
    const std::size_t state = std::max<std::size_t>(call.rows() * call.row_reals(), 2 * call.size());
    std::size_t reals = 0;
    for (std::size_t i = 0; i < call.table_kinds.size(); ++i) {
        if (call.table_kinds[i] & 2 || (call.table_kinds[i] && call.table_places[i] < 0)) reals = std::max(reals, state);
        if (call.table_kinds[i] && call.backward()) reals = std::max<std::size_t>(reals, call.size());
    }
    return std::max<std::size_t>(reals, 2 * call.lanes);
}

/// Hands out parts of one allocation, each aligned to 64 bytes.
template <class Value>
struct Parts {
    std::vector<std::pair<Value**, std::size_t>> wanted;

    void add(Value*& part, std::size_t count) { wanted.push_back({&part, (count + 15) / 16 * 16}); }
    Buffer<Value> allocate_all() {
        std::size_t total = 0;
        for (const auto& [part, count] : wanted) total += count;
        Buffer<Value> memory = allocate<Value>(total);
        Value* next = memory.get();
        for (const auto& [part, count] : wanted) {
            *part = next;
            next += count;
        }
        return memory;
    }
};

template <class Real>
Workspace<Real> make_workspace(const Call<Real>& call) {
    const std::size_t row = call.row_reals(), state = call.rows() * row;
    const bool backward = call.backward();
    Workspace<Real> space{};
    Parts<Real> parts;
    parts.add(space.psi, state);
    parts.add(space.lambda, backward ? state : 0);
    parts.add(space.scratch, scratch_reals(call));
    parts.add(space.turns, call.lowered.turns.size() * turn_parts * call.lanes);
    parts.add(space.half_angles, call.differing_turns.size() * call.lanes);
    parts.add(space.phases, call.differing_turns.size() * row);
    parts.add(space.dense, call.lowered.scratch_rows * row + 2 * largest_matrix(call.schedule));
    if (call.schedule.is_product()) {
        parts.add(space.factors, 4 * call.program().num_qubits * row);
        parts.add(space.halves, half_rows(call.lowered) * row);
    }
    if (call.program().question == Question::probabilities && !call.spread)
        parts.add(space.outcomes, (std::size_t(1) << call.lowered.outcome_bits) * call.lanes);
    parts.add(space.amplitudes, largest_preparation(call.schedule) * row);
    parts.add(space.amplitude_gradient, backward ? largest_preparation(call.schedule) * row : 0);
    space.memory = parts.allocate_all();
    Parts<double> numbers;
    numbers.add(space.slots, call.program().num_slots() * call.lanes);
    numbers.add(space.dslots, backward ? call.program().num_slots() * call.lanes : 0);
    numbers.add(space.dangles, backward ? call.schedule.angles.size() * call.lanes : 0);
    space.numbers = numbers.allocate_all();
    return space;
}

/// d angle / d slot, times the derivatives by the angles of one kind, added to those by the slots.
template <class Real>
void chain_angles(const Call<Real>& call, Workspace<Real>& space, bool differing) {
    const int lanes = call.lanes;
    for (std::size_t i = 0; i < call.schedule.angles.size(); ++i) {
        if (call.schedule.angles[i].is_constant || bool(call.differs[i]) != differing) continue;
        double* gradient = space.dangles + i * lanes;
        if (!differing)  // the same slots in all lanes: lane 0 carries the sum
            for (int l = 1; l < lanes; ++l) gradient[0] += gradient[l];
        for (const Term& term : call.schedule.angles[i].terms)
            for (int l = 0; l < (differing ? lanes : 1); ++l) {
                const double g = term.coefficient * gradient[l];
                if (term.a) space.dslots[term.a * lanes + l] += g * space.slots[term.b * lanes + l];
                if (term.b) space.dslots[term.b * lanes + l] += g * space.slots[term.a * lanes + l];
            }
    }
}

/// Slots that differ between samples get their gradients; the others go on collecting.
template <class Real>
void write_batched_gradients(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const std::int64_t weights = call.program().num_weights, inputs = call.program().num_inputs;
    for (std::int64_t i = 0; i < weights + inputs; ++i) {
        if (call.slot_rows(1 + i) == 1) continue;
        double* gradient = space.dslots + (1 + i) * call.lanes;
        Real* rows = i < weights ? call.arrays.dweights + i : call.arrays.dinputs + (i - weights);
        const std::int64_t stride = i < weights ? weights : inputs;
        for (int l = 0; l < call.valid_lanes(group); ++l) rows[(group * call.lanes + l) * stride] = Real(gradient[l]);
        std::fill(gradient, gradient + call.lanes, 0.0);
    }
}

/// Gradients of what all samples share, summed over the samples of a block.
template <class Real>
void write_shared_gradients(const Call<Real>& call, Workspace<Real>& space, std::int64_t block) {
    chain_angles(call, space, false);
    const std::int64_t count = call.program().num_slots() - 1;
    for (std::int64_t i = 0; i < count; ++i) {
        const double* gradient = space.dslots + (1 + i) * call.lanes;
        double sum = 0;
        for (int l = 0; l < call.lanes; ++l) sum += gradient[l];
        call.partial[block * count + i] = Real(sum);
    }
}

/// Angles that differ between lanes are chained group by group, so their derivatives start at zero in each.
template <class Real>
void clear_gradients(const Call<Real>& call, Workspace<Real>& space, bool all) {
    if (all) {
        std::fill(space.dslots, space.dslots + call.program().num_slots() * call.lanes, 0.0);
        std::fill(space.dangles, space.dangles + call.schedule.angles.size() * call.lanes, 0.0);
        return;
    }
    for (std::size_t i = 0; i < call.differs.size(); ++i)
        if (call.differs[i]) std::fill(space.dangles + i * call.lanes, space.dangles + (i + 1) * call.lanes, 0.0);
}

template <class Real>
void run_group(const Call<Real>& call, Workspace<Real>& space, std::int64_t group, int worker, bool first_of_block) {
    prepare_group(call, space, group);
    start_state(call, space);
    const std::size_t steps = call.lowered.steps.size();
    for (std::size_t i = 0; i < steps; ++i) {
        if (call.polls_often) check_interrupt(call, worker);
        apply_step(call, space, i);
    }
    if (!call.backward()) return write_values(call, space, group);
    write_values_and_start_lambda(call, space, group);
    clear_gradients(call, space, first_of_block);
    for (std::size_t i = steps; i-- > 0;) {
        if (call.polls_often) check_interrupt(call, worker);
        unapply_step(call, space, i);
    }
    unstart_state(call, space);
    chain_angles(call, space, true);
    write_batched_gradients(call, space, group);
}

/// Sums over the blocks in their order, whatever thread computed them.
template <class Real>
void sum_partials(const Call<Real>& call) {
    const std::int64_t weights = call.program().num_weights, inputs = call.program().num_inputs;
    for (std::int64_t i = 0; i < weights + inputs; ++i) {
        if (call.slot_rows(1 + i) > 1) continue;
        double sum = 0;
        for (std::int64_t block = 0; block < call.blocks; ++block) sum += call.partial[block * (weights + inputs) + i];
        (i < weights ? call.arrays.dweights[i] : call.arrays.dinputs[i - weights]) = Real(sum);
    }
}

/// Groups of lanes are divided into blocks of about 20 microseconds, whatever the number of threads.
template <class Real>
std::int64_t count_blocks(const Call<Real>& call) {
    const double row_steps = double(call.rows()) * double(call.lowered.steps.size() + 1) * double(call.groups);
    const double most = double(std::min(call.groups, max_blocks));
    return call.groups == 0 ? 0 : std::int64_t(std::clamp(row_steps / 8000, 1.0, most));
}

const Kernels<double>& kernels_for(const InstructionSet& set, double) { return *set.float64; }
const Kernels<float>& kernels_for(const InstructionSet& set, float) { return *set.float32; }

template <class Real>
bool execute_once(const Schedule& schedule, const Lowered& lowered, const InstructionSet& set, const Arrays<Real>& arrays,
                  int threads, Interrupt& interrupt) {
    const Kernels<Real>& kernels = kernels_for(set, Real());
    Call<Real> call{schedule, lowered, kernels, *set.float64, arrays, interrupt};
    call.lanes = kernels.lanes;
    call.spread = lowered.lane_bits > 0;
    call.groups = call.spread ? arrays.batch : (arrays.batch + kernels.lanes - 1) / kernels.lanes;
    call.blocks = count_blocks(call);
    call.polls_often = call.rows() >= 1024;
    if (arrays.cotangent) call.partial = allocate_zeros<Real>(call.blocks * (call.program().num_slots() - 1));
    if (call.groups > 0) prepare_call(call);
    threads = int(std::clamp<std::int64_t>(threads, 1, std::max<std::int64_t>(call.blocks, 1)));
    std::vector<Workspace<Real>> spaces;
    for (int worker = 0; call.groups > 0 && worker < threads; ++worker) spaces.push_back(make_workspace(call));
    try {
        parallel(threads, call.blocks, interrupt, [&](int worker, std::int64_t block) {
            const std::int64_t first = block * call.groups / call.blocks, end = (block + 1) * call.groups / call.blocks;
            for (std::int64_t group = first; group < end; ++group) {
                check_interrupt(call, worker);
                run_group(call, spaces[worker], group, worker, group == first);
            }
            if (call.backward()) write_shared_gradients(call, spaces[worker], block);
        });
    } catch (const Stopped&) {
        return false;
    }
    if (arrays.cotangent) sum_partials(call);
    return true;
}

/// The arrays of one sample; its shared gradients go to `sums`.
template <class Real>
Arrays<Real> one_sample(const Schedule& schedule, const Arrays<Real>& all, std::int64_t sample, std::size_t outputs, Real* sums) {
    const std::int64_t weights = schedule.program.num_weights, inputs = schedule.program.num_inputs;
    Arrays<Real> one = all;
    one.batch = one.weight_rows = one.input_rows = 1;
    if (all.weight_rows > 1) one.weights += sample * weights;
    if (all.input_rows > 1) one.inputs += sample * inputs;
    one.values += sample * outputs;
    if (!all.cotangent) return one;
    one.cotangent += sample * outputs;
    if (all.slope) one.slope += sample * outputs;
    one.dweights = all.weight_rows > 1 ? all.dweights + sample * weights : sums;
    one.dinputs = all.input_rows > 1 ? all.dinputs + sample * inputs : sums + weights;
    return one;
}

/// One sample after the other, each with its own coefficients and tables; shared gradients are added in this order.
template <class Real>
bool execute_in_turn(const Schedule& schedule, const Lowered& lowered, const InstructionSet& set, const Arrays<Real>& arrays,
                     int threads, Interrupt& interrupt) {
    const std::int64_t weights = schedule.program.num_weights, inputs = schedule.program.num_inputs;
    const bool is_expect = schedule.program.question == Question::expect, is_state = schedule.program.question == Question::state;
    const std::size_t outputs = is_expect ? lowered.observables.size()
                                          : (std::size_t(1) << lowered.outcome_bits) * (is_state ? 2 : 1);
    Buffer<Real> sums = allocate_zeros<Real>(2 * (weights + inputs));
    Real* const total = sums.get() + weights + inputs;
    for (std::int64_t sample = 0; sample < arrays.batch; ++sample) {
        const Arrays<Real> one = one_sample(schedule, arrays, sample, outputs, sums.get());
        if (!execute_once(schedule, lowered, set, one, threads, interrupt)) return false;
        for (std::int64_t i = 0; i < weights + inputs; ++i) total[i] += sums[i];
    }
    if (arrays.cotangent && arrays.weight_rows == 1) std::copy(total, total + weights, arrays.dweights);
    if (arrays.cotangent && arrays.input_rows == 1) std::copy(total + weights, total + weights + inputs, arrays.dinputs);
    return true;
}

}  // namespace

template <class Real>
bool execute(const Schedule& schedule, const Lowered& lowered, const InstructionSet& set, const Arrays<Real>& arrays,
             int threads, Interrupt& interrupt) {
    const bool in_turn = lowered.lane_bits > 0 && arrays.batch > 1;
    return (in_turn ? execute_in_turn<Real> : execute_once<Real>)(schedule, lowered, set, arrays, threads, interrupt);
}

std::uint64_t bytes_per_group(const Schedule& schedule, int lane_bits, int lanes, int real_size, bool backward) {
    const std::uint64_t states = (backward ? 3 : 2) * 2 * std::uint64_t(real_size);
    return (std::uint64_t(1) << (schedule.program.num_qubits - lane_bits)) * lanes * states;
}

template bool execute(const Schedule&, const Lowered&, const InstructionSet&, const Arrays<double>&, int, Interrupt&);
template bool execute(const Schedule&, const Lowered&, const InstructionSet&, const Arrays<float>&, int, Interrupt&);

}  // namespace ketgrad
