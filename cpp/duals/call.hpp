// One call of the engine for dual states: what `lanes/call.hpp` has for the point, and the tangents beside it.
#pragma once
#include <bit>
#include <complex>

#include "duals/arrays.hpp"
#include "duals/kernels.hpp"
#include "lanes/call.hpp"

namespace ketgrad {

/// What one thread holds: the point in `point`, where psi and lambda are; here what moves along.
template <class Real>
struct DualSpace {
    Workspace<Real> point;  // its slots hold those that all samples share as well
    bool started = false;
    Buffer<Real> memory;
    Real *dpsi, *dlambda;
    Real* shears;                           // per turn: half the rate of its angle, and minus that
    Real *rates, *overlaps, *overlap_rates; // of the phases of a table; one real number per amplitude
    Real* outcome_rates;
    Buffer<double> numbers;
    double *slot_rates, *dslot_rates, *dangle_rates;
    double *amplitudes, *amplitude_rates, *environment, *environment_rates;  // of a prepared vector: {re, im} rows of lanes
};

template <class Real>
struct DualCall {
    const Call<Real>& call;
    const Call<Real>& moved;  // its values are the tangents, its cotangent the direction of the cotangent
    const DualArrays<Real>& arrays;
    const DualKernels<Real>& kernels;

    const Program& program() const { return call.program(); }
    double angle_rate(const DualSpace<Real>& space, int angle, int lane) const {
        const double *z = space.point.slots + lane, *dz = space.slot_rates + lane;
        double sum = 0;
        for (const Term& t : call.schedule.angles[angle].terms)
            sum += t.coefficient * (dz[t.a * call.lanes] * z[t.b * call.lanes] + z[t.a * call.lanes] * dz[t.b * call.lanes]);
        return sum;
    }
    /// Where the real part of an amplitude is: of all lanes' samples, or of the one sample that is spread over the lanes.
    std::uint64_t place(std::uint64_t index) const {
        const std::uint64_t lanes = call.lanes;
        return call.spread ? index / lanes * 2 * lanes + index % lanes : 2 * index * lanes;
    }
    int width() const { return call.spread ? 1 : call.lanes; }
};

/// Exchanges the point's states and their tangents, for steps that treat both alike.
template <class Real>
void exchange(DualSpace<Real>& space) {
    std::swap(space.point.states, space.dpsi);
    std::swap(space.point.lambdas, space.dlambda);
    space.point.psi = space.point.states;
    space.point.lambda = space.point.lambdas;
}

// steps.cpp
template <class Real>
void apply_dual_step(const DualCall<Real>& dual, DualSpace<Real>& space, std::size_t step);
template <class Real>
void unapply_dual_step(const DualCall<Real>& dual, DualSpace<Real>& space, std::size_t step);

// start.cpp
template <class Real>
void start_dual(const DualCall<Real>& dual, DualSpace<Real>& space);
template <class Real>
void unstart_dual(const DualCall<Real>& dual, DualSpace<Real>& space);

// readout.cpp
template <class Real>
void write_duals(const DualCall<Real>& dual, DualSpace<Real>& space, std::int64_t group);

}  // namespace ketgrad
