#include "blocked.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <numbers>

#include "buffer.hpp"

namespace ketgrad {
namespace {

using u64 = std::uint64_t;
using Complex = std::complex<double>;
constexpr std::int64_t most_parts = 256;  // parallel parts; a constant, so that sums never depend on the threads
constexpr std::size_t most_tabulated = 3; // masks across the edge of a chunk for which all tables are made beforehand
constexpr double growth_limit = 0x1p60;   // states are rescaled before the postponed scales exceed this

struct Stopped {};

bool odd(u64 mask) { return std::popcount(mask) & 1; }
double sign(u64 mask) { return odd(mask) ? -1 : 1; }

/// psi = phase X^x Z^z stored: rotations by more than a quarter turn leave a Pauli operator behind, which only changes signs.
struct PauliFrame {
    u64 x = 0, z = 0;
    Complex phase = 1;

    bool anticommutes(u64 other_x, u64 other_z) const { return odd(x & other_z) ^ odd(z & other_x); }

    /// frame <- frame * factor * i^power X^x Z^z
    void multiply(const PauliOp& op, Complex factor) {
        static constexpr Complex powers[4] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
        phase *= factor * powers[op.power] * sign(z & op.x);
        x ^= op.x;
        z ^= op.z;
    }
    /// frame <- CNOT frame CNOT: X_c becomes X_c X_t, Z_t becomes Z_c Z_t; X^x Z^z in this order takes no sign.
    void cnot(int control, int target) {
        x ^= (x >> control & 1) << target;
        z ^= (z >> target & 1) << control;
    }
};

/// The angle of one operation in this call, after the Pauli frame has reduced it to [-pi/2, pi/2].
struct Turning {
    double half = 0;      // half of the reduced angle
    double direction = 1; // d reduced / d angle
};

template <class Real>
struct Call {
    const BlockedPlan& blocked;
    const BlockedKernels<Real>& kernels;
    const Arrays<Real>& arrays;
    Interrupt& interrupt;
    int threads, lane_bits;
    std::int64_t sample = 0;
    std::vector<double> slots;
    std::vector<Turning> turnings;
    PauliFrame frame;
    double scale = 1;  // psi and lambda are `scale` times what is stored
    Buffer<Real> psi, lambda;
    std::vector<double> gradient;  // per operation: d loss / d reduced angle

    const Program& program() const { return blocked.program; }
    int num_bits() const { return program().num_qubits; }
    u64 amplitudes() const { return u64(1) << num_bits(); }
};

template <class Real>
void check_interrupt(Call<Real>& call, int worker) {
    using Clock = std::chrono::steady_clock;
    thread_local Clock::time_point last = Clock::now();
    if (worker == 0 && call.interrupt.poll && Clock::now() - last > std::chrono::milliseconds(50)) {
        last = Clock::now();
        if (call.interrupt.poll()) call.interrupt.stop = true;
    }
    if (call.interrupt.stop) throw Stopped{};
}

/// visit(part, first, last, worker) over at most `most_parts` consecutive ranges of `count` items.
template <class Real, class Visit>
void in_parts(Call<Real>& call, u64 count, Visit visit) {
    const u64 parts = std::min<u64>(count, most_parts);
    parallel(call.threads, std::int64_t(parts), call.interrupt, [&](int worker, std::int64_t part) {
        check_interrupt(call, worker);
        visit(u64(part), count * u64(part) / parts, count * (u64(part) + 1) / parts, worker);
    });
}

// ------------------------------------------------------------------------------------------------ angles of the call

double angle(const Instruction& instruction, const std::vector<double>& slots) {
    double sum = 0;
    for (const Term& term : instruction.angle) sum += term.coefficient * slots[term.a] * slots[term.b];
    return sum;
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

// R(t) = R(t -+ pi) R(+-pi) and R(+-pi) = -+i P: the reduced turn has |tan| <= 1, the Pauli operator goes to the frame.
template <class Real>
void load_turnings(Call<Real>& call) {
    call.frame = PauliFrame{};
    call.turnings.assign(call.blocked.ops.size(), {});
    for (std::size_t i = 0; i < call.blocked.ops.size(); ++i) {
        const PauliOp& op = call.blocked.ops[i];
        if (op.is_cnot()) {
            call.frame.cnot(op.control, op.target);
            continue;
        }
        double full = op.constant;
        if (op.instruction >= 0) full += op.scale * angle(call.program().instructions[op.instruction], call.slots);
        Turning& turning = call.turnings[i];
        turning.direction = call.frame.anticommutes(op.x, op.z) ? -1 : 1;
        double reduced = turning.direction * full;
        if (op.x) {
            const double half_turns = std::nearbyint(reduced / std::numbers::pi);
            reduced -= half_turns * std::numbers::pi;
            const int quarter = int(std::fmod(half_turns, 4.0)) & 3;  // R(k pi) = (-i P)^k
            if (quarter & 1) call.frame.multiply(op, quarter == 1 ? Complex(0, -1) : Complex(0, 1));
            if (quarter == 2) call.frame.phase = -call.frame.phase;
        }
        turning.half = reduced / 2;
    }
}

// ------------------------------------------------------------------------------------------------ layers of the call

template <class Real>
WordTurn<Real> make_turn(const Entry& entry, double tangent, int lane_bits, int outside) {
    WordTurn<Real> turn;
    const u64 lane_mask = (u64(1) << lane_bits) - 1;
    turn.x = entry.x >> lane_bits;
    turn.z = entry.z >> lane_bits;
    turn.lane_flip = int(entry.x & lane_mask);
    turn.real = entry.power & 1;
    const double lead = entry.power & 2 ? -1 : 1;  // (-1)^(p/2), and (-1)^((p-1)/2) for odd p
    for (int parity = 0; parity < 2; ++parity)
        for (u64 l = 0; l <= lane_mask; ++l) {
            const double own = lead * (parity ^ outside ? -1 : 1) * sign(entry.z & l);
            const double other = lead * (parity ^ outside ? -1 : 1) * sign(entry.z & (l ^ u64(turn.lane_flip)));
            turn.unit[parity][l] = Real(own);
            turn.partner_unit[parity][l] = Real(other);
            turn.tangent[parity][l] = Real(own * tangent);
            turn.partner[parity][l] = Real(other * tangent);
        }
    return turn;
}

/// A rotation in a form that kernels take: two versions, for even and odd parity of z on the bits outside of the block.
template <class Real>
struct Rotation {
    WordTurn<Real> turn[2];
    int op = -1;
    u64 outside = 0;
    double cosine = 1;

    const WordTurn<Real>& at(u64 base) const { return turn[odd(outside & base)]; }
};

/// One pass over the block: one rotation, or two whose flips lie outside of the lanes and differ.
template <class Real>
struct Move {
    Rotation<Real> first, second;
    bool two = false;
    double rescale = 1;  // what the stored amplitudes are multiplied by before the move
    double scale = 1;    // true amplitudes / stored amplitudes before the move
};

/// A diagonal factor exp(i sum_j phase_j (-1)^parity(mask_j & k)), its masks split at the chunk: the low part is tabulated.
struct Phase {
    u64 low, high, outside;
    double phase;
    int op;
};

template <class Real>
struct PreparedLayer {
    bool diagonal = false;
    std::vector<Move<Real>> moves;
    std::vector<Phase> phases;
    std::vector<Phase> high;   // masks without low bits: a scalar for each chunk
    std::vector<Phase> mixed;  // masks with both: the table differs between chunks
    Buffer<Real> spectrum;
    std::vector<Buffer<Real>> tables;  // one for each choice of signs of the mixed masks, if these are few
    bool has_parameters = false;
    double scale = 1;  // true amplitudes / stored amplitudes at this layer
};

template <class Real>
int chunk_bits_of(const Call<Real>& call, int local_bits) {
    return std::max(call.lane_bits, std::min(chunk_bits, local_bits));
}

template <class Real>
void prepare_diagonal(const Call<Real>& call, const Layer& layer, int bits, PreparedLayer<Real>& prepared) {
    const u64 low_mask = (u64(1) << bits) - 1;
    prepared.spectrum = allocate_zeros<Real>(u64(1) << bits);
    for (const Entry& entry : layer.entries) {
        const Phase phase{entry.z & low_mask, entry.z >> bits, entry.outside, -call.turnings[entry.op].half, entry.op};
        prepared.phases.push_back(phase);
        prepared.has_parameters |= call.blocked.ops[entry.op].instruction >= 0;
        if (phase.low == 0)
            prepared.high.push_back(phase);
        else if (phase.high || phase.outside)
            prepared.mixed.push_back(phase);
        else
            prepared.spectrum[phase.low] += Real(phase.phase);
    }
    if (prepared.mixed.size() > most_tabulated) return;
    Buffer<Real> angles = allocate<Real>(u64(1) << bits);
    for (u64 signs = 0; signs < u64(1) << prepared.mixed.size(); ++signs) {
        std::copy_n(prepared.spectrum.get(), u64(1) << bits, angles.get());
        for (std::size_t j = 0; j < prepared.mixed.size(); ++j)
            angles[prepared.mixed[j].low] += Real(signs >> j & 1 ? -prepared.mixed[j].phase : prepared.mixed[j].phase);
        call.kernels.transform(angles.get(), bits);
        prepared.tables.push_back(allocate<Real>(u64(2) << bits));
        call.kernels.exponentials(prepared.tables.back().get(), angles.get(), 1 << bits);
    }
}

template <class Real>
Rotation<Real> make_rotation(const Call<Real>& call, const Entry& entry) {
    const double half = call.turnings[entry.op].half, tangent = std::tan(half);
    const int lane_bits = call.lane_bits;
    return {{make_turn<Real>(entry, tangent, lane_bits, 0), make_turn<Real>(entry, tangent, lane_bits, 1)},
            entry.op, entry.outside, std::cos(half)};
}

template <class Real>
std::vector<Move<Real>> pair_up(const Call<Real>& call, const Layer& layer, bool backward) {
    std::vector<Move<Real>> moves;
    for (const Entry& entry : layer.entries) {
        if (!backward && call.turnings[entry.op].half == 0) continue;  // a turn by zero
        Rotation<Real> rotation = make_rotation(call, entry);
        Move<Real>* last = moves.empty() ? nullptr : &moves.back();
        if (last && !last->two && !last->first.turn[0].lane_flip && !rotation.turn[0].lane_flip &&
            last->first.turn[0].x != rotation.turn[0].x) {
            last->second = rotation;
            last->two = true;
        } else {
            moves.emplace_back().first = rotation;
        }
    }
    return moves;
}

/// Walks through the moves in the order of execution and notes the scale at each; turns postpone their cosine.
template <class Real>
void note_scales(Call<Real>& call, std::vector<Move<Real>>& moves, bool backward) {
    const auto note = [&](Move<Real>& move) {
        if (call.scale < 1 / growth_limit) {
            move.rescale = call.scale;
            call.scale = 1;
        }
        move.scale = call.scale;
        call.scale *= move.first.cosine * move.second.cosine;
    };
    if (backward)
        std::for_each(moves.rbegin(), moves.rend(), note);
    else
        std::for_each(moves.begin(), moves.end(), note);
}

template <class Real>
std::vector<PreparedLayer<Real>> prepare_layers(Call<Real>& call, const Pass& pass, bool backward) {
    std::vector<PreparedLayer<Real>> layers(pass.layers.size());
    for (std::size_t k = 0; k < layers.size(); ++k) {
        const std::size_t l = backward ? layers.size() - 1 - k : k;
        const Layer& layer = pass.layers[l];
        layers[l].diagonal = layer.diagonal;
        layers[l].scale = call.scale;
        if (layer.diagonal) {
            prepare_diagonal(call, layer, chunk_bits_of(call, int(pass.bits.size())), layers[l]);
        } else {
            layers[l].moves = pair_up(call, layer, backward);
            note_scales(call, layers[l].moves, backward);
        }
    }
    return layers;
}

// -------------------------------------------------------------------------------------------- one block, in the cache

/// A block of amplitudes and what a worker needs beside it. lambda is null in the forward direction.
template <class Real>
struct Block {
    Real* psi;
    Real* lambda;
    u64 base;  // the index bits outside of the block
    int bits;  // the number of local bits
    Real *table, *overlap;
    double* gradient;  // per operation
};

template <class Real>
u64 rows_of(const Call<Real>& call, const Block<Real>& block) {
    return u64(1) << (block.bits - call.lane_bits);
}

template <class Real>
void rescale(const Call<Real>& call, const Block<Real>& block, double factor) {
    if (factor == 1) return;
    call.kernels.scale(block.psi, rows_of(call, block), Real(factor));
    if (block.lambda) call.kernels.scale(block.lambda, rows_of(call, block), Real(factor));
}

template <class Real>
void rotate_forward(const Call<Real>& call, const PreparedLayer<Real>& layer, const Block<Real>& block) {
    for (const Move<Real>& move : layer.moves) {
        rescale(call, block, move.rescale);
        if (move.two)
            call.kernels.turn_two(block.psi, rows_of(call, block), move.first.at(block.base), move.second.at(block.base));
        else
            call.kernels.turn(block.psi, rows_of(call, block), move.first.at(block.base));
    }
}

// d loss / d t = 1/2 Re <lambda|J psi> in true amplitudes; the second rotation is undone first, and its cosine is then due.
template <class Real>
void rotate_backward(const Call<Real>& call, const PreparedLayer<Real>& layer, const Block<Real>& block) {
    for (std::size_t i = layer.moves.size(); i-- > 0;) {
        const Move<Real>& move = layer.moves[i];
        double first = 0, second = 0;
        rescale(call, block, move.rescale);
        if (move.two)
            call.kernels.turn_two_back(block.psi, block.lambda, rows_of(call, block), move.first.at(block.base),
                                       move.second.at(block.base), &first, &second);
        else
            call.kernels.turn_back(block.psi, block.lambda, rows_of(call, block), move.first.at(block.base), &first);
        const double weight = 0.5 * move.scale * move.scale, due = move.second.cosine * move.second.cosine;
        block.gradient[move.first.op] += weight * due * first;
        if (move.two) block.gradient[move.second.op] += weight * second;
    }
}

bool is_negative(const Phase& phase, u64 chunk, u64 base) { return odd(phase.high & chunk) ^ odd(phase.outside & base); }

double signed_phase(const Phase& phase, u64 chunk, u64 base) {
    return is_negative(phase, chunk, base) ? -phase.phase : phase.phase;
}

/// The table with the signs that this chunk gives to the mixed masks.
template <class Real>
const Real* table_of_chunk(const Call<Real>& call, const PreparedLayer<Real>& layer, const Block<Real>& block, u64 chunk,
                           int bits) {
    if (!layer.tables.empty()) {
        std::size_t signs = 0;
        for (std::size_t j = 0; j < layer.mixed.size(); ++j)
            signs |= std::size_t(is_negative(layer.mixed[j], chunk, block.base)) << j;
        return layer.tables[signs].get();
    }
    std::copy_n(layer.spectrum.get(), u64(1) << bits, block.overlap);
    for (const Phase& phase : layer.mixed) block.overlap[phase.low] += Real(signed_phase(phase, chunk, block.base));
    call.kernels.transform(block.overlap, bits);
    call.kernels.exponentials(block.table, block.overlap, 1 << bits);
    return block.table;
}

template <class Real>
Complex scalar_of_chunk(const PreparedLayer<Real>& layer, const Block<Real>& block, u64 chunk) {
    double phase = 0;
    for (const Phase& high : layer.high) phase += signed_phase(high, chunk, block.base);
    return {std::cos(phase), std::sin(phase)};
}

template <class Real>
void diagonal_forward(const Call<Real>& call, const PreparedLayer<Real>& layer, const Block<Real>& block) {
    const int bits = chunk_bits_of(call, block.bits), rows = 1 << (bits - call.lane_bits);
    for (u64 chunk = 0; chunk < u64(1) << (block.bits - bits); ++chunk) {
        const Complex scalar = scalar_of_chunk(layer, block, chunk);
        const Real* table = table_of_chunk(call, layer, block, chunk, bits);
        call.kernels.multiply(block.psi + (chunk << (bits + 1)), table, rows, Real(scalar.real()), Real(scalar.imag()));
    }
}

// d loss / d t_j = 1/2 sum_k (-1)^parity(m_j & k) Im(conj(lambda_k) psi_k): one transform per chunk serves all masks.
template <class Real>
void diagonal_backward(const Call<Real>& call, const PreparedLayer<Real>& layer, const Block<Real>& block) {
    const int bits = chunk_bits_of(call, block.bits), rows = 1 << (bits - call.lane_bits);
    const double weight = 0.5 * layer.scale * layer.scale;
    for (u64 chunk = 0; chunk < u64(1) << (block.bits - bits); ++chunk) {
        const Complex scalar = scalar_of_chunk(layer, block, chunk);
        const Real* table = table_of_chunk(call, layer, block, chunk, bits);
        const u64 offset = chunk << (bits + 1);
        call.kernels.multiply_back(block.psi + offset, block.lambda + offset, table, rows, Real(scalar.real()),
                                   Real(scalar.imag()), block.overlap);
        if (!layer.has_parameters) continue;
        call.kernels.transform(block.overlap, bits);
        for (const Phase& phase : layer.phases) {
            const double signed_weight = is_negative(phase, chunk, block.base) ? -weight : weight;
            block.gradient[phase.op] += signed_weight * double(block.overlap[phase.low]);
        }
    }
}

template <class Real>
void run_layers(const Call<Real>& call, const std::vector<PreparedLayer<Real>>& layers, const Block<Real>& block) {
    if (!block.lambda) {
        for (const auto& layer : layers)
            layer.diagonal ? diagonal_forward(call, layer, block) : rotate_forward(call, layer, block);
        return;
    }
    for (std::size_t l = layers.size(); l-- > 0;)
        layers[l].diagonal ? diagonal_backward(call, layers[l], block) : rotate_backward(call, layers[l], block);
}

// --------------------------------------------------------------------------------------- blocks from and to the memory

/// Where a block lives: local index p is at base ^ low[p & 255] ^ high[p >> 8]; runs of 2^run amplitudes are contiguous.
struct Addresses {
    std::vector<u64> low, high;
    int run = 0;

    u64 of(u64 p) const { return low[p & 255] ^ high[p >> 8]; }
};

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

/// The index bits that the local bit (or the outside bit) `bit` of a pass sets in logical coordinates.
u64 image_of(const Pass& pass, int bit) {
    u64 image = 0;
    for (std::size_t b = 0; b < pass.logical.size(); ++b)
        if (pass.logical[b] >> bit & 1) image |= u64(1) << b;
    return image;
}

struct Geometry {
    Addresses plain, moved;           // local index -> index before and after the CNOTs of the pass
    std::vector<u64> outside, images;  // outside bits, and what they become
};

Geometry geometry_of(const Pass& pass, int num_bits) {
    Geometry geometry;
    std::vector<u64> plain, moved;
    u64 inside = 0;
    for (int bit : pass.bits) {
        plain.push_back(u64(1) << bit);
        moved.push_back(pass.moves ? image_of(pass, bit) : u64(1) << bit);
        inside |= u64(1) << bit;
    }
    for (int bit = 0; bit < num_bits; ++bit)
        if (!(inside >> bit & 1)) {
            geometry.outside.push_back(u64(1) << bit);
            geometry.images.push_back(pass.moves ? image_of(pass, bit) : u64(1) << bit);
        }
    geometry.plain = addresses_of(plain, geometry.outside);
    geometry.moved = addresses_of(moved, geometry.images);
    return geometry;
}

u64 select(const std::vector<u64>& masks, u64 choice) {
    u64 total = 0;
    for (; choice; choice &= choice - 1) total ^= masks[std::countr_zero(choice)];
    return total;
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
struct Worker {
    Buffer<Real> psi, lambda, table, overlap;
};

template <class Real>
std::vector<Worker<Real>> make_workers(const Call<Real>& call, int bits, bool copies, bool backward) {
    std::vector<Worker<Real>> workers(std::max(call.threads, 1));
    const int chunk = chunk_bits_of(call, bits);
    for (Worker<Real>& worker : workers) {
        if (copies) worker.psi = allocate<Real>(u64(2) << bits);
        if (copies && backward) worker.lambda = allocate<Real>(u64(2) << bits);
        worker.table = allocate<Real>(u64(2) << chunk);
        worker.overlap = allocate<Real>(u64(1) << chunk);
    }
    return workers;
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
    const u64 blocks = u64(1) << (call.num_bits() - bits), parts = std::min<u64>(blocks, most_parts);
    const std::size_t count = call.blocked.ops.size();
    std::vector<double> partial(backward ? parts * count : 0, 0.0);
    in_parts(call, blocks, [&](u64 part, u64 first, u64 last, int index) {
        Worker<Real>& worker = workers[index];
        Block<Real> block{nullptr, nullptr, 0, bits, worker.table.get(), worker.overlap.get(),
                          backward ? partial.data() + part * count : nullptr};
        for (u64 number = first; number < last; ++number)
            run_block(call, layers, geometry, block, worker, number, backward, copies);
    });
    for (u64 part = 0; backward && part < parts; ++part)
        for (std::size_t i = 0; i < count; ++i) call.gradient[i] += partial[part * count + i];
}

// ---------------------------------------------------------------------------------------- start: products of preparations

struct Factor {
    const Instruction* instruction;
    std::vector<Complex> amplitudes;
    std::vector<u64> offsets;
    double norm;
};

template <class Real>
std::vector<Factor> load_factors(const Call<Real>& call) {
    std::vector<Factor> factors;
    for (const Instruction& instruction : call.program().instructions) {
        if (instruction.kind != InstructionKind::state_preparation) continue;
        Factor factor{&instruction, {}, {}, 1};
        double square = 0;
        for (std::size_t j = 0; j < instruction.data.size(); ++j) {
            factor.offsets.push_back(spread(j, instruction.targets));
            factor.amplitudes.push_back(instruction.data[j] * call.slots[instruction.amplitude_slots[j]]);
            square += std::norm(factor.amplitudes.back());
        }
        if (instruction.normalize) factor.norm = std::sqrt(square);
        for (Complex& amplitude : factor.amplitudes) amplitude /= factor.norm;
        factors.push_back(std::move(factor));
    }
    return factors;
}

/// visit(index, product of the amplitudes of factors first.. that index selects, choice of factor `watched`)
template <class Visit>
void for_products(const std::vector<Factor>& factors, std::size_t f, std::size_t watched, u64 index, Complex product,
                  std::size_t choice, const Visit& visit) {
    if (f == factors.size()) {
        visit(index, product, choice);
        return;
    }
    for (std::size_t j = 0; j < factors[f].amplitudes.size(); ++j)
        for_products(factors, f + 1, watched, index | factors[f].offsets[j],
                     f == watched ? product : product * factors[f].amplitudes[j], f == watched ? j : choice, visit);
}

template <class Real>
std::size_t place_of(const Call<Real>& call, u64 index) {
    const u64 lane_mask = (u64(1) << call.lane_bits) - 1;
    return 2 * (index & ~lane_mask) + (index & lane_mask);
}

template <class Real>
void start(Call<Real>& call) {
    std::memset(call.psi.get(), 0, sizeof(Real) * 2 * call.amplitudes());
    call.scale = 1;
    const std::size_t lanes = std::size_t(1) << call.lane_bits;
    const std::vector<Factor> factors = load_factors(call);
    for_products(factors, 0, factors.size(), 0, 1, 0, [&](u64 index, Complex product, std::size_t) {
        call.psi[place_of(call, index)] = Real(product.real());
        call.psi[place_of(call, index) + lanes] = Real(product.imag());
    });
}

/// d loss = Re <environment|d amplitudes> for each factor, chained to the slots; lambda is back at the start.
template <class Real>
void finish_gradient(const Call<Real>& call, std::vector<double>& dslots) {
    const std::size_t lanes = std::size_t(1) << call.lane_bits;
    const std::vector<Factor> factors = load_factors(call);
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const Factor& factor = factors[f];
        std::vector<Complex> environment(factor.amplitudes.size());
        for_products(factors, 0, f, 0, 1, 0, [&](u64 index, Complex product, std::size_t choice) {
            const std::size_t place = place_of(call, index);
            environment[choice] += std::conj(product) * Complex(call.lambda[place], call.lambda[place + lanes]) * call.scale;
        });
        double along = 0;
        for (std::size_t j = 0; factor.instruction->normalize && j < environment.size(); ++j)
            along += (std::conj(factor.amplitudes[j]) * environment[j]).real();
        for (std::size_t j = 0; j < environment.size(); ++j) {
            const Complex g = (environment[j] - along * factor.amplitudes[j]) / factor.norm;
            dslots[factor.instruction->amplitude_slots[j]] += (std::conj(factor.instruction->data[j]) * g).real();
        }
    }
}

// ------------------------------------------------------------------------------------------------ questions

/// An observable in the coordinates and the Pauli frame in which the state is stored.
template <class Real>
struct StoredObservable {
    std::vector<std::pair<WordTurn<Real>, Real>> words;
    std::vector<Phase> diagonal;  // phase is the coefficient
};

template <class Real>
WordTurn<Real> make_word(u64 x, u64 z, int power, int lane_bits) {
    WordTurn<Real> word;
    const u64 lane_mask = (u64(1) << lane_bits) - 1;
    word.x = x >> lane_bits;
    word.z = z >> lane_bits;
    word.lane_flip = int(x & lane_mask);
    word.real = power & 1;
    const double lead = (power & 2 ? -1 : 1) * sign(word.x & word.z);
    for (int parity = 0; parity < 2; ++parity)
        for (u64 l = 0; l <= lane_mask; ++l)
            word.unit[parity][l] = Real(lead * (parity ? -1 : 1) * sign(z & (l ^ u64(word.lane_flip))));
    return word;
}

template <class Real>
std::vector<StoredObservable<Real>> store_observables(const Call<Real>& call, int bits) {
    std::vector<StoredObservable<Real>> stored;
    for (const auto& observable : call.program().observables) {
        auto& result = stored.emplace_back();
        for (const Word& word : observable) {
            const double coefficient = call.frame.anticommutes(word.x, word.z) ? -word.coefficient : word.coefficient;
            const u64 x = select(call.blocked.flips, word.x), z = select(call.blocked.parities, word.z);
            if (x)
                result.words.push_back({make_word<Real>(x, z, std::popcount(word.x & word.z) & 3, call.lane_bits),
                                        Real(coefficient)});
            else
                result.diagonal.push_back({z & ((u64(1) << bits) - 1), z >> bits, 0, coefficient, -1});
        }
    }
    return stored;
}

/// out = O psi on one chunk of rows.
template <class Real>
void apply_observable(const Call<Real>& call, const StoredObservable<Real>& observable, u64 chunk, int bits, Real* out,
                      Real* diagonal) {
    const u64 rows = u64(1) << (bits - call.lane_bits), first = chunk * rows;
    std::memset(out, 0, sizeof(Real) * 2 << bits);
    if (!observable.diagonal.empty()) {
        std::memset(diagonal, 0, sizeof(Real) << bits);
        for (const Phase& word : observable.diagonal) diagonal[word.low] += Real(signed_phase(word, chunk, 0));
        call.kernels.transform(diagonal, bits);
        call.kernels.add_diagonal(out, call.psi.get() + (chunk << (bits + 1)), diagonal, rows);
    }
    for (const auto& [word, coefficient] : observable.words)
        call.kernels.add_word(out, call.psi.get(), first, first + rows, word, coefficient);
}

/// Expectation values; with a cotangent also lambda = 2 sum_k cot_k O_k psi.
template <class Real>
void expectations(Call<Real>& call, const Real* cotangent, Real* values) {
    const int bits = chunk_bits_of(call, call.num_bits());
    const auto observables = store_observables(call, bits);
    const u64 chunks = u64(1) << (call.num_bits() - bits), rows = u64(1) << (bits - call.lane_bits);
    const std::size_t count = observables.size();
    std::vector<double> partial(std::min<u64>(chunks, most_parts) * count, 0.0);
    std::vector<Worker<Real>> workers = make_workers(call, bits, true, false);
    if (cotangent) std::memset(call.lambda.get(), 0, sizeof(Real) * 2 * call.amplitudes());
    in_parts(call, chunks, [&](u64 part, u64 first, u64 last, int worker) {
        Real* out = workers[worker].psi.get();
        for (u64 chunk = first; chunk < last; ++chunk)
            for (std::size_t k = 0; k < count; ++k) {
                apply_observable(call, observables[k], chunk, bits, out, workers[worker].overlap.get());
                const std::size_t offset = chunk << (bits + 1);
                partial[part * count + k] += call.kernels.dot(out, call.psi.get() + offset, rows);
                if (cotangent) call.kernels.accumulate(call.lambda.get() + offset, out, rows, 2 * cotangent[k]);
            }
    });
    for (std::size_t k = 0; k < count; ++k) {
        double total = 0;
        for (std::size_t p = k; p < partial.size(); p += count) total += partial[p];
        values[k] = Real(total * call.scale * call.scale);
    }
}

/// visit(place of the stored amplitude, true basis index, factor that makes the stored amplitude true)
template <class Real, class Visit>
void for_amplitudes(const Call<Real>& call, Visit visit) {
    std::vector<u64> images(call.num_bits(), 0);
    for (int b = 0; b < call.num_bits(); ++b)
        for (int p = 0; p < call.num_bits(); ++p)
            if (call.blocked.parities[b] >> p & 1) images[p] |= u64(1) << b;
    const Addresses addresses = addresses_of(images, {});
    const Complex even = call.frame.phase * call.scale;
    for (u64 p = 0; p < call.amplitudes(); ++p) {
        const u64 logical = addresses.of(p);
        visit(place_of(call, p), logical ^ call.frame.x, odd(call.frame.z & logical) ? -even : even);
    }
}

template <class Real>
u64 outcome_of(const Call<Real>& call, u64 index) {
    u64 outcome = 0;
    for (int bit : call.program().measured) outcome = outcome << 1 | (index >> bit & 1);
    return outcome;
}

template <class Real>
void probabilities(Call<Real>& call, const Real* cotangent, Real* values) {
    const std::size_t lanes = std::size_t(1) << call.lane_bits;
    std::vector<double> sums(std::size_t(1) << call.program().measured.size(), 0.0);
    for_amplitudes(call, [&](std::size_t place, u64 index, Complex) {
        const double re = call.psi[place], im = call.psi[place + lanes];
        const u64 outcome = outcome_of(call, index);
        sums[outcome] += re * re + im * im;
        if (!cotangent) return;
        call.lambda[place] = Real(2 * cotangent[outcome] * re);
        call.lambda[place + lanes] = Real(2 * cotangent[outcome] * im);
    });
    for (std::size_t o = 0; o < sums.size(); ++o) values[o] = Real(sums[o] * call.scale * call.scale);
}

template <class Real>
void state_vector(Call<Real>& call, const Real* cotangent, Real* values) {
    const std::size_t lanes = std::size_t(1) << call.lane_bits;
    for_amplitudes(call, [&](std::size_t place, u64 index, Complex factor) {
        const Complex amplitude = Complex(call.psi[place], call.psi[place + lanes]) * factor;
        values[2 * index] = Real(amplitude.real());
        values[2 * index + 1] = Real(amplitude.imag());
        if (!cotangent) return;
        // lambda is stored in units of `scale` like psi: the factor's phase is undone, its size divided out
        const Complex lambda = Complex(cotangent[2 * index], cotangent[2 * index + 1]) / factor;
        call.lambda[place] = Real(lambda.real());
        call.lambda[place + lanes] = Real(lambda.imag());
    });
}

std::int64_t outputs_of(const Program& program) {
    if (program.question == Question::expect) return std::int64_t(program.observables.size());
    if (program.question == Question::state) return std::int64_t(2) << program.num_qubits;
    return std::int64_t(1) << program.measured.size();
}

template <class Real>
void answer_with(Call<Real>& call, const Real* cotangent, Real* values) {
    if (call.program().question == Question::expect)
        expectations(call, cotangent, values);
    else if (call.program().question == Question::probabilities)
        probabilities(call, cotangent, values);
    else
        state_vector(call, cotangent, values);
}

/// Values, and lambda when there is a cotangent; with a slope the cotangent depends on the values, so these come first.
template <class Real>
void answer(Call<Real>& call) {
    const std::int64_t width = outputs_of(call.program()), offset = call.sample * width;
    const Real* cotangent = call.arrays.cotangent ? call.arrays.cotangent + offset : nullptr;
    Real* values = call.arrays.values + offset;
    if (!call.arrays.slope) return answer_with(call, cotangent, values);
    answer_with<Real>(call, nullptr, values);
    std::vector<Real> total(cotangent, cotangent + width);
    for (std::int64_t k = 0; k < width; ++k) total[k] += call.arrays.slope[offset + k] * values[k];
    answer_with<Real>(call, total.data(), values);
}

// ------------------------------------------------------------------------------------------------ samples

template <class Real>
void chain(Call<Real>& call) {
    const Program& program = call.program();
    std::vector<double> dslots(call.slots.size(), 0.0);
    for (std::size_t i = 0; i < call.blocked.ops.size(); ++i) {
        const PauliOp& op = call.blocked.ops[i];
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
    for (const Pass& pass : call.blocked.passes) run_pass(call, pass, false);
    answer(call);
    if (!call.arrays.cotangent) return;
    call.gradient.assign(call.blocked.ops.size(), 0.0);
    for (std::size_t p = call.blocked.passes.size(); p-- > 0;) run_pass(call, call.blocked.passes[p], true);
    chain(call);
}

}  // namespace

template <class Real>
bool execute_blocked(const BlockedPlan& blocked, const BlockedKernels<Real>& kernels,
                    const Arrays<Real>& arrays, int threads, Interrupt& interrupt) {
    Call<Real> call{blocked, kernels, arrays, interrupt, threads, std::countr_zero(unsigned(kernels.lanes)),
                    0, {}, {}, {}, 1, {}, {}, {}};
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

std::uint64_t bytes_blocked(const BlockedPlan& blocked, int real_size, bool backward) {
    return (std::uint64_t(2) << blocked.program.num_qubits) * std::uint64_t(real_size) * (backward ? 2 : 1);
}

template bool execute_blocked<double>(const BlockedPlan&, const BlockedKernels<double>&, const Arrays<double>&,
                                     int, Interrupt&);
template bool execute_blocked<float>(const BlockedPlan&, const BlockedKernels<float>&, const Arrays<float>&, int,
                                    Interrupt&);

}  // namespace ketgrad
