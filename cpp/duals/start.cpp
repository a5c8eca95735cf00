// The initial state and its tangent: |0...0>, or prepared vectors whose amplitudes move; and back to their slots.
#include <algorithm>
#include <cmath>

#include "duals/call.hpp"
#include "program/norm.hpp"

namespace ketgrad {
namespace {

using Complex = std::complex<double>;

/// a b and conj(a) b, without the checks for infinities.
Complex times(Complex a, Complex b) {
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}
Complex conjugate_times(Complex a, Complex b) {
    return {a.real() * b.real() + a.imag() * b.imag(), a.real() * b.imag() - a.imag() * b.real()};
}
double overlap(Complex a, Complex b) { return a.real() * b.real() + a.imag() * b.imag(); }

/// A complex number whose imaginary part stands `lanes` behind the real one.
template <class Value>
Complex read(const Value* place, int lanes) {
    return {place[0], place[lanes]};
}
template <class Value>
void write(Value* place, int lanes, Complex value) {
    place[0] = Value(value.real());
    place[lanes] = Value(value.imag());
}
void add(double* place, int lanes, Complex value) {
    place[0] += value.real();
    place[lanes] += value.imag();
}

/// Visits base ^ span(basis) one index at a time.
template <class Visit>
void for_indices(const RowSet& rows, Visit visit) {
    std::uint64_t index = rows.base;
    for (std::uint64_t o = 1;; ++o) {
        visit(index);
        if (o == std::uint64_t(1) << rows.dim) return;
        index ^= rows.basis[std::countr_zero(o)];
    }
}

/// v = u / N with u_j = c_j slot_j; dN = Re <v|du>, dv = (du - v dN) / N. N = 1, dN = 0 when the vector is not normalised.
template <class Real>
void load_vector(const DualCall<Real>& dual, DualSpace<Real>& space, const Instruction& instruction, double* norms,
                 double* growths) {
    const int lanes = dual.call.lanes;
    for (int lane = 0; lane < dual.width(); ++lane) {
        double squares = 0, growth = 0;
        for (std::size_t j = 0; j < instruction.data.size(); ++j) {
            const std::int64_t slot = instruction.amplitude_slots[j] * lanes + lane;
            const Complex value = instruction.data[j] * space.point.slots[slot], rate = instruction.data[j] * space.slot_rates[slot];
            squares += std::norm(value);
            write(space.amplitudes + 2 * j * lanes + lane, lanes, value);
            write(space.amplitude_rates + 2 * j * lanes + lane, lanes, rate);
        }
        const auto at = [&](double* rows, std::size_t j) { return rows + 2 * j * lanes + lane; };
        const std::size_t count = instruction.data.size();
        const double norm = norms[lane] = instruction.normalize ? norm_of(count, squares, [&](std::size_t j) {
            return read(at(space.amplitudes, j), lanes);
        }) : 1;
        for (std::size_t j = 0; j < count; ++j) {
            const Complex vector = read(at(space.amplitudes, j), lanes) / norm;
            write(at(space.amplitudes, j), lanes, vector);
            growth += overlap(vector, read(at(space.amplitude_rates, j), lanes));
        }
        growths[lane] = instruction.normalize ? growth : 0;
        for (std::size_t j = 0; j < count; ++j) {
            const Complex vector = read(at(space.amplitudes, j), lanes), rate = read(at(space.amplitude_rates, j), lanes);
            write(at(space.amplitude_rates, j), lanes, (rate - vector * growths[lane]) / norm);
        }
    }
}

/// psi[k ^ offsets[j]] = v[j] psi[k], and its tangent.
template <class Real>
void expand(const DualCall<Real>& dual, DualSpace<Real>& space, const Preparation& factor) {
    const int lanes = dual.call.lanes;
    for_indices(factor.rows, [&](std::uint64_t k) {
        for (int l = 0; l < dual.width(); ++l) {
            const std::uint64_t from = dual.place(k) + l;
            const Complex value = read(space.point.psi + from, lanes), rate = read(space.dpsi + from, lanes);
            for (std::size_t j = 0; j < factor.offsets.size(); ++j) {
                const std::uint64_t to = dual.place(k ^ factor.offsets[j]) + l;
                const Complex v = read(space.amplitudes + 2 * j * lanes + l, lanes);
                const Complex dv = read(space.amplitude_rates + 2 * j * lanes + l, lanes);
                write(space.point.psi + to, lanes, times(v, value));
                write(space.dpsi + to, lanes, times(dv, value) + times(v, rate));
            }
        }
    });
}

/// The product of the first `count` prepared vectors on |0...0>.
template <class Real>
void prepare(const DualCall<Real>& dual, DualSpace<Real>& space, std::size_t count) {
    const Call<Real>& call = dual.call;
    double norms[max_lanes], growths[max_lanes];
    const std::size_t bytes = call.rows() * call.row_reals() * sizeof(Real);
    std::memset(static_cast<void*>(space.point.psi), 0, bytes);
    std::memset(static_cast<void*>(space.dpsi), 0, bytes);
    std::fill(space.point.psi, space.point.psi + dual.width(), Real(1));
    for (std::size_t f = 0; f < count; ++f) {
        const Preparation& factor = call.schedule.preparations[f];
        load_vector(dual, space, dual.program().instructions[factor.instruction], norms, growths);
        expand(dual, space, factor);
    }
}

/// environment[j] = sum lambda[k ^ offsets[j]] conj(psi[k]), then lambda[k] = sum conj(v[j]) lambda[k ^ offsets[j]]; and the
/// tangents of both.
template <class Real>
void contract(const DualCall<Real>& dual, DualSpace<Real>& space, const Preparation& factor) {
    const int lanes = dual.call.lanes;
    for_indices(factor.rows, [&](std::uint64_t k) {
        for (int l = 0; l < dual.width(); ++l) {
            const std::uint64_t at = dual.place(k) + l;
            const Complex rest = read(space.point.psi + at, lanes), drest = read(space.dpsi + at, lanes);
            Complex sum = 0, dsum = 0;
            for (std::size_t j = 0; j < factor.offsets.size(); ++j) {
                const std::uint64_t from = dual.place(k ^ factor.offsets[j]) + l, entry = 2 * j * lanes + l;
                const Complex value = read(space.point.lambda + from, lanes), rate = read(space.dlambda + from, lanes);
                const Complex v = read(space.amplitudes + entry, lanes), dv = read(space.amplitude_rates + entry, lanes);
                add(space.environment + entry, lanes, conjugate_times(rest, value));
                add(space.environment_rates + entry, lanes, conjugate_times(rest, rate) + conjugate_times(drest, value));
                sum += conjugate_times(v, value);
                dsum += conjugate_times(v, rate) + conjugate_times(dv, value);
            }
            write(space.point.lambda + at, lanes, sum);
            write(space.dlambda + at, lanes, dsum);
        }
    });
}

/// From the derivative e by v = u / N to that by u, (e - v Re <e|v>) / N, and to the slots.
template <class Real>
void chain_vector(const DualCall<Real>& dual, DualSpace<Real>& space, const Instruction& instruction, const double* norms,
                  const double* growths) {
    const int lanes = dual.call.lanes;
    for (int lane = 0; lane < dual.width(); ++lane) {
        double radial = 0, radial_rate = 0;
        const auto part = [&](const double* rows, std::size_t j) { return read(rows + 2 * j * lanes + lane, lanes); };
        for (std::size_t j = 0; instruction.normalize && j < instruction.data.size(); ++j) {
            radial += overlap(part(space.environment, j), part(space.amplitudes, j));
            radial_rate += overlap(part(space.environment_rates, j), part(space.amplitudes, j)) +
                           overlap(part(space.environment, j), part(space.amplitude_rates, j));
        }
        for (std::size_t j = 0; j < instruction.data.size(); ++j) {
            const Complex v = part(space.amplitudes, j), dv = part(space.amplitude_rates, j);
            const Complex g = (part(space.environment, j) - radial * v) / norms[lane];
            const Complex dg = (part(space.environment_rates, j) - radial_rate * v - radial * dv - g * growths[lane]) / norms[lane];
            const std::int64_t slot = instruction.amplitude_slots[j] * lanes + lane;
            space.point.dslots[slot] += overlap(g, instruction.data[j]);
            space.dslot_rates[slot] += overlap(dg, instruction.data[j]);
        }
    }
}

bool has_variables(const Schedule& schedule) {
    return std::any_of(schedule.preparations.begin(), schedule.preparations.end(), [&](const Preparation& factor) {
        const auto& slots = schedule.program.instructions[factor.instruction].amplitude_slots;
        return std::any_of(slots.begin(), slots.end(), [](std::int64_t slot) { return slot > 0; });
    });
}

}  // namespace

template <class Real>
void start_dual(const DualCall<Real>& dual, DualSpace<Real>& space) {
    space.point.scale = 1;
    prepare(dual, space, dual.call.schedule.preparations.size());
}

template <class Real>
void unstart_dual(const DualCall<Real>& dual, DualSpace<Real>& space) {
    const Schedule& schedule = dual.call.schedule;
    if (!has_variables(schedule)) return;
    double norms[max_lanes], growths[max_lanes];
    for (std::size_t f = schedule.preparations.size(); f-- > 0;) {
        const Preparation& factor = schedule.preparations[f];
        const Instruction& instruction = schedule.program.instructions[factor.instruction];
        prepare(dual, space, f);
        load_vector(dual, space, instruction, norms, growths);
        const std::size_t count = factor.offsets.size() * dual.call.row_reals();
        std::fill(space.environment, space.environment + count, 0.0);
        std::fill(space.environment_rates, space.environment_rates + count, 0.0);
        contract(dual, space, factor);
        chain_vector(dual, space, instruction, norms, growths);
    }
}

template void start_dual(const DualCall<double>&, DualSpace<double>&);
template void start_dual(const DualCall<float>&, DualSpace<float>&);
template void unstart_dual(const DualCall<double>&, DualSpace<double>&);
template void unstart_dual(const DualCall<float>&, DualSpace<float>&);

}  // namespace ketgrad
