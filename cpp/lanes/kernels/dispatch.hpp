// From run-time couplings and forms to the kernels that were compiled for them.
#pragma once
#include "lanes/kernels/rotations.hpp"

namespace ketgrad {
namespace {

template <class Real, class Run>
inline void for_quartet_variant(const QuartetSet& set, const Turn<Real>* turns, Run run) {
    const auto with_couplings = [&]<Form fa, Form fb, bool permuted>() {
        constexpr auto R = Coupling::real, I = Coupling::imaginary;
        if (set.coupling[0] == R && set.coupling[1] == R)
            run.template operator()<R, R, fa, fb, permuted>();
        else if (set.coupling[0] == R)
            run.template operator()<R, I, fa, fb, permuted>();
        else if (set.coupling[1] == R)
            run.template operator()<I, R, fa, fb, permuted>();
        else
            run.template operator()<I, I, fa, fb, permuted>();
    };
    constexpr auto T = Form::half_tangent, C = Form::half_cotangent, F = Form::full;
    const Form fa = turns[0].form, fb = turns[1].form;
    const bool permuted = set.lane_x[0] || set.lane_x[1];
    if (permuted) {
        if (fa == T && fb == T)
            with_couplings.template operator()<T, T, true>();
        else
            with_couplings.template operator()<F, F, true>();
    } else if (fa == F || fb == F) {
        with_couplings.template operator()<F, F, false>();
    } else if (fa == T && fb == T) {
        with_couplings.template operator()<T, T, false>();
    } else if (fa == T) {
        with_couplings.template operator()<T, C, false>();
    } else if (fb == T) {
        with_couplings.template operator()<C, T, false>();
    } else {
        with_couplings.template operator()<C, C, false>();
    }
}

template <class Real>
void rotate_quartets(Real* psi, const QuartetSet& set, const Turn<Real>* turns) {
    for_quartet_variant(set, turns, [&]<Coupling ca, Coupling cb, Form fa, Form fb, bool permuted>() {
        rotate_quartets_as<Real, ca, cb, fa, fb, permuted>(psi, set, turns);
    });
}
template <class Real>
void unrotate_quartets(Real* psi, Real* lambda, const QuartetSet& set, const Turn<Real>* turns, Real* sums) {
    for_quartet_variant(set, turns, [&]<Coupling ca, Coupling cb, Form fa, Form fb, bool permuted>() {
        unrotate_quartets_as<Real, ca, cb, fa, fb, permuted>(psi, lambda, set, turns, sums);
    });
}

template <class Real, class Run>
inline void for_pair_variant(const PairSet& set, const Turn<Real>& turn_values, Run run) {
    const auto with_form = [&]<Coupling coupling>() {
        if (set.lane_x)
            run.template operator()<coupling, Form::full, true>();
        else if (turn_values.form == Form::half_tangent)
            run.template operator()<coupling, Form::half_tangent, false>();
        else
            run.template operator()<coupling, Form::full, false>();
    };
    if (set.coupling == Coupling::real)
        with_form.template operator()<Coupling::real>();
    else
        with_form.template operator()<Coupling::imaginary>();
}

template <class Real>
void rotate_pairs(Real* psi, const PairSet& set, const Turn<Real>& turn_values) {
    if (!set.x) return rotate_lanes(psi, set, turn_values);
    for_pair_variant(set, turn_values, [&]<Coupling coupling, Form form, bool permuted>() {
        rotate_pairs_as<Real, coupling, form, permuted>(psi, set, turn_values);
    });
}
template <class Real>
void unrotate_pairs(Real* psi, Real* lambda, const PairSet& set, const Turn<Real>& turn_values, Real* sums) {
    if (!set.x) return unrotate_lanes(psi, lambda, set, turn_values, sums);
    for_pair_variant(set, turn_values, [&]<Coupling coupling, Form form, bool permuted>() {
        unrotate_pairs_as<Real, coupling, form, permuted>(psi, lambda, set, turn_values, sums);
    });
}

}  // namespace
}  // namespace ketgrad
