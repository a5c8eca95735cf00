// Schedule -> Steps: the row sets on which each step works, for one layout of the lanes.
#pragma once
#include <memory>
#include <mutex>
#include <utility>
#include <variant>
#include <vector>

#include "passes/schedule.hpp"
#include "program/row_sets.hpp"

namespace ketgrad {

/// What the engine must know to make the two coefficients of a rotation.
struct TurnSource {
    int angle;
    double scale;         // the rotation turns by scale * angle
    bool controlled;      // acts on some rows only: no common factor can be taken out
    bool signed_sets;     // its sets differ in sign: the half-cotangent form does not serve
};

/// Two rotations on quartets of rows, one on pairs, or a diagonal one with many controls on signed rows.
struct RotationStep {
    std::vector<QuartetSet> quartets;
    std::vector<PairSet> pairs;
    std::vector<SignedRows> phases;
    int turns[2] = {-1, -1};
};

struct TableStep {
    std::vector<Rotation> rotations;  // all diagonal, without controls
    int cost = -1;                    // its phases are slot[a] slot[b] times this cost function
    std::int64_t a = 0, b = 0;
};

/// A real function of the index, sum of coefficient (-1)^parity(z & k): the diagonal of a QAOA cost Hamiltonian.
struct Cost {
    std::vector<std::pair<std::uint64_t, double>> entries;  // sorted
    double bound = 0;                                       // of its modulus
};

struct DenseStep {
    std::vector<RowSet> rows;  // one per class
    std::size_t layer = 0;     // of the schedule, where the matrix is
    bool spread = false;
};

using Step = std::variant<RotationStep, TableStep, DenseStep>;

/// One rotation of a bit that is still in its product state: X, Y or Z with the sign in the turn's scale.
struct ProductRotation {
    int axis;  // 0 X, 1 Y, 2 Z
    int turn;
};

struct LoweredWord {
    double coefficient = 0;
    std::vector<PairSet> pairs;         // for expectation values (x != 0)
    std::vector<PairSet> applications;  // for lambda = O psi (x != 0)
    std::vector<SignedRows> phases;     // x == 0
};

inline constexpr int word_tile_bits = 11;  // rows of lambda, and of psi, that words work on at a time: 128 KiB with 4 lanes

/// lambda[k] += coefficient (-1)^parity(z & k) i^c psi[k ^ x], the lanes of psi permuted, those of lambda signed.
struct AppliedWord {
    Coupling coupling = Coupling::imaginary;
    int lane_x = 0;
    std::uint64_t x = 0, z = 0;
    double coefficient = 0;
    std::uint32_t negative_lanes = 0;

    std::uint64_t tile() const { return x >> word_tile_bits; }
    bool same_kind(const AppliedWord& other) const {
        return lane_x == other.lane_x && tile() == other.tile() && coupling == other.coupling;
    }
};

struct LoweredObservable {
    std::vector<LoweredWord> words;
    std::vector<AppliedWord> applied;    // the same words, those of one kind together
    std::vector<WeightedWord> diagonal;  // in one table instead of word by word
};

/// The steps for one layout: the low `lane_bits` index bits of one state are in the lanes (0: lanes are samples).
struct Lowered {
    int lane_bits = 0, row_bits = 0;
    std::vector<TurnSource> turns;
    std::vector<std::vector<ProductRotation>> product;  // per bit
    std::vector<Step> steps;
    std::vector<Cost> costs;
    std::vector<LoweredObservable> observables;
    RowSet outcome_rows;  // row -> outcome of a measurement
    int outcome_bits = 0;
    std::size_t scratch_rows = 0;

    std::uint64_t num_rows() const { return std::uint64_t(1) << row_bits; }
    /// One sum of several words: lambda = O psi gives its value as well.
    bool sums_words() const {
        return row_bits >= 2 && observables.size() == 1 && observables[0].applied.size() + !observables[0].diagonal.empty() > 2;
    }
    bool permutes_words() const { return sums_words() && !observables[0].applied.empty() && observables[0].applied.back().lane_x; }
};

Lowered lower(const Schedule& schedule, int lane_bits);

/// Of a sample: expectation values, or probabilities or amplitudes.
inline std::int64_t num_outputs(const Schedule& schedule, const Lowered& lowered) {
    if (schedule.program.question == Question::expect) return std::int64_t(schedule.observables.size());
    return std::int64_t(1) << lowered.outcome_bits;
}

inline constexpr int max_pack_bits = 5;

/// The steps of one layout, and the same steps on the rows of 2, 4, ... neighbouring groups of lanes at once. Small states
/// have few rows: a pack of them gives each pass enough to do. Packs are made when they are first needed.
struct LoweredPacks {
    Lowered one;
    mutable std::unique_ptr<Lowered> more[max_pack_bits];
    mutable std::once_flag once[max_pack_bits];

    explicit LoweredPacks(Lowered lowered) : one(std::move(lowered)) {}
    const Lowered& of(int bits) const;
};

}  // namespace ketgrad
