// The angles of a call, the layers of a pass in the form that kernels take, and their work on one block in the cache.
#include <numbers>

#include "blocks/call.hpp"
#include "program/angle_reduction.hpp"

namespace ketgrad::blocks {
namespace {

double angle(const Instruction& instruction, const std::vector<double>& slots) {
    double sum = 0;
    for (const Term& term : instruction.angle) sum += term.coefficient * slots[term.a] * slots[term.b];
    return sum;
}

}  // namespace

// R(t) = R(t -+ pi) R(+-pi) and R(+-pi) = -+i P: the reduced turn has |tan| <= 1, the Pauli operator goes to the frame.
template <class Real>
void load_turnings(Call<Real>& call) {
    call.frame = PauliFrame{};
    call.turnings.assign(call.plan.ops.size(), {});
    call.left_behind.assign(call.plan.matrices.size(), {});
    for (std::size_t i = 0; i < call.plan.ops.size(); ++i) {
        const PauliOp& op = call.plan.ops[i];
        if (op.is_cnot()) {
            call.frame.cnot(op.control, op.target);
            continue;
        }
        if (op.is_matrix()) {
            call.left_behind[op.matrix] = {call.frame.x, call.frame.z};
            continue;
        }
        double full = op.constant;
        if (op.instruction >= 0) full += op.scale * angle(call.program().instructions[op.instruction], call.slots);
        Turning& turning = call.turnings[i];
        turning.direction = call.frame.anticommutes(op.x, op.z) ? -1 : 1;
        double reduced = turning.direction * within_a_turn(full);
        if (op.x && std::isfinite(reduced)) {
            constexpr double rest = 1.2246467991473532e-16;  // of pi
            const double half_turns = std::nearbyint(reduced / std::numbers::pi);
            reduced = std::fma(-half_turns, rest, std::fma(-half_turns, std::numbers::pi, reduced));
            const int quarter = int(std::fmod(half_turns, 4.0)) & 3;  // R(k pi) = (-i P)^k
            if (quarter & 1) call.frame.multiply(op, quarter == 1 ? Complex(0, -1) : Complex(0, 1));
            if (quarter == 2) call.frame.phase = -call.frame.phase;
        }
        turning.half = reduced / 2;
    }
}

namespace {

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

template <class Real>
void prepare_diagonal(const Call<Real>& call, const Layer& layer, int bits, PreparedLayer<Real>& prepared) {
    const u64 low_mask = (u64(1) << bits) - 1;
    prepared.spectrum = allocate_zeros<Real>(u64(1) << bits);
    for (const Entry& entry : layer.entries) {
        const Phase phase{entry.z & low_mask, entry.z >> bits, entry.outside, -call.turnings[entry.op].half, entry.op};
        prepared.phases.push_back(phase);
        prepared.has_parameters |= call.plan.ops[entry.op].instruction >= 0;
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
        call.kernels.walsh(angles.get(), u64(1) << bits);
        prepared.tables.push_back(allocate<Real>(u64(2) << bits));
        call.kernels.unit_phases(prepared.tables.back().get(), angles.get(), u64(1) << (bits - call.lane_bits), 1);
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

}  // namespace

template <class Real>
std::vector<PreparedLayer<Real>> prepare_layers(Call<Real>& call, const Pass& pass, bool backward) {
    std::vector<PreparedLayer<Real>> layers(pass.layers.size());
    for (std::size_t k = 0; k < layers.size(); ++k) {
        const std::size_t l = backward ? layers.size() - 1 - k : k;
        const Layer& layer = pass.layers[l];
        layers[l].kind = layer.kind;
        layers[l].scale = call.scale;
        if (layer.kind == LayerKind::diagonal) {
            prepare_diagonal(call, layer, tile_bits_of(call, int(pass.bits.size())), layers[l]);
        } else if (layer.kind == LayerKind::matrix) {
            layers[l].matrix = prepare_matrix(call, pass, layer.entries[0], backward);
        } else {
            layers[l].moves = pair_up(call, layer, backward);
            note_scales(call, layers[l].moves, backward);
        }
    }
    return layers;
}

namespace {

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

/// The table with the signs that this tile gives to the mixed masks.
template <class Real>
const Real* table_of_tile(const Call<Real>& call, const PreparedLayer<Real>& layer, const Block<Real>& block, u64 tile,
                           int bits) {
    if (!layer.tables.empty()) {
        std::size_t signs = 0;
        for (std::size_t j = 0; j < layer.mixed.size(); ++j)
            signs |= std::size_t(is_negative(layer.mixed[j], tile, block.base)) << j;
        return layer.tables[signs].get();
    }
    std::copy_n(layer.spectrum.get(), u64(1) << bits, block.overlap);
    for (const Phase& phase : layer.mixed) block.overlap[phase.low] += Real(signed_phase(phase, tile, block.base));
    call.kernels.walsh(block.overlap, u64(1) << bits);
    call.kernels.unit_phases(block.table, block.overlap, u64(1) << (bits - call.lane_bits), 1);
    return block.table;
}

template <class Real>
Complex scalar_of_tile(const PreparedLayer<Real>& layer, const Block<Real>& block, u64 tile) {
    double phase = 0;
    for (const Phase& high : layer.high) phase += signed_phase(high, tile, block.base);
    return {std::cos(phase), std::sin(phase)};
}

template <class Real>
void diagonal_forward(const Call<Real>& call, const PreparedLayer<Real>& layer, const Block<Real>& block) {
    const int bits = tile_bits_of(call, block.bits), rows = 1 << (bits - call.lane_bits);
    for (u64 tile = 0; tile < u64(1) << (block.bits - bits); ++tile) {
        const Complex scalar = scalar_of_tile(layer, block, tile);
        const Real* table = table_of_tile(call, layer, block, tile, bits);
        call.kernels.multiply(block.psi + (tile << (bits + 1)), table, rows, Real(scalar.real()), Real(scalar.imag()));
    }
}

// d loss / d t_j = 1/2 sum_k (-1)^parity(m_j & k) Im(conj(lambda_k) psi_k): one transform per tile serves all masks.
template <class Real>
void diagonal_backward(const Call<Real>& call, const PreparedLayer<Real>& layer, const Block<Real>& block) {
    const int bits = tile_bits_of(call, block.bits), rows = 1 << (bits - call.lane_bits);
    const double weight = 0.5 * layer.scale * layer.scale;
    for (u64 tile = 0; tile < u64(1) << (block.bits - bits); ++tile) {
        const Complex scalar = scalar_of_tile(layer, block, tile);
        const Real* table = table_of_tile(call, layer, block, tile, bits);
        const u64 offset = tile << (bits + 1);
        call.kernels.multiply_back(block.psi + offset, block.lambda + offset, table, rows, Real(scalar.real()),
                                   Real(scalar.imag()), block.overlap);
        if (!layer.has_parameters) continue;
        call.kernels.walsh(block.overlap, u64(1) << bits);
        for (const Phase& phase : layer.phases) {
            const double signed_weight = is_negative(phase, tile, block.base) ? -weight : weight;
            block.gradient[phase.op] += signed_weight * double(block.overlap[phase.low]);
        }
    }
}

// A constant matrix has no gradient: backward, its adjoint takes both states to where they were.
template <class Real>
void apply_matrix(const Call<Real>& call, const PreparedMatrix<Real>& matrix, const Block<Real>& block) {
    if ((block.base & matrix.outside) != matrix.outside_value) return;
    call.kernels.apply_matrix(block.psi, rows_of(call, block), matrix.turn, block.matrix);
    if (block.lambda) call.kernels.apply_matrix(block.lambda, rows_of(call, block), matrix.turn, block.matrix);
}

template <class Real>
void run_layer(const Call<Real>& call, const PreparedLayer<Real>& layer, const Block<Real>& block) {
    if (layer.kind == LayerKind::matrix)
        apply_matrix(call, layer.matrix, block);
    else if (layer.kind == LayerKind::diagonal)
        block.lambda ? diagonal_backward(call, layer, block) : diagonal_forward(call, layer, block);
    else
        block.lambda ? rotate_backward(call, layer, block) : rotate_forward(call, layer, block);
}

}  // namespace

template <class Real>
void run_layers(const Call<Real>& call, const std::vector<PreparedLayer<Real>>& layers, const Block<Real>& block) {
    for (std::size_t l = 0; l < layers.size(); ++l) run_layer(call, layers[block.lambda ? layers.size() - 1 - l : l], block);
}

template void load_turnings(Call<double>&);
template void load_turnings(Call<float>&);
template std::vector<PreparedLayer<double>> prepare_layers(Call<double>&, const Pass&, bool);
template std::vector<PreparedLayer<float>> prepare_layers(Call<float>&, const Pass&, bool);
template void run_layers(const Call<double>&, const std::vector<PreparedLayer<double>>&, const Block<double>&);
template void run_layers(const Call<float>&, const std::vector<PreparedLayer<float>>&, const Block<float>&);

}  // namespace ketgrad::blocks
