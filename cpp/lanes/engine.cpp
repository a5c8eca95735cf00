#include "lanes/engine.hpp"

#include <algorithm>

#include "base/parts.hpp"
#include "base/pool.hpp"
#include "lanes/call.hpp"
#include "lanes/samples.hpp"

namespace ketgrad {
namespace {

constexpr std::int64_t max_chunks = 64;  // chunks of lane groups; a constant, so that sums never depend on threads

constexpr int pack_row_bits = 7;         // rows of a pack: psi and lambda stay in the L1 cache

std::size_t largest_matrix(const Schedule& schedule) {
    std::size_t size = 0;
    for (const Layer& layer : schedule.layers)
        if (layer.dense())
            for (const DenseClass& one : layer.dense()->classes) size = std::max(size, one.matrix.size());
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
    const std::size_t state = std::max<std::size_t>(call.state_reals(), 2 * call.size());
    std::size_t reals = 0;
    for (std::size_t i = 0; i < call.plan.table_kinds.size(); ++i) {
        if (call.plan.table_kinds[i] & 2 || (call.plan.table_kinds[i] && call.plan.table_places[i] < 0)) reals = std::max(reals, state);
        if (call.plan.table_kinds[i] && call.backward()) reals = std::max<std::size_t>(reals, call.size());
    }
    return std::max<std::size_t>(reals, 2 * call.lanes);
}

template <class Real>
Workspace<Real> make_workspace(const Call<Real>& call) {
    // psi and lambda a multiple of 4 KiB apart would share the few cache lines of each set
    const std::size_t skew = 1024 / sizeof(Real);
    const std::size_t row = call.row_reals(), states = (call.state_reals() << call.pack_bits) + skew;
    const std::size_t members = std::size_t(1) << call.pack_bits;
    const bool backward = call.backward();
    Workspace<Real> space{};
    Parts<Real> parts;
    parts.add(space.states, states);
    parts.add(space.lambdas, backward || call.lowered.sums_words() ? states : 0);
    parts.add(space.scratch, scratch_reals(call));
    parts.add(space.half_angles, call.plan.differing_turns.size() * call.wide);
    parts.add(space.phases, 2 * call.plan.differing_turns.size() * call.wide);
    parts.add(space.dense, call.lowered.scratch_rows * row + 2 * largest_matrix(call.schedule));
    if (call.schedule.is_product()) {
        parts.add(space.all_factors, members * call.factor_reals());
        parts.add(space.all_halves, members * half_rows(call.lowered) * row);
        parts.add(space.factor_gradients, backward ? call.factor_reals() : 0);
        parts.add(space.half_gradients, backward ? half_gradient_rows(call.lowered) * row : 0);
    }
    if (call.program().question == Question::probabilities && !call.spread)
        parts.add(space.outcomes, (std::size_t(1) << call.lowered.outcome_bits) * call.lanes);
    parts.add(space.permuted, call.lowered.permutes_words() ? call.state_reals() : 0);
    parts.add(space.amplitudes, largest_preparation(call.schedule) * row);
    parts.add(space.amplitude_gradient, backward ? largest_preparation(call.schedule) * row : 0);
    space.memory = parts.allocate_all();
    Parts<double> numbers;
    numbers.add(space.slots, call.program().num_slots() * call.wide);
    numbers.add(space.dslots, backward ? call.program().num_slots() * call.wide : 0);
    numbers.add(space.dangles, backward ? call.schedule.angles.size() * call.wide : 0);
    numbers.add(space.run_overlaps, backward ? 3 * call.plan.num_shared_runs * call.lanes : 0);
    numbers.add(space.table_overlaps, backward ? call.plan.kept_tables * call.padded_size() : 0);
    space.numbers = numbers.allocate_all();
    return space;
}

/// d angle / d slot times the derivatives by an angle in `width` lanes, added to those by the slots.
template <class Real>
void chain_angle(const Call<Real>& call, Workspace<Real>& space, std::size_t angle, int width) {
    const double* gradient = space.dangles + angle * call.wide;
    const auto add = [&](double coefficient, std::int64_t slot, std::int64_t other) {
        if (slot == 0) return;
        double* sums = space.dslots + slot * call.wide;
        const SlotValues values = slot_values(call, space, other);
        if (call.slot_differs(slot)) {
            for (int l = 0; l < width; ++l) sums[l] += coefficient * gradient[l] * values[l];
        } else {
            for (int l = 0; l < width; ++l) sums[0] += coefficient * gradient[l] * values[l];
        }
    };
    for (const Term& term : call.schedule.angles[angle].terms) {
        add(term.coefficient, term.a, term.b);
        add(term.coefficient, term.b, term.a);
    }
}

/// The angles that differ between the lanes of a pack: their derivatives start at zero in each.
template <class Real>
void chain_lane_angles(const Call<Real>& call, Workspace<Real>& space) {
    for (const int angle : call.plan.differing_angles) chain_angle(call, space, angle, space.wide);
}

/// Slots that differ between samples get their gradients; the others go on collecting.
template <class Real>
void write_batched_gradients(const Call<Real>& call, Workspace<Real>& space, const Pack& pack) {
    const std::int64_t first = pack.first * call.lanes;
    const std::int64_t samples = call.spread ? 1 : std::min<std::int64_t>(space.wide, call.arrays.batch - first);
    Real* results = call.arrays.dweights;
    for (const SlotRange& slots : call.slot_ranges()) {
        for (std::int64_t i = 0; slots.differs && i < slots.count; ++i) {
            const double* gradient = space.dslots + (slots.first + i) * call.wide;
            for (std::int64_t l = 0; l < samples; ++l) results[(first + l) * slots.count + i] = Real(gradient[l]);
        }
        results = call.arrays.dinputs;
    }
}

/// Gradients of what all samples share, summed over the samples of a chunk.
template <class Real>
void write_shared_gradients(const Call<Real>& call, Workspace<Real>& space, std::int64_t chunk) {
    finish_tables(call, space);
    finish_product(call, space);
    for (const int angle : call.plan.shared_angles) {
        double* gradient = space.dangles + std::int64_t(angle) * call.wide;
        for (int l = 1; l < call.lanes; ++l) gradient[0] += gradient[l];
        chain_angle(call, space, angle, 1);
    }
    const std::int64_t count = call.program().num_slots() - 1;
    Real* const sums = call.partial + chunk * count;
    for (std::int64_t i = 0; i < count; ++i) sums[i] = Real(space.dslots[(1 + i) * call.wide]);
}

/// At the start of a chunk all that its samples share.
template <class Real>
void clear_sums(const Call<Real>& call, Workspace<Real>& space) {
    for (const int angle : call.plan.shared_angles) std::fill_n(space.dangles + std::int64_t(angle) * call.wide, call.lanes, 0.0);
    for (std::int64_t i = 0; i < call.program().num_slots(); ++i) space.dslots[i * call.wide] = 0;
    std::fill_n(space.run_overlaps, 3 * call.plan.num_shared_runs * call.lanes, 0.0);
    std::fill_n(space.table_overlaps, call.plan.kept_tables * call.padded_size(), 0.0);
}

/// At the start of a pack what differs between its samples.
template <class Real>
void clear_lane_sums(const Call<Real>& call, Workspace<Real>& space) {
    for (const int angle : call.plan.differing_angles) std::fill_n(space.dangles + std::int64_t(angle) * call.wide, space.wide, 0.0);
    for (const SlotRange& slots : call.slot_ranges())
        if (slots.differs) std::fill_n(space.dslots + slots.first * call.wide, slots.count * call.wide, 0.0);
}

template <class Real>
void run_pack(const Call<Real>& call, Workspace<Real>& space, const Pack& pack, int worker) {
    load_pack(call, space, pack);
    space.scale = 1;
    for_members(call, space, [&](int) { start_state(call, space); });
    const std::size_t steps = call.lowered.steps.size();
    for (std::size_t i = 0; i < steps; ++i) {
        if (call.polls_often) check_interrupt(*call.interrupt, worker);
        apply_step(call, space, i);
    }
    const auto write = call.lowered.sums_words() ? write_sum<Real> : write_values<Real>;
    if (!call.backward()) return for_members(call, space, [&](int member) { write(call, space, pack.first + member); });
    for_members(call, space, [&](int member) { write_values_and_start_lambda(call, space, pack.first + member); });
    clear_lane_sums(call, space);
    for (std::size_t i = steps; i-- > 0;) {
        if (call.polls_often) check_interrupt(*call.interrupt, worker);
        unapply_step(call, space, i);
    }
    for_members(call, space, [&](int) { unstart_state(call, space); });
    chain_lane_angles(call, space);
    write_batched_gradients(call, space, pack);
}

/// Sums over the chunks in their order, whatever thread computed them.
template <class Real>
void sum_partials(const Call<Real>& call) {
    const std::int64_t weights = call.program().num_weights, inputs = call.program().num_inputs;
    for (std::int64_t i = 0; i < weights + inputs; ++i) {
        if (call.slot_differs(1 + i)) continue;
        const double sum = sum_of_chunks(call.partial + i, call.chunks, weights + inputs);
        (i < weights ? call.arrays.dweights[i] : call.arrays.dinputs[i - weights]) = Real(sum);
    }
}

/// Packs are divided into chunks of about 40 microseconds, whatever the number of threads; a power of two of them, so that
/// the usual numbers of threads have the same to do.
template <class Real>
std::int64_t count_chunks(const Call<Real>& call) {
    const double row_steps = double(call.rows()) * double(call.lowered.steps.size() + 1) * double(call.groups);
    const double most = double(std::min(call.num_packs, max_chunks));
    if (call.groups == 0) return 0;
    return std::int64_t(std::min(most, double(std::bit_ceil(std::uint64_t(row_steps / 16000 + 1)))));
}

/// Groups of small states are packed so that a pass has enough rows to do.
int choose_pack_bits(const Lowered& lowered, std::int64_t groups) {
    if (lowered.lane_bits > 0 || groups < 2) return 0;
    const int most = std::min(max_pack_bits, 63 - std::countl_zero(std::uint64_t(groups)));
    return std::clamp(pack_row_bits - lowered.row_bits, 0, most);
}

}  // namespace

/// A call and the workspaces of its threads.
template <class Real>
struct Session {
    Call<Real> call;
    std::vector<Workspace<Real>> spaces;
    std::vector<Real> partial;

    /// Whether the arrays differ from those before in their numbers and their length only.
    bool serves(const LoweredPacks& packs, const Arrays<Real>& arrays, int pack_bits) const {
        const Arrays<Real>& before = call.arrays;
        return &call.packs == &packs && call.pack_bits == pack_bits && !before.cotangent == !arrays.cotangent &&
               (before.weight_rows > 1) == (arrays.weight_rows > 1) && (before.input_rows > 1) == (arrays.input_rows > 1);
    }
    std::size_t bytes() const {
        const std::size_t state = call.state_reals() * sizeof(Real) << call.pack_bits;
        return (3 * spaces.size() + std::size_t(call.plan.kept_tables)) * state;
    }
};

namespace {

template <class Real>
std::unique_ptr<Session<Real>> open_session(const Schedule& schedule, const LoweredPacks& packs, const InstructionSet& set,
                                            const Arrays<Real>& arrays, Kept<Real>& kept) {
    const LaneKernels<Real>& kernels = kernels_of<LaneKernels<Real>>(set);
    const bool spread = packs.one.lane_bits > 0;
    const std::int64_t groups = spread ? arrays.batch : (arrays.batch + kernels.lanes - 1) / kernels.lanes;
    const int pack_bits = choose_pack_bits(packs.one, groups);
    std::unique_ptr<Session<Real>> session = kept.take();
    const bool fresh = !session || !session->serves(packs, arrays, pack_bits);
    if (fresh) session.reset(new Session<Real>{{schedule, packs, packs.one, kernels, kernels_of<LaneKernels<double>>(set),
                                              kernels_of<GramKernels<Real>>(set), arrays}, {}, {}});
    Call<Real>& call = session->call;
    call.arrays = arrays;
    call.groups = groups;
    if (fresh) {
        call.lanes = kernels.lanes;
        call.wide = call.lanes << pack_bits;
        call.pack_bits = pack_bits;
        call.spread = spread;
        call.polls_often = call.rows() >= 1024;
        plan_call(call);
    }
    call.num_packs = (groups >> pack_bits) + std::popcount(std::uint64_t(groups) & ((std::uint64_t(1) << pack_bits) - 1));
    call.chunks = count_chunks(call);
    return session;
}

template <class Real>
bool run_session(Session<Real>& session, int threads) {
    Call<Real>& call = session.call;
    if (call.backward()) session.partial.resize(call.chunks * (call.program().num_slots() - 1));
    call.partial = session.partial.data();
    load_call(call);
    threads = int(std::clamp<std::int64_t>(threads, 1, std::max<std::int64_t>(call.chunks, 1)));
    while (call.groups > 0 && int(session.spaces.size()) < threads) session.spaces.push_back(make_workspace(call));
    try {
        parallel(threads, call.chunks, *call.interrupt, [&](int worker, std::int64_t chunk) {
            const std::int64_t first = chunk * call.num_packs / call.chunks, end = (chunk + 1) * call.num_packs / call.chunks;
            Workspace<Real>& space = session.spaces[worker];
            if (call.backward()) clear_sums(call, space);
            for (std::int64_t pack = first; pack < end; ++pack) {
                check_interrupt(*call.interrupt, worker);
                run_pack(call, space, call.pack(pack), worker);
            }
            if (call.backward()) write_shared_gradients(call, space, chunk);
        });
    } catch (const Stopped&) {
        return false;
    }
    if (call.backward()) sum_partials(call);
    return true;
}

template <class Real>
bool execute_once(const Schedule& schedule, const LoweredPacks& packs, const InstructionSet& set, const Arrays<Real>& arrays,
                  int threads, Interrupt& interrupt, Kept<Real>& kept) {
    std::unique_ptr<Session<Real>> session = open_session(schedule, packs, set, arrays, kept);
    session->call.interrupt = &interrupt;
    const bool finished = run_session(*session, threads);
    kept.put(std::move(session));
    return finished;
}

/// One sample after the other, each with its own coefficients and tables; shared gradients are added in this order.
template <class Real>
bool execute_in_turn(const Schedule& schedule, const LoweredPacks& packs, const InstructionSet& set,
                     const Arrays<Real>& arrays, int threads, Interrupt& interrupt, Kept<Real>& kept) {
    const Lowered& lowered = packs.one;
    const std::int64_t weights = schedule.program.num_weights, inputs = schedule.program.num_inputs;
    const std::size_t outputs = std::size_t(num_outputs(schedule, lowered)) * (schedule.program.question == Question::state ? 2 : 1);
    Buffer<Real> sums = allocate_zeros<Real>(2 * (weights + inputs));
    Real* const total = sums.get() + weights + inputs;
    for (std::int64_t sample = 0; sample < arrays.batch; ++sample) {
        Arrays<Real> one = one_sample(schedule.program, arrays, sample, outputs);
        if (arrays.weight_rows == 1) one.dweights = sums.get();
        if (arrays.input_rows == 1) one.dinputs = sums.get() + weights;
        if (!execute_once(schedule, packs, set, one, threads, interrupt, kept)) return false;
        for (std::int64_t i = 0; i < weights + inputs; ++i) total[i] += sums[i];
    }
    if (arrays.cotangent && arrays.weight_rows == 1) std::copy(total, total + weights, arrays.dweights);
    if (arrays.cotangent && arrays.input_rows == 1) std::copy(total + weights, total + weights + inputs, arrays.dinputs);
    return true;
}

}  // namespace

template <class Real>
Kept<Real>::~Kept() {
    delete session.load();
}

template <class Real>
std::unique_ptr<Session<Real>> Kept<Real>::take() {
    return std::unique_ptr<Session<Real>>(session.exchange(nullptr));
}

template <class Real>
void Kept<Real>::put(std::unique_ptr<Session<Real>> back) {
    constexpr std::size_t most_bytes = std::size_t(1) << 20;
    if (back->bytes() <= most_bytes) back.reset(session.exchange(back.release()));
}

template <class Real>
bool execute(const Schedule& schedule, const LoweredPacks& packs, const InstructionSet& set, const Arrays<Real>& arrays,
             int threads, Interrupt& interrupt, Kept<Real>& kept) {
    const bool in_turn = packs.one.lane_bits > 0 && arrays.batch > 1;
    return (in_turn ? execute_in_turn<Real> : execute_once<Real>)(schedule, packs, set, arrays, threads, interrupt, kept);
}

template class Kept<double>;
template class Kept<float>;
template bool execute(const Schedule&, const LoweredPacks&, const InstructionSet&, const Arrays<double>&, int, Interrupt&,
                      Kept<double>&);
template bool execute(const Schedule&, const LoweredPacks&, const InstructionSet&, const Arrays<float>&, int, Interrupt&,
                      Kept<float>&);

}  // namespace ketgrad
