// Sets of rows and lanes against the rotations that they stand for: done member by member, as program/row_sets.hpp defines them.
#include "passes/lower.hpp"

#include "tests/reference.hpp"

namespace {

using namespace ketgrad;
using namespace ketgrad::tests;

constexpr int num_bits = 5;

/// One state, its low bits in the lanes.
struct Spread {
    Vector psi;
    int lane_bits;

    Complex& at(std::uint64_t row, int lane) { return psi[row << lane_bits | std::uint64_t(lane)]; }
    int lanes() const { return 1 << lane_bits; }
};

std::vector<std::uint64_t> rows_of(const RowSet& set) {
    std::vector<std::uint64_t> rows{set.base};
    for (int i = 0; i < set.dim; ++i)
        for (std::size_t k = rows.size(); k-- > 0;) rows.push_back(rows[k] ^ set.basis[i]);
    return rows;
}

bool has(std::uint32_t lanes, int lane) { return lanes >> lane & 1; }

/// 0 <- c 0 - s 1, 1 <- c 1 + s 0 like Y; 0 <- c 0 - i s 1, 1 <- c 1 - i s 0 like X.
void turn(Complex& zero, Complex& one, Coupling coupling, double angle) {
    const double c = std::cos(angle / 2), s = std::sin(angle / 2);
    const Complex a = zero, b = one, i = coupling == Coupling::imaginary ? Complex(0, 1) : 1;
    zero = c * a - i * s * b;
    one = coupling == Coupling::imaginary ? c * b - i * s * a : c * b + s * a;
}

void rotate_pairs(Spread& state, const PairSet& set, double angle) {
    const double c = std::cos(angle / 2), s = std::sin(angle / 2);
    for (const std::uint64_t row : rows_of(set.rows)) {
        const Spread before = state;
        for (int lane = 0; lane < state.lanes(); ++lane) {
            if (!has(set.active_lanes, lane)) continue;
            const double sign = has(set.negative_lanes, lane) ? -set.sign : set.sign;
            if (set.x) {
                turn(state.at(row, lane), state.at(row ^ set.x, lane ^ set.lane_x), set.coupling, sign * angle);
                continue;
            }
            Spread source = before;  // inside the lanes each is a first member, and the sign is that of its source
            const Complex other = source.at(row, lane ^ set.lane_x);
            state.at(row, lane) = c * source.at(row, lane) + (set.coupling == Coupling::real ? 1.0 : Complex(0, -1)) * sign * s * other;
        }
    }
}

void rotate_quartets(Spread& state, const QuartetSet& set, const double* angles) {
    for (const std::uint64_t row : rows_of(set.rows))
        for (int which = 0; which < 2; ++which)
            for (int lane = 0; lane < state.lanes(); ++lane)
                for (int side = 0; side < 2; ++side) {  // the pair at the first row, and the one that the other word moves it to
                    const std::uint64_t first = row ^ (side ? set.x[1 - which] : 0);
                    const int at = lane ^ (side ? set.lane_x[1 - which] : 0);
                    const double sign = has(set.negative_lanes[which], lane) ? -set.sign[which] : set.sign[which];
                    turn(state.at(first, at), state.at(first ^ set.x[which], at ^ set.lane_x[which]), set.coupling[which], sign * angles[which]);
                }
}

void phase(Spread& state, const SignedRows& set, double angle) {
    for (const std::uint64_t row : rows_of(set.rows))
        for (int lane = 0; lane < state.lanes(); ++lane) {
            if (!has(set.active_lanes, lane)) continue;
            const double sign = has(set.negative_lanes, lane) ? -set.sign : set.sign;
            state.at(row, lane) *= std::polar(1.0, -sign * angle / 2);
        }
}

Vector random_state(Numbers& numbers) {
    Vector psi(std::size_t(1) << num_bits);
    for (Complex& amplitude : psi) amplitude = {numbers.between(-1, 1), numbers.between(-1, 1)};
    return psi;
}

Rotation random_rotation(Numbers& numbers, bool controlled) {
    const std::uint64_t masks = std::uint64_t(1) << num_bits;
    Rotation rotation{hermitian(numbers.below(masks), 1 + numbers.below(masks - 1)), {}, 0, numbers.between(-3, 3)};
    if (numbers.below(2)) rotation.word.power = (rotation.word.power + 2) & 3;
    for (std::uint64_t i = controlled ? numbers.below(3) : 0; i-- > 0;) {
        const std::uint64_t mask = 1 + numbers.below(masks - 1);
        if (!parity(mask & rotation.word.x)) rotation.controls.push_back({mask, int(numbers.below(2))});
    }
    return rotation;
}

Vector wanted_of(const Vector& psi, const Rotation& rotation) {
    return rotated(psi, rotation.word, rotation.scale, [&](std::size_t k) {
        for (const Constraint& control : rotation.controls)
            if (parity(control.mask & k) != control.bit) return false;
        return true;
    });
}

/// A schedule of one layer; all angles are 1, so that a rotation turns by its scale.
Schedule schedule_of(const std::vector<Rotation>& rotations) {
    Schedule schedule;
    schedule.program.num_qubits = schedule.given_qubits = num_bits;
    schedule.angles = {{{{1, 0, 0}}, true}};
    schedule.layers.push_back({Commuting{rotations}});
    schedule.readout.parities.resize(num_bits);
    return schedule;
}

void run_steps(const Lowered& lowered, Spread& state) {
    for (const Step& step : lowered.steps) {
        const RotationStep& one = std::get<RotationStep>(step);
        double angles[2] = {};
        for (int i = 0; i < 2; ++i)
            if (one.turns[i] >= 0) angles[i] = lowered.turns[std::size_t(one.turns[i])].scale;
        for (const QuartetSet& set : one.quartets) rotate_quartets(state, set, angles);
        for (const PairSet& set : one.pairs) rotate_pairs(state, set, angles[0]);
        for (const SignedRows& set : one.phases) phase(state, set, angles[0]);
    }
}

void a_rotation_is_its_sets_in_every_layout() {
    Numbers numbers(5);
    for (int lane_bits = 0; lane_bits <= 3; ++lane_bits)
        for (int trial = 0; trial < 300; ++trial) {
            const Rotation rotation = random_rotation(numbers, true);
            Spread state{random_state(numbers), lane_bits};
            const Vector wanted = wanted_of(state.psi, rotation);
            run_steps(lower(schedule_of({rotation}), lane_bits), state);
            holds(distance(state.psi, wanted) < 1e-12, "a rotation with " + std::to_string(rotation.controls.size()) + " controls, " +
                  std::to_string(lane_bits) + " bits in the lanes (trial " + std::to_string(trial) + ")");
        }
}

void two_rotations_that_commute_go_together() {
    Numbers numbers(6);
    int together = 0;
    for (int trial = 0; trial < 1200; ++trial) {
        const int lane_bits = trial % 4;
        const Rotation a = random_rotation(numbers, false), b = random_rotation(numbers, false);
        if (!commute(a.word, b.word)) continue;
        Spread state{random_state(numbers), lane_bits};
        const Vector wanted = wanted_of(wanted_of(state.psi, a), b);
        const Lowered lowered = lower(schedule_of({a, b}), lane_bits);
        together += !std::get<RotationStep>(lowered.steps[0]).quartets.empty();
        run_steps(lowered, state);
        holds(distance(state.psi, wanted) < 1e-12, "two rotations (trial " + std::to_string(trial) + ")");
    }
    holds(together > 50, "many of them in one pass");
}

}  // namespace

int main() {
    a_rotation_is_its_sets_in_every_layout();
    two_rotations_that_commute_go_together();
    return verdict("lower");
}
