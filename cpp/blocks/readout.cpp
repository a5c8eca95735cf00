// The state before the first pass and the questions after the last one.
#include "blocks/call.hpp"
#include "program/norm.hpp"

namespace ketgrad::blocks {
namespace {

struct Factor {
    const Instruction* instruction;
    std::vector<Complex> amplitudes;
    std::vector<u64> offsets;
    double norm;
};

template <class Real>
std::vector<Factor> load_factors(const Call<Real>& call) {
    std::vector<Factor> factors;
    for (const Instruction& instruction : call.program().instructions) {
        if (instruction.kind != InstructionKind::state_preparation) continue;
        Factor factor{&instruction, {}, {}, 1};
        double square = 0;
        for (std::size_t j = 0; j < instruction.data.size(); ++j) {
            factor.offsets.push_back(spread(j, instruction.targets));
            factor.amplitudes.push_back(instruction.data[j] * call.slots[instruction.amplitude_slots[j]]);
            square += std::norm(factor.amplitudes.back());
        }
        if (instruction.normalize)
            factor.norm = norm_of(instruction.data.size(), square, [&](std::size_t j) { return factor.amplitudes[j]; });
        for (Complex& amplitude : factor.amplitudes) amplitude /= factor.norm;
        factors.push_back(std::move(factor));
    }
    return factors;
}

/// visit(index, product of the amplitudes of factors first.. that index selects, choice of factor `watched`)
template <class Visit>
void for_products(const std::vector<Factor>& factors, std::size_t f, std::size_t watched, u64 index, Complex product,
                  std::size_t choice, const Visit& visit) {
    if (f == factors.size()) {
        visit(index, product, choice);
        return;
    }
    for (std::size_t j = 0; j < factors[f].amplitudes.size(); ++j)
        for_products(factors, f + 1, watched, index | factors[f].offsets[j],
                     f == watched ? product : product * factors[f].amplitudes[j], f == watched ? j : choice, visit);
}

}  // namespace

template <class Real>
void start(Call<Real>& call) {
    in_parts(call, call.amplitudes(), [&](u64, u64 first, u64 last, int) {
        std::memset(call.psi.get() + 2 * first, 0, sizeof(Real) * 2 * (last - first));
    });
    call.scale = 1;
    const std::size_t lanes = std::size_t(1) << call.lane_bits;
    const std::vector<Factor> factors = load_factors(call);
    for_products(factors, 0, factors.size(), 0, 1, 0, [&](u64 index, Complex product, std::size_t) {
        call.psi[place_of(call, index)] = Real(product.real());
        call.psi[place_of(call, index) + lanes] = Real(product.imag());
    });
}

/// d loss = Re <environment|d amplitudes> for each factor, chained to the slots; lambda is back at the start.
template <class Real>
void finish_gradient(const Call<Real>& call, std::vector<double>& dslots) {
    const std::size_t lanes = std::size_t(1) << call.lane_bits;
    const std::vector<Factor> factors = load_factors(call);
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const Factor& factor = factors[f];
        std::vector<Complex> environment(factor.amplitudes.size());
        for_products(factors, 0, f, 0, 1, 0, [&](u64 index, Complex product, std::size_t choice) {
            const std::size_t place = place_of(call, index);
            environment[choice] += std::conj(product) * Complex(call.lambda[place], call.lambda[place + lanes]) * call.scale;
        });
        double along = 0;
        for (std::size_t j = 0; factor.instruction->normalize && j < environment.size(); ++j)
            along += (std::conj(factor.amplitudes[j]) * environment[j]).real();
        for (std::size_t j = 0; j < environment.size(); ++j) {
            const Complex g = (environment[j] - along * factor.amplitudes[j]) / factor.norm;
            dslots[factor.instruction->amplitude_slots[j]] += (std::conj(factor.instruction->data[j]) * g).real();
        }
    }
}

namespace {

/// An observable in the coordinates and the Pauli frame in which the state is stored.
template <class Real>
struct StoredObservable {
    std::vector<std::pair<WordTurn<Real>, Real>> words;
    std::vector<Phase> diagonal;  // phase is the coefficient
};

template <class Real>
WordTurn<Real> make_word(u64 x, u64 z, int power, int lane_bits) {
    WordTurn<Real> word;
    const u64 lane_mask = (u64(1) << lane_bits) - 1;
    word.x = x >> lane_bits;
    word.z = z >> lane_bits;
    word.lane_flip = int(x & lane_mask);
    word.real = power & 1;
    const double lead = (power & 2 ? -1 : 1) * sign(word.x & word.z);
    for (int parity = 0; parity < 2; ++parity)
        for (u64 l = 0; l <= lane_mask; ++l)
            word.unit[parity][l] = Real(lead * (parity ? -1 : 1) * sign(z & (l ^ u64(word.lane_flip))));
    return word;
}

template <class Real>
std::vector<StoredObservable<Real>> store_observables(const Call<Real>& call, int bits) {
    std::vector<StoredObservable<Real>> stored;
    for (const auto& observable : call.program().observables) {
        auto& result = stored.emplace_back();
        for (const Word& word : observable) {
            const double coefficient = call.frame.anticommutes(word.x, word.z) ? -word.coefficient : word.coefficient;
            const u64 x = select(call.plan.flips, word.x), z = select(call.plan.parities, word.z);
            if (x)
                result.words.push_back({make_word<Real>(x, z, std::popcount(word.x & word.z) & 3, call.lane_bits),
                                        Real(coefficient)});
            else
                result.diagonal.push_back({z & ((u64(1) << bits) - 1), z >> bits, 0, coefficient, -1});
        }
    }
    return stored;
}

/// out = O psi on one tile of rows.
template <class Real>
void apply_observable(const Call<Real>& call, const StoredObservable<Real>& observable, u64 tile, int bits, Real* out,
                      Real* diagonal) {
    const u64 rows = u64(1) << (bits - call.lane_bits), first = tile * rows;
    std::memset(out, 0, sizeof(Real) * 2 << bits);
    if (!observable.diagonal.empty()) {
        std::memset(diagonal, 0, sizeof(Real) << bits);
        for (const Phase& word : observable.diagonal) diagonal[word.low] += Real(signed_phase(word, tile, 0));
        call.kernels.walsh(diagonal, u64(1) << bits);
        call.kernels.add_diagonal(out, call.psi.get() + (tile << (bits + 1)), diagonal, rows);
    }
    for (const auto& [word, coefficient] : observable.words)
        call.kernels.add_word(out, call.psi.get(), first, first + rows, word, coefficient);
}

/// Expectation values; with a cotangent also lambda = 2 sum_k cot_k O_k psi.
template <class Real>
void expectations(Call<Real>& call, const Real* cotangent, Real* values) {
    const int bits = tile_bits_of(call, call.num_bits());
    const auto observables = store_observables(call, bits);
    const u64 tiles = u64(1) << (call.num_bits() - bits), rows = u64(1) << (bits - call.lane_bits);
    const std::size_t count = observables.size();
    std::vector<double> partial(std::min<u64>(tiles, most_parts) * count, 0.0);
    std::vector<Worker<Real>> workers = make_workers(call, bits, true, false);
    in_parts(call, tiles, [&](u64 part, u64 first, u64 last, int worker) {
        Real* out = workers[worker].psi.get();
        for (u64 tile = first; tile < last; ++tile) {
            const std::size_t offset = tile << (bits + 1);
            if (cotangent) std::memset(call.lambda.get() + offset, 0, sizeof(Real) * 2 << bits);
            for (std::size_t k = 0; k < count; ++k) {
                apply_observable(call, observables[k], tile, bits, out, workers[worker].overlap.get());
                partial[part * count + k] += call.kernels.dot(out, call.psi.get() + offset, rows);
                if (cotangent) call.kernels.accumulate(call.lambda.get() + offset, out, rows, 2 * cotangent[k]);
            }
        }
    });
    for (std::size_t k = 0; k < count; ++k) {
        double total = 0;
        for (std::size_t p = k; p < partial.size(); p += count) total += partial[p];
        values[k] = Real(total * call.scale * call.scale);
    }
}

/// visit(place of the stored amplitude, true basis index, factor that makes the stored amplitude true)
template <class Real, class Visit>
void for_amplitudes(const Call<Real>& call, Visit visit) {
    std::vector<u64> images(call.num_bits(), 0);
    for (int b = 0; b < call.num_bits(); ++b)
        for (int p = 0; p < call.num_bits(); ++p)
            if (call.plan.parities[b] >> p & 1) images[p] |= u64(1) << b;
    const Addresses addresses = addresses_of(images, {});
    const Complex even = call.frame.phase * call.scale;
    for (u64 p = 0; p < call.amplitudes(); ++p) {
        const u64 logical = addresses.of(p);
        visit(place_of(call, p), logical ^ call.frame.x, parity(call.frame.z & logical) ? -even : even);
    }
}

template <class Real>
u64 outcome_of(const Call<Real>& call, u64 index) {
    u64 outcome = 0;
    for (int bit : call.program().measured) outcome = outcome << 1 | (index >> bit & 1);
    return outcome;
}

template <class Real>
void probabilities(Call<Real>& call, const Real* cotangent, Real* values) {
    const std::size_t lanes = std::size_t(1) << call.lane_bits;
    std::vector<double> sums(std::size_t(1) << call.program().measured.size(), 0.0);
    for_amplitudes(call, [&](std::size_t place, u64 index, Complex) {
        const double re = call.psi[place], im = call.psi[place + lanes];
        const u64 outcome = outcome_of(call, index);
        sums[outcome] += re * re + im * im;
        if (!cotangent) return;
        call.lambda[place] = Real(2 * cotangent[outcome] * re);
        call.lambda[place + lanes] = Real(2 * cotangent[outcome] * im);
    });
    for (std::size_t o = 0; o < sums.size(); ++o) values[o] = Real(sums[o] * call.scale * call.scale);
}

template <class Real>
void state_vector(Call<Real>& call, const Real* cotangent, Real* values) {
    const std::size_t lanes = std::size_t(1) << call.lane_bits;
    for_amplitudes(call, [&](std::size_t place, u64 index, Complex factor) {
        const Complex amplitude = Complex(call.psi[place], call.psi[place + lanes]) * factor;
        values[2 * index] = Real(amplitude.real());
        values[2 * index + 1] = Real(amplitude.imag());
        if (!cotangent) return;
        // lambda is stored in units of `scale` like psi: the factor's phase is undone, its size divided out
        const Complex lambda = Complex(cotangent[2 * index], cotangent[2 * index + 1]) / factor;
        call.lambda[place] = Real(lambda.real());
        call.lambda[place + lanes] = Real(lambda.imag());
    });
}

std::int64_t outputs_of(const Program& program) {
    if (program.question == Question::expect) return std::int64_t(program.observables.size());
    if (program.question == Question::state) return std::int64_t(2) << program.num_qubits;
    return std::int64_t(1) << program.measured.size();
}

template <class Real>
void answer_with(Call<Real>& call, const Real* cotangent, Real* values) {
    if (call.program().question == Question::expect)
        expectations(call, cotangent, values);
    else if (call.program().question == Question::probabilities)
        probabilities(call, cotangent, values);
    else
        state_vector(call, cotangent, values);
}

}  // namespace

/// Values, and lambda when there is a cotangent; with a slope the cotangent depends on the values, so these come first.
template <class Real>
void answer(Call<Real>& call) {
    const std::int64_t width = outputs_of(call.program()), offset = call.sample * width;
    const Real* cotangent = call.arrays.cotangent ? call.arrays.cotangent + offset : nullptr;
    Real* values = call.arrays.values + offset;
    if (!call.arrays.slope) return answer_with(call, cotangent, values);
    answer_with<Real>(call, nullptr, values);
    std::vector<Real> total(cotangent, cotangent + width);
    for (std::int64_t k = 0; k < width; ++k) total[k] += call.arrays.slope[offset + k] * values[k];
    answer_with<Real>(call, total.data(), values);
}

template void start(Call<double>&);
template void start(Call<float>&);
template void finish_gradient(const Call<double>&, std::vector<double>&);
template void finish_gradient(const Call<float>&, std::vector<double>&);
template void answer(Call<double>&);
template void answer(Call<float>&);

}  // namespace ketgrad::blocks
