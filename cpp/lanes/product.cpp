// The initial state: a product of single-qubit factors (as an outer product of two halves), or of prepared vectors.
#include <algorithm>
#include <cmath>

#include "lanes/call.hpp"
#include "program/norm.hpp"

namespace ketgrad {
namespace {

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

template <class Real>
Real* row(Real* rows, std::uint64_t k, int lanes) {
    return rows + 2 * k * lanes;
}

/// The real part of amplitude k of one state that is spread over the lanes; the imaginary part is `lanes` behind.
template <class Real>
Real* amplitude(Real* state, std::uint64_t k, int lanes) {
    return state + k / lanes * 2 * lanes + k % lanes;
}

template <class Real>
Real* factor_of(const Call<Real>& call, Workspace<Real>& space, int bit) {
    return row(space.factors, 2 * bit, call.lanes);
}
template <class Real>
Real* factor_gradient_of(const Call<Real>& call, Workspace<Real>& space, int bit) {
    return row(space.factor_gradients, 2 * bit, call.lanes);
}
template <class Real>
const Real* matrix_of(const Call<Real>& call, const ProductRun& run) {
    return call.run_matrices.data() + run.place * (turn_matrix_parts + bloch_matrix_parts);
}

template <class Real>
void make_factors(const Call<Real>& call, Workspace<Real>& space) {
    static constexpr Real up[turn_matrix_parts] = {1, 0, 0, 0};
    for (int bit = 0; bit < call.program().num_qubits; ++bit) {
        Real* factor = factor_of(call, space, bit);
        const auto& runs = call.plan.runs[bit];
        const bool starts_shared = !runs.empty() && !runs[0].differs;
        call.kernels.set_factor(factor, starts_shared ? matrix_of(call, runs[0]) : up);
        for (std::size_t r = starts_shared ? 1 : 0; r < runs.size(); ++r) {
            if (!runs[r].differs) {
                call.kernels.turn_factor(factor, matrix_of(call, runs[r]));
                continue;
            }
            for (std::size_t i = runs[r].first; i < runs[r].first + runs[r].count; ++i) {
                const ProductRotation& rotation = call.lowered.product[bit][i];
                const Real* phases = lane_phases(call, space, rotation.turn);
                call.kernels.rotate_factor(factor, rotation.axis, phases, phases + call.lanes);
            }
        }
    }
}

/// A half of the row bits: stage i has 2^i rows, the product of its first i factors.
struct Half {
    std::uint64_t place;  // of stage 0, in rows
    int first_bit, bits;

    std::uint64_t stage(int i) const { return place + (std::uint64_t(1) << i) - 1; }
    std::uint64_t end() const { return place + (std::uint64_t(2) << bits) - 1; }
    std::uint64_t count() const { return std::uint64_t(1) << bits; }
};

Half low_half(const Lowered& lowered) { return {0, lowered.lane_bits, lowered.row_bits / 2}; }
Half high_half(const Lowered& lowered) {
    const Half low = low_half(lowered);
    return {low.end(), lowered.lane_bits + low.bits, lowered.row_bits - low.bits};
}

/// Stage 0: 1, or the factors of the bits that are in the lanes.
template <class Real>
void start_half(const Call<Real>& call, Workspace<Real>& space, const Half& half, bool with_lanes) {
    const int lanes = call.lanes;
    Real* start = row(space.halves, half.stage(0), lanes);
    for (int l = 0; l < lanes; ++l) {
        std::complex<Real> product = 1;
        for (int bit = 0; with_lanes && bit < call.lowered.lane_bits; ++bit) {
            const Real* v = factor_of(call, space, bit) + (l >> bit & 1) * 2 * lanes;
            product *= std::complex<Real>(v[l], v[lanes + l]);
        }
        start[l] = product.real();
        start[lanes + l] = product.imag();
    }
    call.kernels.grow(start, factor_of(call, space, half.first_bit), half.bits);
}

template <class Real>
void start_product(const Call<Real>& call, Workspace<Real>& space) {
    const Half low = low_half(call.lowered), high = high_half(call.lowered);
    make_factors(call, space);
    start_half(call, space, low, call.spread);
    start_half(call, space, high, false);
    call.kernels.outer(space.psi, row(space.halves, low.stage(low.bits), call.lanes), low.count(),
                       row(space.halves, high.stage(high.bits), call.lanes), high.count());
}

template <class Real>
void shrink(const Call<Real>& call, Workspace<Real>& space, const Half& half, Real* gradient) {
    call.kernels.shrink(row(space.halves, half.stage(0), call.lanes), factor_of(call, space, half.first_bit), half.bits,
                        gradient, factor_gradient_of(call, space, half.first_bit));
}

/// Gradients of the factors whose bits are in the lanes, from the gradient of stage 0.
template <class Real>
void shrink_lanes(const Call<Real>& call, Workspace<Real>& space, const Real* gradient) {
    const int lanes = call.lanes;
    for (int bit = 0; bit < call.lowered.lane_bits; ++bit) {
        Real* dfactor = factor_gradient_of(call, space, bit);
        std::fill(dfactor, dfactor + 4 * lanes, Real(0));
        for (int l = 0; l < lanes; ++l) {
            std::complex<Real> others = 1;
            for (int b = 0; b < call.lowered.lane_bits; ++b) {
                const Real* v = factor_of(call, space, b) + (l >> b & 1) * 2 * lanes;
                if (b != bit) others *= std::complex<Real>(v[l], v[lanes + l]);
            }
            const auto part = std::conj(others) * std::complex<Real>(gradient[l], gradient[lanes + l]);
            Real* entry = dfactor + (l >> bit & 1) * 2 * lanes;
            entry[0] += part.real();  // everything is shared: lane 0 carries the sum
            entry[lanes] += part.imag();
        }
    }
}

/// From the gradient of one factor to those of its rotations, last to first: three overlaps with X, Y and Z are all that is
/// needed. The factors were made anew, so only the gradient carries the scale. What all samples share waits as a sum.
template <class Real>
void unrotate_factor(const Call<Real>& call, Workspace<Real>& space, int bit) {
    const int lanes = call.lanes;
    alignas(64) Real bloch[3 * max_lanes];
    call.kernels.factor_overlaps(factor_of(call, space, bit), factor_gradient_of(call, space, bit), bloch);
    const auto& runs = call.plan.runs[bit];
    for (std::size_t r = runs.size(); r-- > 0;) {
        if (!runs[r].differs) {
            double* sums = space.run_overlaps + 3 * runs[r].place * lanes;
            for (int i = 0; i < 3 * lanes; ++i) sums[i] += space.scale * bloch[i];
            if (r > 0) call.kernels.turn_overlaps(bloch, matrix_of(call, runs[r]) + turn_matrix_parts);
            continue;
        }
        for (std::size_t i = runs[r].first + runs[r].count; i-- > runs[r].first;) {
            const ProductRotation& rotation = call.lowered.product[bit][i];
            const TurnSource& source = call.lowered.turns[rotation.turn];
            const double scale = space.scale * source.scale;
            double* gradient = angle_gradient(call, space, source.angle);
            for (int l = 0; l < lanes; ++l) gradient[l] += scale * bloch[rotation.axis * lanes + l];
            if (i == 0) return;
            const Real* phases = lane_phases(call, space, rotation.turn);
            call.kernels.unrotate_overlaps(bloch, rotation.axis, phases, phases + lanes);
        }
    }
}

/// The rotations of a run that all samples share, from the sum of their overlaps.
template <class Real>
void finish_run(const Call<Real>& call, Workspace<Real>& space, const std::vector<ProductRotation>& rotations,
                const ProductRun& run) {
    double bloch[3] = {};
    for (int i = 0; i < 3 * call.lanes; ++i) bloch[i / call.lanes] += space.run_overlaps[3 * run.place * call.lanes + i];
    for (std::size_t i = run.first + run.count; i-- > run.first;) {
        const TurnSource& source = call.lowered.turns[rotations[i].turn];
        *angle_gradient(call, space, source.angle) += source.scale * bloch[rotations[i].axis];
        const auto [c, s] = shared_phase(call, rotations[i].turn);
        double &p = bloch[(rotations[i].axis + 1) % 3], &q = bloch[(rotations[i].axis + 2) % 3];
        const double p0 = p, full_c = c * c - s * s, full_s = 2 * c * s;
        p = full_c * p0 + full_s * q;
        q = full_c * q - full_s * p0;
    }
}

template <class Real>
void unstart_product(const Call<Real>& call, Workspace<Real>& space) {
    const Half low = low_half(call.lowered), high = high_half(call.lowered);
    Real *dlow = space.half_gradients, *dhigh = row(dlow, low.count(), call.lanes);
    call.kernels.unouter(space.lambda, row(space.halves, low.stage(low.bits), call.lanes), low.count(),
                         row(space.halves, high.stage(high.bits), call.lanes), high.count(), dlow, dhigh);
    shrink(call, space, low, dlow);
    shrink(call, space, high, dhigh);
    if (call.spread) shrink_lanes(call, space, dlow);
    for (int bit = 0; bit < call.program().num_qubits; ++bit) unrotate_factor(call, space, bit);
}

/// amplitude_j = c_j slot_j / norm; the norms are 1 when the vector is not normalised.
template <class Real>
void load_amplitudes(const Call<Real>& call, Workspace<Real>& space, const Instruction& instruction, double* norms) {
    const int lanes = call.lanes, first = space.member * lanes;
    for (int lane = 0; lane < lanes; ++lane) {
        const auto value = [&](std::size_t j) {
            return instruction.data[j] * slot_values(call, space, instruction.amplitude_slots[j])[first + lane];
        };
        double squares = 0;
        for (std::size_t j = 0; j < instruction.data.size(); ++j) squares += std::norm(value(j));
        norms[lane] = instruction.normalize ? norm_of(instruction.data.size(), squares, value) : 1;
        for (std::size_t j = 0; j < instruction.data.size(); ++j) {
            const auto amplitude = value(j);
            space.amplitudes[2 * j * lanes + lane] = Real(amplitude.real() / norms[lane]);
            space.amplitudes[(2 * j + 1) * lanes + lane] = Real(amplitude.imag() / norms[lane]);
        }
    }
}

/// psi[k ^ offsets[j]] = amplitudes[j] psi[k] for one state that is spread over the lanes.
template <class Real>
void expand_spread(const Call<Real>& call, Workspace<Real>& space, const Preparation& factor) {
    const int lanes = call.lanes;
    for_indices(factor.rows, [&](std::uint64_t k) {
        const Real *p = amplitude(space.psi, k, lanes), re = p[0], im = p[lanes];
        for (std::size_t j = 0; j < factor.offsets.size(); ++j) {
            const Real ar = space.amplitudes[2 * j * lanes], ai = space.amplitudes[(2 * j + 1) * lanes];
            Real* q = amplitude(space.psi, k ^ factor.offsets[j], lanes);
            q[0] = ar * re - ai * im;
            q[lanes] = ar * im + ai * re;
        }
    });
}

template <class Real>
void contract_spread(const Call<Real>& call, Workspace<Real>& space, const Preparation& factor) {
    const int lanes = call.lanes;
    for_indices(factor.rows, [&](std::uint64_t k) {
        const Real *p = amplitude(space.psi, k, lanes), re = p[0], im = p[lanes];
        Real sum_re = 0, sum_im = 0;
        for (std::size_t j = 0; j < factor.offsets.size(); ++j) {
            const Real ar = space.amplitudes[2 * j * lanes], ai = space.amplitudes[(2 * j + 1) * lanes];
            const Real *q = amplitude(space.lambda, k ^ factor.offsets[j], lanes), lr = q[0], li = q[lanes];
            space.amplitude_gradient[2 * j * lanes] += re * lr + im * li;
            space.amplitude_gradient[(2 * j + 1) * lanes] += re * li - im * lr;
            sum_re += ar * lr + ai * li;
            sum_im += ar * li - ai * lr;
        }
        Real* q = amplitude(space.lambda, k, lanes);
        q[0] = sum_re;
        q[lanes] = sum_im;
    });
}

/// The product of the first `count` prepared factors on |0...0>, in psi.
template <class Real>
void prepare_factors(const Call<Real>& call, Workspace<Real>& space, std::size_t count) {
    const int lanes = call.lanes;
    double norms[max_lanes];
    std::memset(static_cast<void*>(space.psi), 0, call.rows() * call.row_reals() * sizeof(Real));
    std::fill(space.psi, space.psi + (call.spread ? 1 : lanes), Real(1));
    for (std::size_t f = 0; f < count; ++f) {
        const Preparation& factor = call.schedule.preparations[f];
        load_amplitudes(call, space, call.program().instructions[factor.instruction], norms);
        if (call.spread)
            expand_spread(call, space, factor);
        else
            call.kernels.expand(space.psi, factor.rows, factor.offsets.data(), int(factor.offsets.size()), space.amplitudes);
    }
}

/// Gradient of amplitude_j = c_j slot_j / norm: the part along the vector itself is projected out by the norm.
template <class Real>
void chain_amplitudes(const Call<Real>& call, Workspace<Real>& space, const Instruction& instruction, const double* norms) {
    const int lanes = call.lanes;
    const Real *a = space.amplitudes, *g = space.amplitude_gradient;
    for (int lane = 0; lane < (call.spread ? 1 : lanes); ++lane) {
        double along = 0;
        for (std::size_t j = 0; instruction.normalize && j < instruction.data.size(); ++j)
            along += double(a[2 * j * lanes + lane]) * g[2 * j * lanes + lane] +
                     double(a[(2 * j + 1) * lanes + lane]) * g[(2 * j + 1) * lanes + lane];
        for (std::size_t j = 0; j < instruction.data.size(); ++j) {
            const double re = (g[2 * j * lanes + lane] - along * a[2 * j * lanes + lane]) / norms[lane];
            const double im = (g[(2 * j + 1) * lanes + lane] - along * a[(2 * j + 1) * lanes + lane]) / norms[lane];
            const std::int64_t slot = instruction.amplitude_slots[j];
            space.dslots[slot * call.wide + (call.slot_differs(slot) ? space.member * lanes + lane : 0)] +=
                space.scale * (instruction.data[j].real() * re + instruction.data[j].imag() * im);
        }
    }
}

template <class Real>
void unprepare_factors(const Call<Real>& call, Workspace<Real>& space) {
    double norms[max_lanes];
    for (std::size_t f = call.schedule.preparations.size(); f-- > 0;) {
        const Preparation& factor = call.schedule.preparations[f];
        const Instruction& instruction = call.program().instructions[factor.instruction];
        prepare_factors(call, space, f);
        load_amplitudes(call, space, instruction, norms);
        std::fill(space.amplitude_gradient, space.amplitude_gradient + factor.offsets.size() * call.row_reals(), Real(0));
        if (call.spread)
            contract_spread(call, space, factor);
        else
            call.kernels.contract(space.lambda, space.psi, factor.rows, factor.offsets.data(),
                                  int(factor.offsets.size()), space.amplitudes, space.amplitude_gradient);
        chain_amplitudes(call, space, instruction, norms);
    }
}

}  // namespace

std::size_t half_rows(const Lowered& lowered) { return high_half(lowered).end(); }
std::size_t half_gradient_rows(const Lowered& lowered) { return low_half(lowered).count() + high_half(lowered).count(); }

template <class Real>
void start_state(const Call<Real>& call, Workspace<Real>& space) {
    if (call.schedule.is_product())
        start_product(call, space);
    else
        prepare_factors(call, space, call.schedule.preparations.size());
}

template <class Real>
void unstart_state(const Call<Real>& call, Workspace<Real>& space) {
    if (call.schedule.is_product())
        unstart_product(call, space);
    else
        unprepare_factors(call, space);
}

template <class Real>
void finish_product(const Call<Real>& call, Workspace<Real>& space) {
    for (std::size_t bit = 0; bit < call.plan.runs.size(); ++bit)
        for (const ProductRun& run : call.plan.runs[bit])
            if (!run.differs) finish_run(call, space, call.lowered.product[bit], run);
}

template void start_state(const Call<double>&, Workspace<double>&);
template void start_state(const Call<float>&, Workspace<float>&);
template void unstart_state(const Call<double>&, Workspace<double>&);
template void unstart_state(const Call<float>&, Workspace<float>&);
template void finish_product(const Call<double>&, Workspace<double>&);
template void finish_product(const Call<float>&, Workspace<float>&);

}  // namespace ketgrad
