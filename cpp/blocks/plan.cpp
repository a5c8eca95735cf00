#include "blocks/plan.hpp"

#include <algorithm>
#include <bit>

#include "base/patience.hpp"
#include "program/pauli.hpp"

namespace ketgrad::blocks {
namespace {

using u64 = std::uint64_t;
constexpr int run_bits = 4;         // the lowest bits stay together: memory is read in runs of 256 bytes or more
constexpr std::size_t most_skipped = 512;   // how far the scheduler looks ahead
constexpr std::size_t most_compared = 512;  // and back, so that compilation stays linear

/// Logical X_b = X^flips[b] and Z_b = Z^parities[b] in the coordinates of a pass.
struct Coordinates {
    std::vector<u64> flips, parities;

    explicit Coordinates(int num_bits) {
        for (int b = 0; b < num_bits; ++b) flips.push_back(u64(1) << b), parities.push_back(u64(1) << b);
    }
    u64 flip(u64 x) const { return combine(flips, x); }
    u64 parity(u64 z) const { return combine(parities, z); }
    void cnot(int control, int target) {
        flips[control] ^= flips[target];
        parities[target] ^= parities[control];
    }
    static u64 combine(const std::vector<u64>& masks, u64 mask) {
        u64 total = 0;
        for (; mask; mask &= mask - 1) total ^= masks[std::countr_zero(mask)];
        return total;
    }
};

/// Of a matrix only the bits are known on which it may act: what commutes with all words there commutes with it.
bool overlap(u64 a_x, u64 a_z, u64 b_x, u64 b_z) { return (a_x & b_z) || (a_z & b_x); }

bool commute(const PauliOp& a, const PauliOp& b) {
    if (a.is_cnot() && b.is_cnot()) return a.control != b.target && b.control != a.target;
    if (b.is_cnot()) return commute(b, a);
    if (a.is_cnot()) return !(b.x >> a.control & 1) && !(b.z >> a.target & 1);
    if (a.is_matrix() || b.is_matrix()) return !overlap(a.x, a.z, b.x, b.z);
    return !(parity(a.x & b.z) ^ parity(a.z & b.x));
}

bool commute(const Layer& layer, const Entry& a, const Entry& b) {
    if (layer.kind == LayerKind::matrix) return !overlap(a.x, a.z, b.x, b.z);
    return !(parity(a.x & b.z) ^ parity(a.z & b.x));
}

// As early as possible: an entry moves ahead of all later layers with which it commutes, into the first of its own kind.
void place(std::vector<Layer>& layers, const Entry& entry) {
    const LayerKind kind = entry.x ? LayerKind::rotations : LayerKind::diagonal;
    std::size_t best = layers.size(), seen = 0;
    for (std::size_t l = layers.size(); l-- > 0 && seen < most_compared;) {
        if (layers[l].kind == kind) best = l;
        if (layers[l].kind == LayerKind::diagonal && kind == LayerKind::diagonal) continue;
        seen += layers[l].entries.size();
        const auto blocks = [&](const Entry& other) { return !commute(layers[l], entry, other); };
        if (std::any_of(layers[l].entries.begin(), layers[l].entries.end(), blocks)) break;
    }
    if (best == layers.size()) layers.push_back({kind, {}});
    layers[best].entries.push_back(entry);
}

/// The X and Z parts of what is asked: an operation that commutes with them and with all that follows it changes no answer.
struct Reach {
    u64 x = 0, z = 0;

    bool misses(const PauliOp& op) const {
        if (op.is_cnot()) return !(x >> op.control & 1) && !(z >> op.target & 1);
        return !overlap(op.x, op.z, x, z);
    }
    void add(const PauliOp& op) {
        x |= op.is_cnot() ? u64(1) << op.target : op.x;
        z |= op.is_cnot() ? u64(1) << op.control : op.z;
    }
};

// Backwards from the question, so that each operation is held against all that is kept after it.
int prune(std::vector<PauliOp>& ops, const Program& program) {
    if (program.question == Question::state) return 0;
    Reach reach;
    for (const auto& observable : program.observables)
        for (const Word& word : observable) reach.x |= word.x, reach.z |= word.z;
    for (int bit : program.measured) reach.z |= u64(1) << bit;
    std::vector<PauliOp> kept;
    for (std::size_t i = ops.size(); i-- > 0;) {
        if (reach.misses(ops[i])) continue;
        reach.add(ops[i]);
        kept.push_back(ops[i]);
    }
    const int dropped = int(ops.size() - kept.size());
    ops.assign(kept.rbegin(), kept.rend());
    return dropped;
}

// A word that flips more bits than fit into a block is turned by CNOTs from its first flipped bit a to the others: they map
// X_a X_b.. to X_a and Z_b to Z_a Z_b.
void narrow(std::vector<PauliOp>& ops, int room) {
    std::vector<PauliOp> narrowed;
    for (PauliOp op : ops) {
        if (op.is_cnot() || op.is_matrix() || std::popcount(op.x) <= room) {
            narrowed.push_back(op);
            continue;
        }
        const u64 first = op.x & -op.x;
        std::vector<PauliOp> ladder;
        for (u64 rest = op.x ^ first; rest; rest &= rest - 1) {
            PauliOp& cnot = ladder.emplace_back();
            cnot.control = std::countr_zero(first);
            cnot.target = std::countr_zero(rest);
            if (op.z & rest & -rest) op.z ^= first;
        }
        op.x = first;
        narrowed.insert(narrowed.end(), ladder.begin(), ladder.end());
        narrowed.push_back(op);
        narrowed.insert(narrowed.end(), ladder.rbegin(), ladder.rend());
    }
    ops = std::move(narrowed);
}

/// The bits of the next block: the lowest ones, and those that the next operations flip. Only a large matrix, which must be
/// the first operation, makes a block larger.
u64 choose_bits(const std::vector<PauliOp>& ops, const std::vector<int>& rest, int num_bits, int block_bits) {
    Coordinates frame(num_bits);
    u64 chosen = (u64(1) << std::min(run_bits, num_bits)) - 1;
    for (std::size_t i = 0; i < rest.size() && i < 4 * most_skipped; ++i) {
        const PauliOp& op = ops[rest[i]];
        const u64 wanted = chosen | (op.is_cnot() ? frame.flips[op.target] : frame.flip(op.x));
        if (i && std::popcount(wanted) > block_bits) continue;
        chosen = wanted;
        if (op.is_cnot()) frame.cnot(op.control, op.target);
    }
    for (int b = 0; b < num_bits && std::popcount(chosen) < block_bits; ++b) chosen |= u64(1) << b;
    return chosen;
}

u64 compress(u64 mask, const std::vector<int>& bits) {
    u64 local = 0;
    for (std::size_t i = 0; i < bits.size(); ++i) local |= (mask >> bits[i] & 1) << i;
    return local;
}

/// Matrices are applied as they are written: their bits must not have been mixed with others by the CNOTs of the pass.
bool is_plain(const Coordinates& frame, const PauliOp& op) {
    for (u64 rest = op.z; rest; rest &= rest - 1) {
        const int bit = std::countr_zero(rest);
        const bool is_target = op.x >> bit & 1;
        if (frame.parities[bit] != u64(1) << bit || (is_target && frame.flips[bit] != u64(1) << bit)) return false;
    }
    return true;
}

/// Takes into one pass whatever commutes with all that is skipped; `rest` is what is left.
Pass take_pass(const std::vector<PauliOp>& ops, std::vector<int>& rest, int num_bits, u64 chosen, Coordinates& frame) {
    Pass pass;
    for (int b = 0; b < num_bits; ++b)
        if (chosen >> b & 1) pass.bits.push_back(b);
    std::vector<int> left;
    std::size_t i = 0;
    for (; i < rest.size() && left.size() < most_skipped; ++i) {
        const PauliOp& op = ops[rest[i]];
        poll_compilation();
        const u64 flips = op.is_cnot() ? frame.flips[op.target] : frame.flip(op.x);
        const auto clashes = [&](int other) { return !commute(op, ops[other]); };
        const bool fits = !(flips & ~chosen) && (!op.is_matrix() || is_plain(frame, op));
        if (!fits || std::any_of(left.begin(), left.end(), clashes)) {
            left.push_back(rest[i]);
        } else if (op.is_cnot()) {
            frame.cnot(op.control, op.target);
        } else if (op.is_matrix()) {
            const Entry entry{compress(op.x, pass.bits), compress(op.z, pass.bits), op.z & ~chosen, 0, rest[i]};
            pass.layers.push_back({LayerKind::matrix, {entry}});
        } else {
            const u64 z = frame.parity(op.z);
            const Entry entry{compress(flips, pass.bits), compress(z, pass.bits), z & ~chosen, op.power, rest[i]};
            place(pass.layers, entry);
        }
    }
    left.insert(left.end(), rest.begin() + std::ptrdiff_t(i), rest.end());
    rest = std::move(left);
    return pass;
}

}  // namespace

Plan make_plan(Program program, int block_bits) {
    Plan plan;
    plan.program = std::move(program);
    lower_to_words(plan);
    plan.pruned = prune(plan.ops, plan.program);
    const int num_bits = plan.program.num_qubits;
    const bool whole = num_bits <= block_bits;
    if (!whole) narrow(plan.ops, block_bits - run_bits);
    std::vector<int> rest(plan.ops.size());
    for (std::size_t i = 0; i < rest.size(); ++i) rest[i] = int(i);
    Coordinates last(num_bits);
    u64 live = 0;  // CNOTs keep to it: those of a pass change only bits of its block
    for (const Instruction& instruction : plan.program.instructions)
        if (instruction.kind == InstructionKind::state_preparation)
            for (int bit : instruction.targets) live |= u64(1) << bit;
    while (!rest.empty()) {
        Coordinates frame(num_bits);
        const u64 all = (u64(1) << num_bits) - 1;
        const u64 chosen = whole ? all : choose_bits(plan.ops, rest, num_bits, block_bits);
        plan.passes.push_back(take_pass(plan.ops, rest, num_bits, chosen, frame));
        Pass& pass = plan.passes.back();
        pass.live = live & ~chosen;
        live |= chosen;
        const bool keeps_frame = whole && rest.empty();
        pass.logical = frame.parities;
        pass.moves = !keeps_frame && frame.parities != Coordinates(num_bits).parities;
        if (keeps_frame) last = frame;
    }
    plan.flips = last.flips;
    plan.parities = last.parities;
    return plan;
}

}  // namespace ketgrad::blocks
