#include "passes/lower.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/patience.hpp"

namespace ketgrad {
namespace {

/// How index bits divide into rows and lanes.
struct Layout {
    int row_bits, lane_bits;

    std::uint64_t row(std::uint64_t mask) const { return mask >> lane_bits; }
    int lane(std::uint64_t mask) const { return int(mask & ((std::uint64_t(1) << lane_bits) - 1)); }
    std::uint32_t all_lanes() const { return lane_bits >= 5 ? ~0u : (1u << (1 << lane_bits)) - 1; }
};

/// Bit l is set where parity(mask & l) is 1.
std::uint32_t odd_lanes(const Layout& layout, int mask) {
    std::uint32_t odd = 0;
    for (int l = 0; l < 1 << layout.lane_bits; ++l)
        if (parity(std::uint64_t(l & mask))) odd |= 1u << l;
    return odd;
}

/// One part of a set of rows: further constraints, and what they mean for sign and activity.
struct Part {
    std::vector<Constraint> constraints;
    int sign[2] = {1, 1};
    std::uint32_t active = ~0u;
};

/// Every control as a constraint on rows; where it also reads lanes, one part per value of its row parity.
std::vector<Part> split_by_controls(const Layout& layout, const std::vector<Constraint>& controls) {
    std::vector<Part> parts(1);
    parts[0].active = layout.lane_bits ? layout.all_lanes() : ~0u;
    for (const Constraint& control : controls) {
        const std::uint64_t rows = layout.row(control.mask);
        const int lanes = layout.lane(control.mask);
        std::vector<Part> next;
        for (const Part& part : parts)
            for (int value = 0; value < (lanes && rows ? 2 : 1); ++value) {
                Part one = part;
                const int bit = lanes ? value : control.bit;
                one.constraints.push_back({rows, bit});
                if (lanes) {
                    const std::uint32_t odd = odd_lanes(layout, lanes);
                    one.active &= (bit ^ control.bit) ? odd : ~odd;
                }
                next.push_back(one);
            }
        parts = std::move(next);
    }
    return parts;
}

/// Splits by parity(mask & row) = 0 or 1; the latter flips the sign of rotation `which`.
std::vector<Part> split_by_sign(const std::vector<Part>& parts, std::uint64_t mask, int which) {
    if (mask == 0) return parts;
    std::vector<Part> next;
    for (const Part& part : parts)
        for (int value = 0; value < 2; ++value) {
            Part one = part;
            one.constraints.push_back({mask, value});
            if (value) one.sign[which] = -one.sign[which];
            next.push_back(one);
        }
    return next;
}

Coupling coupling_of(const Pauli& word) { return parity(word.x & word.z) ? Coupling::real : Coupling::imaginary; }
int sign_of(const Pauli& word) { return word.power & 2 ? -1 : 1; }

/// A functional of rows that is 1 on x and 0 on other (x and other distinct and not 0).
std::uint64_t selector(std::uint64_t x, std::uint64_t other) {
    if (x & ~other) return (x & ~other) & -(x & ~other);
    const std::uint64_t common = x & other, rest = other & ~x;
    return (common & -common) ^ (rest & -rest);
}

std::vector<PairSet> pair_sets(const Layout& layout, const Pauli& word, const std::vector<Constraint>& controls) {
    const std::uint64_t x = layout.row(word.x), z = layout.row(word.z);
    std::vector<Part> parts = split_by_controls(layout, controls);
    bool split = true;
    if (x) {
        split = !parity(x & z);
        for (Part& part : parts) part.constraints.push_back({split ? selector(x, 0) : z, 0});
    }
    if (split) parts = split_by_sign(parts, z, 0);
    std::vector<PairSet> sets;
    for (const Part& part : parts) {
        const auto rows = solve(layout.row_bits, part.constraints);
        if (!rows) continue;
        PairSet set{*rows, x, layout.lane(word.x), coupling_of(word), sign_of(word) * part.sign[0], 0, part.active};
        set.negative_lanes = odd_lanes(layout, layout.lane(word.z));
        // without partner rows, lane l takes from lane l ^ x: the sign is that of the source
        if (!x && parity(std::uint64_t(layout.lane(word.z) & set.lane_x))) set.sign = -set.sign;
        sets.push_back(set);
    }
    return sets;
}

/// Rows k of one sign for lambda[k] += i^power (+-1) psi[k ^ x]: the sign is that of the source k ^ x.
std::vector<PairSet> application_sets(const Layout& layout, const Pauli& word) {
    std::vector<PairSet> sets;
    for (const Part& part : split_by_sign(split_by_controls(layout, {}), layout.row(word.z), 0)) {
        const auto rows = solve(layout.row_bits, part.constraints);
        if (!rows) continue;
        PairSet set{*rows, layout.row(word.x), layout.lane(word.x), coupling_of(word), sign_of(word) * part.sign[0], 0, ~0u};
        set.negative_lanes = odd_lanes(layout, layout.lane(word.z));
        if (parity(word.z & word.x)) set.sign = -set.sign;
        sets.push_back(set);
    }
    return sets;
}

std::vector<SignedRows> signed_rows(const Layout& layout, const Pauli& word, const std::vector<Constraint>& controls) {
    std::vector<SignedRows> sets;
    for (const Part& part : split_by_sign(split_by_controls(layout, controls), layout.row(word.z), 0)) {
        const auto rows = solve(layout.row_bits, part.constraints);
        if (rows)
            sets.push_back({*rows, sign_of(word) * part.sign[0], odd_lanes(layout, layout.lane(word.z)), part.active});
    }
    return sets;
}

/// Two rotations fit into quartets when they commute member by member and both move rows.
bool fit_together(const Layout& layout, const Rotation& a, const Rotation& b) {
    const std::uint64_t xa = layout.row(a.word.x), xb = layout.row(b.word.x);
    return xa && xb && xa != xb && a.controls.empty() && b.controls.empty() && !parity(a.word.z & b.word.x) &&
           !parity(b.word.z & a.word.x);
}

std::vector<QuartetSet> quartet_sets(const Layout& layout, const Rotation& a, const Rotation& b) {
    const Pauli words[2] = {a.word, b.word};
    std::vector<Part> parts(1);
    for (int i = 0; i < 2; ++i) {
        const std::uint64_t x = layout.row(words[i].x), z = layout.row(words[i].z), other = layout.row(words[1 - i].x);
        const bool selects = parity(x & z) && !parity(other & z);
        for (Part& part : parts) part.constraints.push_back({selects ? z : selector(x, other), 0});
        if (!selects) parts = split_by_sign(parts, z, i);
    }
    std::vector<QuartetSet> sets;
    for (const Part& part : parts) {
        const auto rows = solve(layout.row_bits, part.constraints);
        if (!rows) continue;
        QuartetSet set;
        set.rows = *rows;
        for (int i = 0; i < 2; ++i) {
            set.x[i] = layout.row(words[i].x);
            set.lane_x[i] = layout.lane(words[i].x);
            set.coupling[i] = coupling_of(words[i]);
            set.sign[i] = sign_of(words[i]) * part.sign[i];
            set.negative_lanes[i] = odd_lanes(layout, layout.lane(words[i].z));
        }
        sets.push_back(set);
    }
    return sets;
}

/// The turn of a rotation; the sign of its word goes into the scale.
int add_turn(Lowered& lowered, Rotation& rotation) {
    if (rotation.word.power & 2) {
        rotation.word.power ^= 2;
        rotation.scale = -rotation.scale;
    }
    lowered.turns.push_back({rotation.angle, rotation.scale, !rotation.controls.empty(), false});
    return int(lowered.turns.size()) - 1;
}

void add_single(Lowered& lowered, const Layout& layout, Rotation rotation) {
    RotationStep step;
    const int turn = step.turns[0] = add_turn(lowered, rotation);
    if (rotation.word.x)
        step.pairs = pair_sets(layout, rotation.word, rotation.controls);
    else
        step.phases = signed_rows(layout, rotation.word, rotation.controls);
    for (const PairSet& set : step.pairs)
        if (set.sign < 0 || set.negative_lanes) lowered.turns[turn].signed_sets = true;
    lowered.steps.push_back(std::move(step));
}

void add_double(Lowered& lowered, const Layout& layout, Rotation a, Rotation b) {
    RotationStep step;
    step.turns[0] = add_turn(lowered, a);
    step.turns[1] = add_turn(lowered, b);
    step.quartets = quartet_sets(layout, a, b);
    for (const QuartetSet& set : step.quartets)
        for (int i = 0; i < 2; ++i)
            if (set.sign[i] < 0 || set.negative_lanes[i]) lowered.turns[step.turns[i]].signed_sets = true;
    lowered.steps.push_back(std::move(step));
}

/// 0 constant, 1 weights, 2 inputs, 3 both: rotations of one kind keep their cheap form when they are grouped.
int source_of(const Schedule& schedule, const Rotation& rotation) {
    int source = 0;
    for (const Term& term : schedule.angles[rotation.angle].terms)
        for (std::int64_t slot : {term.a, term.b})
            if (slot) source |= slot <= schedule.program.num_weights ? 1 : 2;
    return source;
}

void lower_rotations(const Schedule& schedule, const Layout& layout, const std::vector<Rotation>& rotations, Lowered& lowered) {
    std::vector<char> done(rotations.size(), 0);
    for (std::size_t i = 0; i < rotations.size(); ++i) {
        if (done[i]) continue;
        const Rotation& a = rotations[i];
        std::size_t partner = i;
        for (std::size_t j = i + 1; schedule.passes.quartets && j < rotations.size(); ++j) {
            const Rotation& b = rotations[j];
            if (done[j] || !fit_together(layout, a, b)) continue;
            const bool alike = (source_of(schedule, a) & 2) == (source_of(schedule, b) & 2);
            if (partner == i || alike) partner = j;
            if (alike) break;
        }
        if (partner == i) {
            add_single(lowered, layout, a);
        } else {
            add_double(lowered, layout, a, rotations[partner]);
            done[partner] = 1;
        }
    }
}

DenseStep dense_step(const Layout& layout, const Dense& dense, std::size_t layer) {
    DenseStep step;
    step.layer = layer;
    step.spread = layout.lane_bits > 0;
    for (const DenseClass& one : dense.classes) {
        const auto rows = solve(layout.row_bits + layout.lane_bits, one.constraints);
        step.rows.push_back(rows ? *rows : RowSet{});
        if (!rows) step.rows.back().dim = -1;
    }
    return step;
}

/// A table whose angles are all multiples of one product of slots has the phases slot * slot * cost(index). Layers with the
/// same words share the cost function, which is transformed once per call.
void find_cost(const Schedule& schedule, TableStep& table, std::vector<Cost>& costs) {
    Cost cost;
    const Term& first = schedule.angles[table.rotations[0].angle].terms.empty()
                            ? Term{0, 0, 0} : schedule.angles[table.rotations[0].angle].terms[0];
    for (const Rotation& rotation : table.rotations) {
        const auto& terms = schedule.angles[rotation.angle].terms;
        if (terms.size() != 1 || terms[0].a != first.a || terms[0].b != first.b || terms[0].coefficient == 0) return;
        const double sign = rotation.word.power & 2 ? -1 : 1;
        cost.entries.push_back({rotation.word.z, sign * rotation.scale * terms[0].coefficient});
        cost.bound += std::abs(cost.entries.back().second);
    }
    if (table.rotations.size() < 3 || (first.a == 0 && first.b == 0)) return;
    std::sort(cost.entries.begin(), cost.entries.end());
    table.a = first.a;
    table.b = first.b;
    for (table.cost = 0; table.cost < int(costs.size()); ++table.cost)
        if (costs[table.cost].entries == cost.entries) return;
    costs.push_back(std::move(cost));
}

AppliedWord applied_word(const Layout& layout, double coefficient, const Pauli& word) {
    AppliedWord one{coupling_of(word), layout.lane(word.x), layout.row(word.x), layout.row(word.z), coefficient * sign_of(word)};
    one.negative_lanes = odd_lanes(layout, layout.lane(word.z));
    if (parity(word.z & word.x)) one.coefficient = -one.coefficient;  // the sign is that of the source
    return one;
}

LoweredObservable lower_observable(const Layout& layout, const std::vector<WeightedWord>& words) {
    LoweredObservable result;
    std::vector<WeightedWord> diagonal;
    for (const WeightedWord& word : words) {
        if (word.word.x == 0) {
            diagonal.push_back(word);
            continue;
        }
        LoweredWord one;
        one.coefficient = word.coefficient;
        one.pairs = pair_sets(layout, word.word, {});
        one.applications = application_sets(layout, word.word);
        result.words.push_back(std::move(one));
    }
    if (diagonal.size() > 4) result.diagonal.swap(diagonal);
    for (const WeightedWord& word : diagonal) {
        LoweredWord one;
        one.coefficient = word.coefficient;
        one.phases = signed_rows(layout, word.word, {});
        result.words.push_back(std::move(one));
    }
    for (const WeightedWord& word : words)
        if (word.word.x || result.diagonal.empty())
            result.applied.push_back(applied_word(layout, word.coefficient, word.word));
    std::sort(result.applied.begin(), result.applied.end(), [](const AppliedWord& a, const AppliedWord& b) {
        return std::tuple(a.lane_x, a.tile(), a.coupling, a.x, a.z) < std::tuple(b.lane_x, b.tile(), b.coupling, b.x, b.z);
    });
    return result;
}

/// row -> outcome; the lanes' part of the image is left to the engine (outcome of index k = image of its bits).
RowSet outcome_rows(const Schedule& schedule, const std::vector<int>& measured) {
    RowSet rows;
    rows.dim = schedule.program.num_qubits;
    for (int bit = 0; bit < rows.dim; ++bit) {
        rows.basis[bit] = std::uint64_t(1) << bit;
        rows.image[bit] = 0;
    }
    for (std::size_t m = 0; m < measured.size(); ++m) {
        const Pauli& read = schedule.readout.parities[measured[m]];
        const std::uint64_t bit = std::uint64_t(1) << (measured.size() - 1 - m);
        if (read.power & 2) rows.image_base |= bit;
        for (int b = 0; b < rows.dim; ++b)
            if (read.z >> b & 1) rows.image[b] |= bit;
    }
    return rows;
}

}  // namespace

Lowered lower(const Schedule& schedule, int lane_bits) {
    Lowered lowered;
    const Layout layout{schedule.program.num_qubits - lane_bits, lane_bits};
    lowered.lane_bits = lane_bits;
    lowered.row_bits = layout.row_bits;
    for (const auto& factor : schedule.product) {
        auto& rotations = lowered.product.emplace_back();
        for (Rotation rotation : factor) {
            const int turn = add_turn(lowered, rotation);
            lowered.turns[turn].controlled = true;  // two components: plain sine and cosine serve
            rotations.push_back({rotation.word.x == 0 ? 2 : rotation.word.z == 0 ? 0 : 1, turn});
        }
    }
    for (std::size_t l = 0; l < schedule.layers.size(); ++l) {
        const Layer& layer = schedule.layers[l];
        poll_compilation();
        if (const Dense* dense = layer.dense()) {
            lowered.steps.push_back(dense_step(layout, *dense, l));
            lowered.scratch_rows = std::max(lowered.scratch_rows, dense->offsets.size());
        } else if (const Commuting* commuting = std::get_if<Commuting>(&layer.work)) {
            lower_rotations(schedule, layout, commuting->rotations, lowered);
        } else {
            TableStep step;
            step.rotations = std::get<Table>(layer.work).rotations;
            find_cost(schedule, step, lowered.costs);
            lowered.steps.push_back(std::move(step));
        }
    }
    if (schedule.program.question == Question::expect)
        for (const auto& observable : schedule.observables) lowered.observables.push_back(lower_observable(layout, observable));
    std::vector<int> measured = schedule.program.measured;
    if (schedule.program.question == Question::state) {
        measured.clear();
        for (int bit = schedule.program.num_qubits; bit-- > 0;) measured.push_back(bit);
    }
    lowered.outcome_bits = int(measured.size());
    lowered.outcome_rows = outcome_rows(schedule, measured);
    return lowered;
}

const Lowered& LoweredPacks::of(int bits) const {
    if (bits == 0) return one;
    std::call_once(once[bits - 1], [&] {
        auto pack = std::make_unique<Lowered>(one);
        const auto widen = [&](auto& sets) {
            for (auto& set : sets)
                for (int i = 0; i < bits; ++i) set.rows.basis[set.rows.dim++] = std::uint64_t(1) << (one.row_bits + i);
        };
        for (Step& step : pack->steps) {
            RotationStep* const rotation = std::get_if<RotationStep>(&step);
            if (!rotation) continue;
            widen(rotation->quartets);
            widen(rotation->pairs);
            widen(rotation->phases);
        }
        more[bits - 1] = std::move(pack);
    });
    return *more[bits - 1];
}

}  // namespace ketgrad
