// Answers: expectation values, probabilities, states; and lambda, where the backward pass starts.
#include <algorithm>
#include <cmath>

#include "gram/gram.hpp"
#include "lanes/call.hpp"

namespace ketgrad {
namespace {

/// Cotangent of output k of a lane (lanes beyond the batch have none).
template <class Real>
double cotangent_of(const Call<Real>& call, std::int64_t group, int lane, std::size_t k, std::size_t outputs) {
    if (lane >= (call.spread ? call.lanes : call.valid_lanes(group))) return 0;
    const std::int64_t at = call.sample(group, lane) * std::int64_t(outputs) + std::int64_t(k);
    const double slope = call.arrays.slope ? double(call.arrays.slope[at]) * call.arrays.values[at] : 0;
    return double(call.arrays.cotangent[at]) + slope;
}

template <class Real>
void expect_word(const Call<Real>& call, const Real* psi, const LoweredWord& word, Real* sums) {
    for (const PairSet& set : word.pairs) (set.x ? call.kernels.expect_pairs : call.kernels.expect_lanes)(psi, set, sums);
    for (const SignedRows& set : word.phases) call.kernels.expect_diagonal(psi, set, sums);
}

template <class Real>
void apply_word(const Call<Real>& call, Workspace<Real>& space, const LoweredWord& word, const Real* coefficient) {
    for (const PairSet& set : word.applications) call.kernels.apply_word(space.lambda, space.psi, set, coefficient);
    for (const SignedRows& set : word.phases) {
        PairSet same{set.rows, 0, 0, Coupling::imaginary, set.sign, set.negative_lanes, ~0u};
        call.kernels.apply_word(space.lambda, space.psi, same, coefficient);
    }
}

template <class Real>
void apply_diagonal(const Call<Real>& call, Real* lambda, const Real* psi, std::size_t k, const Real* coefficient, Real* sums) {
    const Real* table = call.plan.observable_tables.get() + call.plan.observable_places[k];
    const auto kernel = call.spread ? call.kernels.apply_table_rows : call.kernels.apply_table_scalars;
    kernel(lambda, psi, table, call.rows(), coefficient, sums);
}

/// Writes sums (per lane, in units of scale^2) as output k.
template <class Real>
void write_expectation(const Call<Real>& call, const Workspace<Real>& space, std::int64_t group, std::size_t k,
                       const double* sums) {
    const std::size_t outputs = call.lowered.observables.size();
    const double square = space.scale * space.scale;
    double total = 0;
    for (int l = 0; l < call.lanes; ++l) total += sums[l];
    for (int l = 0; l < call.valid_lanes(group); ++l)
        call.arrays.values[call.sample(group, l) * std::int64_t(outputs) + k] =
            Real(square * (call.spread ? total : sums[l]));
}

template <class Real>
void write_expectations(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const auto& observables = call.lowered.observables;
    alignas(64) Real one[max_lanes] = {};
    for (std::size_t k = 0; k < observables.size(); ++k) {
        double total[max_lanes] = {};
        const auto add = [&](const Real* sums, double coefficient) {
            for (int l = 0; l < call.lanes; ++l) total[l] += coefficient * sums[l];
        };
        for (const LoweredWord& word : observables[k].words) {
            alignas(64) Real sums[max_lanes] = {};
            expect_word(call, space.psi, word, sums);
            add(sums, word.coefficient);
        }
        if (call.plan.observable_places[k] >= 0) {
            alignas(64) Real sums[max_lanes] = {};
            apply_diagonal(call, static_cast<Real*>(nullptr), space.psi, k, one, sums);
            add(sums, 1);
        }
        write_expectation(call, space, group, k, total);
    }
}

template <class Real>
void write_probabilities(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const std::size_t outcomes = std::size_t(1) << call.lowered.outcome_bits;
    const int lanes = call.lanes;
    const double square = space.scale * space.scale;
    if (call.spread) {
        Real* values = call.arrays.values + group * outcomes;
        std::fill(values, values + outcomes, Real(0));
        const RowSet& rows = call.lowered.outcome_rows;
        std::uint64_t index = rows.base, outcome = rows.image_base;
        for (std::uint64_t o = 1;; ++o) {
            const Real* p = space.psi + index / lanes * 2 * lanes + index % lanes;
            values[outcome] += Real(square) * (p[0] * p[0] + p[lanes] * p[lanes]);
            if (o == call.size()) return;
            index ^= rows.basis[std::countr_zero(o)];
            outcome ^= rows.image[std::countr_zero(o)];
        }
    }
    std::fill(space.outcomes, space.outcomes + outcomes * lanes, Real(0));
    call.kernels.probabilities(space.psi, call.lowered.outcome_rows, space.outcomes);
    for (int l = 0; l < call.valid_lanes(group); ++l) {
        Real* values = call.arrays.values + (group * lanes + l) * outcomes;
        for (std::size_t o = 0; o < outcomes; ++o) values[o] = Real(square) * space.outcomes[o * lanes + l];
    }
}

/// visit(index of the rows, basis index, phase) for all amplitudes: basis state |b> is phase C|index>, one wire after another.
template <class Visit>
void for_amplitudes(const Readout& readout, Visit visit) {
    const int wires = int(readout.flips.size());
    const std::complex<double> turns[4] = {readout.phase, readout.phase * std::complex<double>(0, 1), -readout.phase,
                                           readout.phase * std::complex<double>(0, -1)};
    std::uint64_t index = 0, basis = readout.origin;
    int power = 0;
    for (std::uint64_t o = 1;; ++o) {
        visit(index, basis, turns[power & 3]);
        if (o == std::uint64_t(1) << wires) return;
        const Pauli& flip = readout.flips[std::countr_zero(o)];
        power += 4 - flip.power + 2 * parity(flip.z & index);
        index ^= flip.x;
        basis ^= std::uint64_t(1) << std::countr_zero(o);
    }
}

/// Where the real part of an amplitude of a lane's sample is.
template <class Real>
std::uint64_t place(const Call<Real>& call, std::uint64_t index, int lane) {
    const std::uint64_t lanes = call.lanes;
    return call.spread ? index / lanes * 2 * lanes + index % lanes : 2 * index * lanes + lane;
}

template <class Real>
void write_states(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    for (int l = 0; l < call.valid_lanes(group); ++l) {
        Real* values = call.arrays.values + call.sample(group, l) * 2 * call.size();
        for_amplitudes(call.schedule.readout, [&](std::uint64_t index, std::uint64_t basis, std::complex<double> phase) {
            const Real* p = space.psi + place(call, index, l);
            const auto value = space.scale * phase * std::complex<double>(p[0], p[call.lanes]);
            values[2 * basis] = Real(value.real());
            values[2 * basis + 1] = Real(value.imag());
        });
    }
}

template <class Real>
void start_lambda_expect(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const auto& observables = call.lowered.observables;
    std::memset(static_cast<void*>(space.lambda), 0, call.rows() * call.row_reals() * sizeof(Real));
    for (std::size_t k = 0; k < observables.size(); ++k) {
        double cotangent[max_lanes];
        alignas(64) Real coefficient[max_lanes] = {}, unused[max_lanes] = {};
        for (int l = 0; l < call.lanes; ++l) cotangent[l] = 2 * cotangent_of(call, group, l, k, observables.size());
        for (const LoweredWord& word : observables[k].words) {
            for (int l = 0; l < call.lanes; ++l) coefficient[l] = Real(word.coefficient * cotangent[l]);
            apply_word(call, space, word, coefficient);
        }
        if (call.plan.observable_places[k] < 0) continue;
        for (int l = 0; l < call.lanes; ++l) coefficient[l] = Real(cotangent[l]);
        apply_diagonal(call, space.lambda, space.psi, k, coefficient, unused);
    }
}

/// lambda += O psi for a sum of words: tile by tile of lambda, and all words of one kind that read one tile of psi in one pass,
/// so that both tiles stay in the cache.
template <class Real>
void apply_words(const Call<Real>& call, Workspace<Real>& space) {
    const std::vector<AppliedWord>& applied = call.lowered.observables[0].applied;
    const std::uint64_t tile = std::min(call.rows(), std::uint64_t(1) << word_tile_bits);
    for (std::size_t start = 0, stop; start < applied.size(); start = stop) {
        const int lane_x = applied[start].lane_x;
        for (stop = start; stop < applied.size() && applied[stop].lane_x == lane_x;) ++stop;
        if (lane_x) call.kernels.permute_lanes(space.permuted, space.psi, call.rows(), lane_x);
        const Real* source = lane_x ? space.permuted : space.psi;
        for (std::uint64_t row = 0; row < call.rows(); row += tile)
            for (std::size_t first = start, end; first < stop; first = end) {
                for (end = first; end < stop && applied[first].same_kind(applied[end]);) ++end;
                call.kernels.apply_words(space.lambda, source, row, tile, call.plan.words.data() + first, end - first,
                                         applied[first].coupling);
            }
    }
}

/// One observable of many words: lambda = O psi first, the value is <psi|lambda>, then lambda gets the cotangent, if any.
template <class Real>
void expect_sum(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    std::memset(static_cast<void*>(space.lambda), 0, call.rows() * call.row_reals() * sizeof(Real));
    alignas(64) Real coefficient[max_lanes], sums[max_lanes] = {}, unused[max_lanes] = {};
    apply_words(call, space);
    std::fill(coefficient, coefficient + call.lanes, Real(1));
    if (call.plan.observable_places[0] >= 0) apply_diagonal(call, space.lambda, space.psi, 0, coefficient, unused);
    for (int l = 0; call.backward() && l < call.lanes; ++l) coefficient[l] = Real(2 * cotangent_of(call, group, l, 0, 1));
    call.kernels.dot_and_scale(space.lambda, space.psi, call.rows(), coefficient, sums);
    double total[max_lanes];
    std::copy(sums, sums + call.lanes, total);
    write_expectation(call, space, group, 0, total);
}

/// One diagonal word: its signed rows are all rows, so lambda is written, not added to. A slope needs the value beforehand.
template <class Real>
void expect_and_set_lambda(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const LoweredWord& word = call.lowered.observables[0].words[0];
    if (call.arrays.slope) write_expectations(call, space, group);
    alignas(64) Real coefficient[max_lanes], sums[max_lanes] = {};
    for (int l = 0; l < call.lanes; ++l) coefficient[l] = Real(2 * word.coefficient * cotangent_of(call, group, l, 0, 1));
    for (const SignedRows& set : word.phases) call.kernels.set_diagonal(space.lambda, space.psi, set, coefficient, sums);
    if (call.arrays.slope) return;
    double total[max_lanes];
    for (int l = 0; l < call.lanes; ++l) total[l] = word.coefficient * sums[l];
    write_expectation(call, space, group, 0, total);
}

template <class Real>
void start_lambda_probabilities(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const std::size_t outcomes = std::size_t(1) << call.lowered.outcome_bits;
    const int lanes = call.lanes;
    if (call.spread) {
        const RowSet& rows = call.lowered.outcome_rows;
        std::uint64_t index = rows.base, outcome = rows.image_base;
        for (std::uint64_t o = 1;; ++o) {
            const std::uint64_t at = place(call, index, 0);
            const Real weight = Real(2 * cotangent_of(call, group, 0, outcome, outcomes));
            space.lambda[at] = weight * space.psi[at];
            space.lambda[at + lanes] = weight * space.psi[at + lanes];
            if (o == call.size()) return;
            index ^= rows.basis[std::countr_zero(o)];
            outcome ^= rows.image[std::countr_zero(o)];
        }
    }
    for (int l = 0; l < lanes; ++l)
        for (std::size_t o = 0; o < outcomes; ++o)
            space.outcomes[o * lanes + l] = Real(cotangent_of(call, group, l, o, outcomes));
    call.kernels.apply_outcomes(space.lambda, space.psi, call.lowered.outcome_rows, space.outcomes);
}

/// The cotangent itself, in the frame of the rows and in units of the scale.
template <class Real>
void start_lambda_state(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    std::memset(static_cast<void*>(space.lambda), 0, call.rows() * call.row_reals() * sizeof(Real));
    for (int l = 0; l < call.valid_lanes(group); ++l) {
        const Real* cotangent = call.arrays.cotangent + call.sample(group, l) * 2 * call.size();
        for_amplitudes(call.schedule.readout, [&](std::uint64_t index, std::uint64_t basis, std::complex<double> phase) {
            const auto value = std::conj(phase) / space.scale * std::complex<double>(cotangent[2 * basis], cotangent[2 * basis + 1]);
            Real* p = space.lambda + place(call, index, l);
            p[0] = Real(value.real());
            p[call.lanes] = Real(value.imag());
        });
    }
}

}  // namespace

template <class Real>
void write_values(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    if (call.program().question == Question::expect)
        write_expectations(call, space, group);
    else if (call.program().question == Question::probabilities)
        write_probabilities(call, space, group);
    else if (call.arrays.panels)
        store_group(call.planes, *call.arrays.panels, group, space.psi, Real(space.scale));
    else
        write_states(call, space, group);
}

template <class Real>
void write_values_and_start_lambda(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const Question question = call.program().question;
    const bool one_sum = question == Question::expect && call.lowered.observables.size() == 1;
    if (one_sum && call.lowered.observables[0].words.size() == 1 && !call.lowered.observables[0].words[0].phases.empty() &&
        call.plan.observable_places[0] < 0)
        return expect_and_set_lambda(call, space, group);
    if (call.lowered.sums_words() && !call.arrays.slope)
        return expect_sum(call, space, group);
    write_values(call, space, group);
    if (question == Question::expect)
        start_lambda_expect(call, space, group);
    else if (question == Question::probabilities)
        start_lambda_probabilities(call, space, group);
    else
        start_lambda_state(call, space, group);
}

template <class Real>
void write_sum(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    expect_sum(call, space, group);
}

template void write_sum(const Call<double>&, Workspace<double>&, std::int64_t);
template void write_sum(const Call<float>&, Workspace<float>&, std::int64_t);
template void write_values(const Call<double>&, Workspace<double>&, std::int64_t);
template void write_values(const Call<float>&, Workspace<float>&, std::int64_t);
template void write_values_and_start_lambda(const Call<double>&, Workspace<double>&, std::int64_t);
template void write_values_and_start_lambda(const Call<float>&, Workspace<float>&, std::int64_t);

}  // namespace ketgrad
