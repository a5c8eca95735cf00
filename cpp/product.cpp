// The initial state: a product of single-qubit factors (as an outer product of two halves), or of prepared vectors.
#include <algorithm>
#include <cmath>

#include "call.hpp"

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

/// Row sum += a b or, conjugated, conj(a) b; per lane.
template <bool conjugated, class Real>
void add_product(Real* sum, const Real* a, const Real* b, int lanes) {
    for (int l = 0; l < lanes; ++l) {
        const Real re = a[l], im = conjugated ? -a[lanes + l] : a[lanes + l];
        sum[l] += re * b[l] - im * b[lanes + l];
        sum[lanes + l] += re * b[lanes + l] + im * b[l];
    }
}

template <class Real>
void set_product(Real* result, const Real* a, const Real* b, int lanes) {
    for (int l = 0; l < lanes; ++l) {
        result[l] = a[l] * b[l] - a[lanes + l] * b[lanes + l];
        result[lanes + l] = a[l] * b[lanes + l] + a[lanes + l] * b[l];
    }
}

/// One rotation on a 2-vector v = (row 0, row 1), per lane.
template <class Real>
void rotate_factor(const ProductRotation& rotation, Real* v, const Real* c, const Real* s, int lanes) {
    Real *re0 = v, *im0 = v + lanes, *re1 = v + 2 * lanes, *im1 = v + 3 * lanes;
    for (int l = 0; l < lanes; ++l) {
        const Real a = re0[l], b = im0[l], d = re1[l], e = im1[l];
        if (!rotation.flips) {  // (c - i s, c + i s)
            re0[l] = c[l] * a + s[l] * b, im0[l] = c[l] * b - s[l] * a;
            re1[l] = c[l] * d - s[l] * e, im1[l] = c[l] * e + s[l] * d;
        } else if (rotation.reads) {  // Y
            re0[l] = c[l] * a - s[l] * d, im0[l] = c[l] * b - s[l] * e;
            re1[l] = c[l] * d + s[l] * a, im1[l] = c[l] * e + s[l] * b;
        } else {  // X
            re0[l] = c[l] * a + s[l] * e, im0[l] = c[l] * b - s[l] * d;
            re1[l] = c[l] * d + s[l] * b, im1[l] = c[l] * e - s[l] * a;
        }
    }
}

/// Re(conj(e) (-i P) v) / 2 per lane.
template <class Real>
double factor_gradient(const ProductRotation& rotation, const Real* v, const Real* e, int lanes, int l) {
    const double re0 = v[l], im0 = v[lanes + l], re1 = v[2 * lanes + l], im1 = v[3 * lanes + l];
    const double f0 = e[l], g0 = e[lanes + l], f1 = e[2 * lanes + l], g1 = e[3 * lanes + l];
    if (!rotation.flips) return 0.5 * (f0 * im0 - g0 * re0 - f1 * im1 + g1 * re1);
    if (rotation.reads) return 0.5 * (f1 * re0 + g1 * im0 - f0 * re1 - g0 * im1);
    return 0.5 * (f0 * im1 - g0 * re1 + f1 * im0 - g1 * re0);
}

template <class Real>
Real* factor_of(const Call<Real>& call, Workspace<Real>& space, int bit) {
    return row(space.factors, 2 * bit, call.lanes);
}
template <class Real>
Real* factor_gradient_of(const Call<Real>& call, Workspace<Real>& space, int bit) {
    return row(space.factors, 2 * (call.program().num_qubits + bit), call.lanes);
}

template <class Real>
void make_factors(const Call<Real>& call, Workspace<Real>& space) {
    const int lanes = call.lanes;
    for (int bit = 0; bit < call.program().num_qubits; ++bit) {
        Real* v = factor_of(call, space, bit);
        std::fill(v, v + 4 * lanes, Real(0));
        std::fill(v, v + lanes, Real(1));
        for (const ProductRotation& rotation : call.lowered.product[bit]) {
            const Real* values = turn_values(call, space, rotation.turn);
            rotate_factor(rotation, v, values, values + lanes, lanes);
        }
    }
}

/// A half of the row bits: stage i has 2^i rows, the product of its first i factors.
struct Half {
    std::uint64_t place;  // of stage 0, in rows
    int first_bit, bits;

    std::uint64_t stage(int i) const { return place + (std::uint64_t(1) << i) - 1; }
    std::uint64_t end() const { return place + (std::uint64_t(2) << bits); }
    std::uint64_t count() const { return std::uint64_t(1) << bits; }
};

Half low_half(const Lowered& lowered) { return {0, lowered.lane_bits, lowered.row_bits / 2}; }
Half high_half(const Lowered& lowered) {
    const Half low = low_half(lowered);
    return {low.end() + low.count(), lowered.lane_bits + low.bits, lowered.row_bits - low.bits};
}

template <class Real>
void grow(const Call<Real>& call, Workspace<Real>& space, const Half& half) {
    const int lanes = call.lanes;
    for (int i = 0; i < half.bits; ++i) {
        const Real* factor = factor_of(call, space, half.first_bit + i);
        const std::uint64_t count = std::uint64_t(1) << i;
        for (std::uint64_t k = 0; k < count; ++k)
            for (int j = 0; j < 2; ++j)
                set_product(row(space.halves, half.stage(i + 1) + k + j * count, lanes),
                            row(space.halves, half.stage(i) + k, lanes), factor + 2 * j * lanes, lanes);
    }
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
    grow(call, space, half);
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

/// From the gradient of the last stage to those of the factors, stage by stage; the gradient of stage 0 remains.
template <class Real>
void shrink(const Call<Real>& call, Workspace<Real>& space, const Half& half, Real* gradient) {
    const int lanes = call.lanes;
    for (int i = half.bits; i-- > 0;) {
        const std::uint64_t count = std::uint64_t(1) << i;
        const Real* factor = factor_of(call, space, half.first_bit + i);
        Real* dfactor = factor_gradient_of(call, space, half.first_bit + i);
        std::fill(dfactor, dfactor + 4 * lanes, Real(0));
        for (std::uint64_t k = 0; k < count; ++k) {
            const Real* before = row(space.halves, half.stage(i) + k, lanes);
            Real *g0 = row(gradient, k, lanes), *g1 = row(gradient, k + count, lanes);
            add_product<true>(dfactor, before, g0, lanes);
            add_product<true>(dfactor + 2 * lanes, before, g1, lanes);
            for (int l = 0; l < lanes; ++l) {
                const Real re = g0[l], im = g0[lanes + l];
                g0[l] = factor[l] * re + factor[lanes + l] * im;
                g0[lanes + l] = factor[l] * im - factor[lanes + l] * re;
            }
            add_product<true>(g0, factor + 2 * lanes, g1, lanes);
        }
    }
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

/// Undoes the rotations of one factor on v and its gradient e, reading off the derivative of each. v was made anew, so only
/// the gradient carries the scale.
template <class Real>
void unrotate_factor(const Call<Real>& call, Workspace<Real>& space, int bit) {
    const int lanes = call.lanes;
    Real *v = factor_of(call, space, bit), *e = factor_gradient_of(call, space, bit);
    const auto& rotations = call.lowered.product[bit];
    for (std::size_t i = rotations.size(); i-- > 0;) {
        const TurnSource& source = call.lowered.turns[rotations[i].turn];
        if (!call.schedule.angles[source.angle].is_constant)
            for (int l = 0; l < lanes; ++l)
                space.dangles[source.angle * lanes + l] +=
                    space.scale * source.scale * factor_gradient(rotations[i], v, e, lanes, l);
        const Real* values = turn_values(call, space, rotations[i].turn) + 2 * lanes;
        rotate_factor(rotations[i], v, values, values + lanes, lanes);
        rotate_factor(rotations[i], e, values, values + lanes, lanes);
    }
}

template <class Real>
void unstart_product(const Call<Real>& call, Workspace<Real>& space) {
    const Half low = low_half(call.lowered), high = high_half(call.lowered);
    Real *dlow = row(space.halves, low.end(), call.lanes), *dhigh = row(space.halves, high.end(), call.lanes);
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
    const int lanes = call.lanes;
    for (int lane = 0; lane < lanes; ++lane) {
        double square = 0;
        for (std::size_t j = 0; j < instruction.data.size(); ++j)
            square += std::norm(instruction.data[j] * space.slots[instruction.amplitude_slots[j] * lanes + lane]);
        norms[lane] = instruction.normalize ? std::sqrt(square) : 1;
        for (std::size_t j = 0; j < instruction.data.size(); ++j) {
            const auto value = instruction.data[j] * space.slots[instruction.amplitude_slots[j] * lanes + lane];
            space.amplitudes[2 * j * lanes + lane] = Real(value.real() / norms[lane]);
            space.amplitudes[(2 * j + 1) * lanes + lane] = Real(value.imag() / norms[lane]);
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
    double norms[64];
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
            space.dslots[instruction.amplitude_slots[j] * lanes + lane] +=
                space.scale * (instruction.data[j].real() * re + instruction.data[j].imag() * im);
        }
    }
}

template <class Real>
void unprepare_factors(const Call<Real>& call, Workspace<Real>& space) {
    double norms[64];
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

std::size_t half_rows(const Lowered& lowered) {
    const Half high = high_half(lowered);
    return high.end() + high.count();
}

template <class Real>
void start_state(const Call<Real>& call, Workspace<Real>& space) {
    space.scale = 1;
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

template void start_state(const Call<double>&, Workspace<double>&);
template void start_state(const Call<float>&, Workspace<float>&);
template void unstart_state(const Call<double>&, Workspace<double>&);
template void unstart_state(const Call<float>&, Workspace<float>&);

}  // namespace ketgrad
