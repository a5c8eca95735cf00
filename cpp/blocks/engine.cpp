// Passes over the memory: blocks are gathered, worked on in the cache, and written back.
#include "blocks/engine.hpp"

#include "blocks/call.hpp"

namespace ketgrad::blocks {

Addresses addresses_of(const std::vector<u64>& images, const std::vector<u64>& outside) {
    Addresses addresses;
    const std::size_t count = images.size(), low = std::min<std::size_t>(8, count);
    addresses.low.assign(256, 0);
    addresses.high.assign(std::size_t(1) << (count - low), 0);
    for (std::size_t p = 0; p < std::size_t(1) << low; ++p)
        for (std::size_t i = 0; i < low; ++i)
            if (p >> i & 1) addresses.low[p] ^= images[i];
    for (std::size_t p = 0; p < addresses.high.size(); ++p)
        for (std::size_t i = low; i < count; ++i)
            if (p >> (i - low) & 1) addresses.high[p] ^= images[i];
    u64 others = 0;
    for (u64 image : outside) others |= image;
    for (std::size_t i = count; i-- > 0;) {  // bits 0..run-1 map to themselves, and nothing else reaches them
        if (images[i] != u64(1) << i || (others & ((u64(2) << i) - 1))) addresses.run = 0;
        else addresses.run = std::max(addresses.run, int(i) + 1);
        others |= images[i];
    }
    return addresses;
}

u64 select(const std::vector<u64>& masks, u64 choice) {
    u64 total = 0;
    for (; choice; choice &= choice - 1) total ^= masks[std::countr_zero(choice)];
    return total;
}

namespace {

/// The index bits that the local bit (or the outside bit) `bit` of a pass sets in logical coordinates.
u64 image_of(const Pass& pass, int bit) {
    u64 image = 0;
    for (std::size_t b = 0; b < pass.logical.size(); ++b)
        if (pass.logical[b] >> bit & 1) image |= u64(1) << b;
    return image;
}

struct Geometry {
    Addresses plain, moved;           // local index -> index before and after the CNOTs of the pass
    std::vector<u64> outside, images;  // bits outside of the block in which the state lives, and what they become
};

Geometry geometry_of(const Pass& pass, int num_bits) {
    Geometry geometry;
    std::vector<u64> plain, moved;
    for (int bit : pass.bits) {
        plain.push_back(u64(1) << bit);
        moved.push_back(pass.moves ? image_of(pass, bit) : u64(1) << bit);
    }
    for (int bit = 0; bit < num_bits; ++bit)
        if (pass.live >> bit & 1) {
            geometry.outside.push_back(u64(1) << bit);
            geometry.images.push_back(pass.moves ? image_of(pass, bit) : u64(1) << bit);
        }
    geometry.plain = addresses_of(plain, geometry.outside);
    geometry.moved = addresses_of(moved, geometry.images);
    return geometry;
}

/// Copies between the block and the state; `to_block` gathers. Single amplitudes where a CNOT has mixed the lanes.
template <class Real>
void transfer(Real* block, Real* state, const Addresses& addresses, u64 base, int bits, int lane_bits, bool to_block) {
    const u64 lane_mask = (u64(1) << lane_bits) - 1;
    if (addresses.run >= lane_bits) {
        const int run = std::min(addresses.run, bits);
        const std::size_t bytes = (sizeof(Real) * 2) << run;
        for (u64 p = 0; p < u64(1) << bits; p += u64(1) << run) {
            Real* place = state + 2 * (base ^ addresses.of(p));
            to_block ? std::memcpy(block + 2 * p, place, bytes) : std::memcpy(place, block + 2 * p, bytes);
        }
        return;
    }
    const u64 lanes = lane_mask + 1;
    for (u64 p = 0; p < u64(1) << bits; ++p) {
        const u64 index = base ^ addresses.of(p);
        Real* place = state + 2 * (index & ~lane_mask) + (index & lane_mask);
        Real* own = block + 2 * (p & ~lane_mask) + (p & lane_mask);
        if (to_block)
            own[0] = place[0], own[lanes] = place[lanes];
        else
            place[0] = own[0], place[lanes] = own[lanes];
    }
}

template <class Real>
void run_block(const Call<Real>& call, const std::vector<PreparedLayer<Real>>& layers, const Geometry& geometry,
               Block<Real> block, Worker<Real>& worker, u64 number, bool backward, bool copies) {
    const u64 plain = select(geometry.outside, number), moved = select(geometry.images, number);
    const u64 from = backward ? moved : plain, to = backward ? plain : moved;
    const Addresses& source = backward ? geometry.moved : geometry.plain;
    const Addresses& goal = backward ? geometry.plain : geometry.moved;
    Real *psi = call.psi.get(), *lambda = backward ? call.lambda.get() : nullptr;
    block.base = plain;
    block.psi = copies ? worker.psi.get() : psi + 2 * plain;
    block.lambda = !backward ? nullptr : copies ? worker.lambda.get() : lambda + 2 * plain;
    if (copies) transfer(block.psi, psi, source, from, block.bits, call.lane_bits, true);
    if (copies && backward) transfer(block.lambda, lambda, source, from, block.bits, call.lane_bits, true);
    run_layers(call, layers, block);
    if (copies) transfer(block.psi, psi, goal, to, block.bits, call.lane_bits, false);
    if (copies && backward) transfer(block.lambda, lambda, goal, to, block.bits, call.lane_bits, false);
}

// A pass that moves amplitudes between blocks cannot be done in place block by block; CNOTs into a block only ever change
// local bits, so every block is written back to where it was read.
template <class Real>
void run_pass(Call<Real>& call, const Pass& pass, bool backward) {
    const std::vector<PreparedLayer<Real>> layers = prepare_layers(call, pass, backward);
    const Geometry geometry = geometry_of(pass, call.num_bits());
    const int bits = int(pass.bits.size());
    const bool copies = pass.moves || pass.bits.back() != bits - 1;
    std::vector<Worker<Real>> workers = make_workers(call, bits, copies, backward);
    std::size_t scratch = 0;
    for (const auto& layer : layers)
        if (layer.kind == LayerKind::matrix) scratch = std::max(scratch, scratch_of(layer.matrix, 1 << call.lane_bits));
    for (Worker<Real>& worker : workers) worker.matrix = allocate<Real>(scratch);
    const u64 blocks = pass.num_blocks(), parts = std::min<u64>(blocks, most_parts);
    const std::size_t count = call.plan.ops.size();
    std::vector<double> partial(backward ? parts * count : 0, 0.0);
    in_parts(call, blocks, [&](u64 part, u64 first, u64 last, int index) {
        Worker<Real>& worker = workers[index];
        Block<Real> block{.psi = nullptr, .lambda = nullptr, .base = 0, .bits = bits, .table = worker.table.get(),
                          .overlap = worker.overlap.get(), .matrix = worker.matrix.get(),
                          .gradient = backward ? partial.data() + part * count : nullptr};
        for (u64 number = first; number < last; ++number) {
            check_interrupt(call.interrupt, index);
            run_block(call, layers, geometry, block, worker, number, backward, copies);
        }
    });
    for (u64 part = 0; backward && part < parts; ++part)
        for (std::size_t i = 0; i < count; ++i) call.gradient[i] += partial[part * count + i];
}

template <class Real>
void load_slots(Call<Real>& call) {
    const auto& arrays = call.arrays;
    const std::int64_t weights = call.program().num_weights, inputs = call.program().num_inputs;
    call.slots.assign(1, 1.0);
    const Real* w = arrays.weights + (arrays.weight_rows == 1 ? 0 : call.sample * weights);
    const Real* x = arrays.inputs + (arrays.input_rows == 1 ? 0 : call.sample * inputs);
    call.slots.insert(call.slots.end(), w, w + weights);
    call.slots.insert(call.slots.end(), x, x + inputs);
}

template <class Real>
void chain(Call<Real>& call) {
    const Program& program = call.program();
    std::vector<double> dslots(call.slots.size(), 0.0);
    for (std::size_t i = 0; i < call.plan.ops.size(); ++i) {
        const PauliOp& op = call.plan.ops[i];
        if (op.instruction < 0) continue;
        const double g = call.gradient[i] * call.turnings[i].direction * op.scale;
        for (const Term& term : program.instructions[op.instruction].angle) {
            dslots[term.a] += g * term.coefficient * call.slots[term.b];
            dslots[term.b] += g * term.coefficient * call.slots[term.a];
        }
    }
    finish_gradient(call, dslots);
    const auto& arrays = call.arrays;
    Real* dw = arrays.dweights + (arrays.weight_rows == 1 ? 0 : call.sample * program.num_weights);
    Real* dx = arrays.dinputs + (arrays.input_rows == 1 ? 0 : call.sample * program.num_inputs);
    for (std::int64_t i = 0; i < program.num_weights; ++i) dw[i] += Real(dslots[1 + i]);
    for (std::int64_t i = 0; i < program.num_inputs; ++i) dx[i] += Real(dslots[1 + program.num_weights + i]);
}

template <class Real>
void run_sample(Call<Real>& call) {
    load_slots(call);
    load_turnings(call);
    start(call);
    for (const Pass& pass : call.plan.passes) run_pass(call, pass, false);
    answer(call);
    if (!call.arrays.cotangent) return;
    call.gradient.assign(call.plan.ops.size(), 0.0);
    for (std::size_t p = call.plan.passes.size(); p-- > 0;) run_pass(call, call.plan.passes[p], true);
    chain(call);
}

}  // namespace

template <class Real>
bool execute(const Plan& plan, const BlockKernels<Real>& kernels, const Arrays<Real>& arrays, int threads, Interrupt& interrupt) {
    Call<Real> call{plan, kernels, arrays, interrupt, threads, std::countr_zero(unsigned(kernels.lanes))};
    const std::size_t reals = 2 * call.amplitudes();
    call.psi = allocate<Real>(reals);
    if (arrays.cotangent) {
        call.lambda = allocate<Real>(reals);
        std::fill_n(arrays.dweights, arrays.weight_rows * call.program().num_weights, Real(0));
        std::fill_n(arrays.dinputs, arrays.input_rows * call.program().num_inputs, Real(0));
    }
    try {
        for (call.sample = 0; call.sample < arrays.batch; ++call.sample) run_sample(call);
    } catch (const Stopped&) {
        return false;
    }
    return true;
}

std::uint64_t bytes(const Plan& plan, const CallSize& size) {
    const Program& program = plan.program;
    const u64 amplitudes = u64(1) << program.num_qubits, real = size.real_size, states = size.backward ? 2 : 1;
    u64 block = 0, matrices = 0, words = 0;
    for (const Pass& pass : plan.passes) block = std::max(block, states * 2 * real << pass.bits.size());
    for (const ConstantMatrix& matrix : plan.matrices)
        matrices = std::max<u64>(matrices, matrix.data.size() * 2 * real + (8 * size.lanes * real << matrix.targets.size()));
    for (const auto& observable : program.observables) words += observable.size();
    u64 total = states * 2 * amplitudes * real + u64(std::max(size.threads, 1)) * (block + matrices);
    total += words * (size.real_size == 8 ? sizeof(WordTurn<double>) : sizeof(WordTurn<float>));
    total += program.question == Question::probabilities ? sizeof(double) << program.measured.size() : 0;
    for (const Instruction& instruction : program.instructions)  // amplitudes, their places, their derivatives
        if (instruction.kind == InstructionKind::state_preparation) total += instruction.data.size() * (size.backward ? 40 : 24);
    if (size.backward) total += std::min<u64>(most_parts, amplitudes) * plan.ops.size() * sizeof(double);
    return total;
}

template bool execute<double>(const Plan&, const BlockKernels<double>&, const Arrays<double>&,
                                     int, Interrupt&);
template bool execute<float>(const Plan&, const BlockKernels<float>&, const Arrays<float>&, int,
                                    Interrupt&);

}  // namespace ketgrad::blocks
