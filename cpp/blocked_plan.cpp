#include "blocked_plan.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

namespace ketgrad {
namespace {

using Complex = std::complex<double>;
using u64 = std::uint64_t;
constexpr double pi = std::numbers::pi;
constexpr int most_controls = 4;    // a rotation under c controls becomes 2^c rotations
constexpr int run_bits = 4;         // the lowest bits stay together: memory is read in runs of 256 bytes or more
constexpr std::size_t most_skipped = 512;   // how far the scheduler looks ahead
constexpr std::size_t most_compared = 512;  // and back, so that compilation stays linear

bool odd(u64 mask) { return std::popcount(mask) & 1; }

// The projector on controls is the product of (1 - Z_c) / 2, so a controlled rotation is a product of rotations about
// P Z_s over subsets s of the controls, with angles +-t / 2^c.
void add_rotation(std::vector<PauliOp>& ops, const PauliOp& word, u64 controls) {
    const double share = 1.0 / double(u64(1) << std::popcount(controls));
    for (u64 subset = controls;; subset = (subset - 1) & controls) {
        PauliOp part = word;
        const double factor = odd(subset) ? -share : share;
        part.z |= subset;
        part.scale *= factor;
        part.constant *= factor;
        ops.push_back(part);
        if (subset == 0) return;
    }
}

void add_constant(std::vector<PauliOp>& ops, u64 x, u64 z, double angle, u64 controls) {
    PauliOp word;
    word.x = x;
    word.z = z;
    word.power = std::popcount(x & z) & 3;
    word.constant = angle;
    if (angle != 0) add_rotation(ops, word, controls);
}

bool near(Complex a, Complex b) { return std::abs(a - b) < 1e-14; }

// U = exp(i alpha) RZ(phi) RY(theta) RZ(lambda), read off the matrix.
void add_one_qubit(std::vector<PauliOp>& ops, const Instruction& instruction) {
    const u64 bit = u64(1) << instruction.targets[0];
    const auto& u = instruction.data;
    if (near(u[0], 0) && near(u[3], 0) && near(u[1], 1) && near(u[2], 1) && std::popcount(instruction.controls) == 1) {
        PauliOp cnot;
        cnot.control = std::countr_zero(instruction.controls);
        cnot.target = instruction.targets[0];
        ops.push_back(cnot);
        return;
    }
    const double theta = 2 * std::atan2(std::abs(u[2]), std::abs(u[0]));
    const bool diagonal = std::abs(u[2]) < 1e-14, flip = std::abs(u[0]) < 1e-14;
    const double alpha = flip ? (std::arg(u[2]) + std::arg(-u[1])) / 2 : (std::arg(u[0]) + std::arg(u[3])) / 2;
    const double sum = flip ? 0 : 2 * (std::arg(u[3]) - alpha);
    const double difference = diagonal ? 0 : 2 * (std::arg(u[2]) - alpha);
    add_constant(ops, 0, bit, (sum - difference) / 2, instruction.controls);
    if (!diagonal) add_constant(ops, bit, bit, theta, instruction.controls);
    add_constant(ops, 0, bit, (sum + difference) / 2, instruction.controls);
    add_constant(ops, 0, 0, -2 * alpha, instruction.controls);
}

bool is_diagonal(const Instruction& instruction) {
    const std::size_t size = std::size_t(1) << instruction.targets.size();
    for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j < size; ++j)
            if (i != j && !near(instruction.data[i * size + j], 0)) return false;
    return true;
}

bool is_swap(const Instruction& instruction) {
    if (instruction.targets.size() != 2 || instruction.controls) return false;
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j)
            if (!near(instruction.data[4 * i + j], j == ((i & 1) << 1 | i >> 1))) return false;
    return true;
}

// exp(i f(k)) with f(k) = sum_m c_m (-1)^parity(m & k): the c_m are the Walsh coefficients of the phases.
void add_diagonal(std::vector<PauliOp>& ops, const Instruction& instruction) {
    const std::size_t size = std::size_t(1) << instruction.targets.size();
    for (std::size_t m = 0; m < size; ++m) {
        double coefficient = 0;
        for (std::size_t k = 0; k < size; ++k)
            coefficient += (odd(m & k) ? -1 : 1) * std::arg(instruction.data[k * size + k]) / double(size);
        add_constant(ops, 0, spread(m, instruction.targets), -2 * coefficient, instruction.controls);
    }
}

void add_swap(std::vector<PauliOp>& ops, int a, int b) {
    for (int i = 0; i < 3; ++i) {
        PauliOp cnot;
        cnot.control = i == 1 ? b : a;
        cnot.target = i == 1 ? a : b;
        ops.push_back(cnot);
    }
}

const char* lower(const Program& program, std::vector<PauliOp>& ops) {
    for (std::size_t i = 0; i < program.instructions.size(); ++i) {
        const Instruction& instruction = program.instructions[i];
        if (instruction.kind == InstructionKind::state_preparation) continue;
        if (std::popcount(instruction.controls) > most_controls) return "an instruction has many controls";
        if (instruction.kind == InstructionKind::pauli_rotation) {
            PauliOp word;
            word.x = instruction.x;
            word.z = instruction.z;
            word.power = std::popcount(word.x & word.z) & 3;
            word.instruction = int(i);
            word.scale = 1;
            add_rotation(ops, word, instruction.controls);
        } else if (instruction.targets.size() == 1) {
            add_one_qubit(ops, instruction);
        } else if (instruction.targets.size() <= 6 && is_diagonal(instruction)) {
            add_diagonal(ops, instruction);
        } else if (is_swap(instruction)) {
            add_swap(ops, instruction.targets[0], instruction.targets[1]);
        } else {
            return "a dense matrix on several qubits";
        }
    }
    return nullptr;
}

/// Logical X_b = X^flips[b] and Z_b = Z^parities[b] in the coordinates of a pass.
struct Frame {
    std::vector<u64> flips, parities;

    explicit Frame(int num_bits) {
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

bool commute(const PauliOp& a, const PauliOp& b) {
    if (a.is_cnot() && b.is_cnot()) return a.control != b.target && b.control != a.target;
    if (b.is_cnot()) return commute(b, a);
    if (a.is_cnot()) return !(b.x >> a.control & 1) && !(b.z >> a.target & 1);
    return !(odd(a.x & b.z) ^ odd(a.z & b.x));
}

bool commute(const Entry& a, const Entry& b) { return !(odd(a.x & b.z) ^ odd(a.z & b.x)); }

// As early as possible: an entry moves ahead of all later layers with which it commutes, into the first of its own kind.
void place(std::vector<Layer>& layers, const Entry& entry) {
    const bool diagonal = entry.x == 0;
    std::size_t best = layers.size(), seen = 0;
    for (std::size_t l = layers.size(); l-- > 0 && seen < most_compared;) {
        if (layers[l].diagonal == diagonal) best = l;
        if (layers[l].diagonal && diagonal) continue;
        seen += layers[l].entries.size();
        const auto blocks = [&](const Entry& other) { return !commute(entry, other); };
        if (std::any_of(layers[l].entries.begin(), layers[l].entries.end(), blocks)) break;
    }
    if (best == layers.size()) layers.push_back({diagonal, {}});
    layers[best].entries.push_back(entry);
}

/// The X and Z parts of what is asked: an operation that commutes with them and with all that follows it changes no answer.
struct Reach {
    u64 x = 0, z = 0;

    bool misses(const PauliOp& op) const {
        if (op.is_cnot()) return !(x >> op.control & 1) && !(z >> op.target & 1);
        return !(op.x & z) && !(op.z & x);
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
        if (op.is_cnot() || std::popcount(op.x) <= room) {
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

/// The bits of the next block: the lowest ones, and those that the next operations flip.
u64 choose_bits(const std::vector<PauliOp>& ops, const std::vector<int>& rest, int num_bits, int block_bits) {
    Frame frame(num_bits);
    u64 chosen = (u64(1) << std::min(run_bits, num_bits)) - 1;
    for (std::size_t i = 0; i < rest.size() && i < 4 * most_skipped; ++i) {
        const PauliOp& op = ops[rest[i]];
        const u64 wanted = chosen | (op.is_cnot() ? frame.flips[op.target] : frame.flip(op.x));
        if (std::popcount(wanted) > block_bits) continue;
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

/// Takes into one pass whatever commutes with all that is skipped; returns what is left.
Pass take_pass(const std::vector<PauliOp>& ops, std::vector<int>& rest, int num_bits, u64 chosen, Frame& frame) {
    Pass pass;
    for (int b = 0; b < num_bits; ++b)
        if (chosen >> b & 1) pass.bits.push_back(b);
    std::vector<int> left;
    std::size_t i = 0;
    for (; i < rest.size() && left.size() < most_skipped; ++i) {
        const PauliOp& op = ops[rest[i]];
        const u64 flips = op.is_cnot() ? frame.flips[op.target] : frame.flip(op.x);
        const auto clashes = [&](int other) { return !commute(op, ops[other]); };
        if ((flips & ~chosen) || std::any_of(left.begin(), left.end(), clashes)) {
            left.push_back(rest[i]);
        } else if (op.is_cnot()) {
            frame.cnot(op.control, op.target);
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

std::uint64_t spread(std::size_t index, const std::vector<int>& targets) {
    u64 mask = 0;
    for (std::size_t t = 0; t < targets.size(); ++t)
        if (index >> (targets.size() - 1 - t) & 1) mask |= u64(1) << targets[t];
    return mask;
}

BlockedPlan plan_blocked(Program program, int block_bits, int whole_bits) {
    BlockedPlan plan;
    plan.program = std::move(program);
    if (const char* objection = lower(plan.program, plan.ops)) {
        plan.objection = objection;
        return plan;
    }
    plan.supported = true;
    plan.pruned = prune(plan.ops, plan.program);
    const int num_bits = plan.program.num_qubits;
    const bool whole = num_bits <= whole_bits || num_bits <= block_bits;
    if (!whole) narrow(plan.ops, block_bits - run_bits);
    std::vector<int> rest(plan.ops.size());
    for (std::size_t i = 0; i < rest.size(); ++i) rest[i] = int(i);
    Frame last(num_bits);
    while (!rest.empty()) {
        Frame frame(num_bits);
        const u64 all = (u64(1) << num_bits) - 1;
        const u64 chosen = whole ? all : choose_bits(plan.ops, rest, num_bits, block_bits);
        plan.passes.push_back(take_pass(plan.ops, rest, num_bits, chosen, frame));
        Pass& pass = plan.passes.back();
        pass.logical = frame.parities;
        pass.moves = !whole && frame.parities != Frame(num_bits).parities;
        if (whole) last = frame;
    }
    plan.flips = last.flips;
    plan.parities = last.parities;
    return plan;
}

}  // namespace ketgrad
