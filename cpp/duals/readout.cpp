// Values and their tangents; lambda = O_c psi and dlambda = O_c dpsi + O_dc psi, where the backward pass starts.
#include <algorithm>

#include "duals/call.hpp"

namespace ketgrad {
namespace {

/// Twice the entry for output k of a lane in an array like the cotangent; lanes beyond the batch have none.
template <class Real>
void load_twice(const Call<Real>& call, const Real* array, std::int64_t group, std::size_t k, std::size_t outputs, Real* lanes) {
    const int valid = call.spread ? call.lanes : call.valid_lanes(group);
    for (int l = 0; l < call.lanes; ++l)
        lanes[l] = l < valid ? 2 * array[call.sample(group, l) * std::int64_t(outputs) + std::int64_t(k)] : Real(0);
}

template <class Real>
void write_expectation_tangents(const DualCall<Real>& dual, DualSpace<Real>& space, std::int64_t group) {
    const Call<Real>& call = dual.call;
    const auto& observables = call.lowered.observables;
    const Real *psi = space.point.psi, *dpsi = space.dpsi;
    for (std::size_t k = 0; k < observables.size(); ++k) {
        double totals[max_lanes] = {}, all = 0;
        const auto add = [&](const Real* sums, double coefficient) {
            for (int l = 0; l < call.lanes; ++l) totals[l] += coefficient * sums[l];
        };
        for (const LoweredWord& word : observables[k].words) {
            alignas(64) Real sums[max_lanes] = {};
            for (const PairSet& set : word.pairs) dual.kernels.expect_pairs(psi, dpsi, set, sums);
            for (const SignedRows& set : word.phases) dual.kernels.expect_diagonal(psi, dpsi, set, sums);
            add(sums, word.coefficient);
        }
        if (call.plan.observable_places[k] >= 0) {
            alignas(64) Real sums[max_lanes] = {};
            const Real* table = call.plan.observable_tables.get() + call.plan.observable_places[k];
            (call.spread ? dual.kernels.expect_rows : dual.kernels.expect_scalars)(psi, dpsi, table, call.rows(), sums);
            add(sums, 1);
        }
        for (int l = 0; l < call.lanes; ++l) all += totals[l];
        for (int l = 0; l < call.valid_lanes(group); ++l)
            dual.arrays.tangents[call.sample(group, l) * std::int64_t(observables.size()) + k] = Real(call.spread ? all : totals[l]);
    }
}

/// lambda += coefficient O_k psi, coefficient one number per lane.
template <class Real>
void add_observable(const Call<Real>& call, std::size_t k, Real* lambda, const Real* psi, const Real* coefficient) {
    alignas(64) Real scaled[max_lanes], unused[max_lanes] = {};
    for (const LoweredWord& word : call.lowered.observables[k].words) {
        for (int l = 0; l < call.lanes; ++l) scaled[l] = Real(word.coefficient) * coefficient[l];
        for (const PairSet& set : word.applications) call.kernels.apply_word(lambda, psi, set, scaled);
        for (const SignedRows& set : word.phases) {
            const PairSet same{set.rows, 0, 0, Coupling::imaginary, set.sign, set.negative_lanes, ~0u};
            call.kernels.apply_word(lambda, psi, same, scaled);
        }
    }
    if (call.plan.observable_places[k] < 0) return;
    const Real* table = call.plan.observable_tables.get() + call.plan.observable_places[k];
    (call.spread ? call.kernels.apply_table_rows : call.kernels.apply_table_scalars)(lambda, psi, table, call.rows(), coefficient,
                                                                                     unused);
}

template <class Real>
void start_lambda_expect(const DualCall<Real>& dual, DualSpace<Real>& space, std::int64_t group) {
    const Call<Real>& call = dual.call;
    const std::size_t outputs = call.lowered.observables.size(), bytes = call.rows() * call.row_reals() * sizeof(Real);
    alignas(64) Real coefficient[max_lanes];
    std::memset(static_cast<void*>(space.point.lambda), 0, bytes);
    std::memset(static_cast<void*>(space.dlambda), 0, bytes);
    for (std::size_t k = 0; k < outputs; ++k) {
        load_twice(call, call.arrays.cotangent, group, k, outputs, coefficient);
        add_observable(call, k, space.point.lambda, space.point.psi, coefficient);
        add_observable(call, k, space.dlambda, space.dpsi, coefficient);
        if (!dual.arrays.cotangent_direction) continue;
        load_twice(call, dual.arrays.cotangent_direction, group, k, outputs, coefficient);
        add_observable(call, k, space.dlambda, space.point.psi, coefficient);
    }
}

/// visit(place of the first lane, outcome) for all amplitudes.
template <class Real, class Visit>
void for_outcomes(const DualCall<Real>& dual, Visit visit) {
    const RowSet& rows = dual.call.lowered.outcome_rows;
    std::uint64_t index = rows.base, outcome = rows.image_base;
    for (std::uint64_t o = 1;; ++o) {
        visit(dual.place(index), outcome);
        if (o == dual.call.size()) return;
        index ^= rows.basis[std::countr_zero(o)];
        outcome ^= rows.image[std::countr_zero(o)];
    }
}

template <class Real>
void write_probability_tangents(const DualCall<Real>& dual, DualSpace<Real>& space, std::int64_t group) {
    const Call<Real>& call = dual.call;
    const std::size_t outcomes = std::size_t(1) << call.lowered.outcome_bits;
    const int lanes = call.lanes, width = dual.width();
    Real* sums = space.outcome_rates;
    std::fill(sums, sums + outcomes * width, Real(0));
    for_outcomes(dual, [&](std::uint64_t place, std::uint64_t outcome) {
        const Real *p = space.point.psi + place, *d = space.dpsi + place;
        for (int l = 0; l < width; ++l) sums[outcome * width + l] += 2 * (p[l] * d[l] + p[lanes + l] * d[lanes + l]);
    });
    for (int l = 0; l < call.valid_lanes(group); ++l)
        for (std::size_t o = 0; o < outcomes; ++o)
            dual.arrays.tangents[call.sample(group, l) * std::int64_t(outcomes) + o] = sums[o * width + l];
}

template <class Real>
void start_lambda_probabilities(const DualCall<Real>& dual, DualSpace<Real>& space, std::int64_t group) {
    const Call<Real>& call = dual.call;
    const std::size_t outcomes = std::size_t(1) << call.lowered.outcome_bits;
    const int lanes = call.lanes, width = dual.width();
    Real *twice = space.point.outcomes, *rates = space.outcome_rates;
    alignas(64) Real row[max_lanes];
    std::fill(rates, rates + outcomes * width, Real(0));
    for (std::size_t o = 0; o < outcomes; ++o) {
        load_twice(call, call.arrays.cotangent, group, o, outcomes, row);
        std::copy(row, row + width, twice + o * width);
        if (!dual.arrays.cotangent_direction) continue;
        load_twice(call, dual.arrays.cotangent_direction, group, o, outcomes, row);
        std::copy(row, row + width, rates + o * width);
    }
    for_outcomes(dual, [&](std::uint64_t place, std::uint64_t outcome) {
        for (int part = 0; part < 2; ++part, place += lanes) {
            const Real *p = space.point.psi + place, *d = space.dpsi + place;
            for (int l = 0; l < width; ++l) {
                const Real c = twice[outcome * width + l];
                space.point.lambda[place + l] = c * p[l];
                space.dlambda[place + l] = c * d[l] + rates[outcome * width + l] * p[l];
            }
        }
    });
}

/// A state is linear in itself: the same work on the tangents, in another call whose values they are.
template <class Real>
void write_states(const DualCall<Real>& dual, DualSpace<Real>& space, std::int64_t group) {
    const auto write = [&](const Call<Real>& call, bool backward) {
        (backward ? write_values_and_start_lambda<Real> : write_values<Real>)(call, space.point, group);
    };
    write(dual.call, dual.call.backward());
    exchange(space);
    write(dual.moved, dual.moved.backward());
    exchange(space);
    if (dual.call.backward() && !dual.moved.backward())
        std::memset(static_cast<void*>(space.dlambda), 0, dual.call.rows() * dual.call.row_reals() * sizeof(Real));
}

}  // namespace

template <class Real>
void write_duals(const DualCall<Real>& dual, DualSpace<Real>& space, std::int64_t group) {
    const Question question = dual.program().question;
    if (question == Question::state) return write_states(dual, space, group);
    write_values(dual.call, space.point, group);
    (question == Question::expect ? write_expectation_tangents<Real> : write_probability_tangents<Real>)(dual, space, group);
    if (!dual.call.backward()) return;
    (question == Question::expect ? start_lambda_expect<Real> : start_lambda_probabilities<Real>)(dual, space, group);
}

template void write_duals(const DualCall<double>&, DualSpace<double>&, std::int64_t);
template void write_duals(const DualCall<float>&, DualSpace<float>&, std::int64_t);

}  // namespace ketgrad
