#include "engine.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "buffer.hpp"

namespace ketgrad {
namespace {

constexpr std::int64_t max_blocks = 128;  // blocks of lane groups; a constant, so that sums never depend on threads

/// What one thread needs while it works on a lane group.
template <class Real>
struct Workspace {
    Buffer<Real> psi, lambda, scratch, outcomes, amplitudes, amplitude_gradient;
    Buffer<Real> coefficients;    // per instruction: cosine lanes, sine lanes
    Buffer<Real> dense_matrix;    // one matrix in the precision of the call
    Buffer<double> slots, dslots;  // (num_slots, lanes)
};

template <class Real>
struct Call {
    const Plan& plan;
    const Kernels<Real>& kernels;
    const Arrays<Real>& arrays;
    Interrupt& interrupt;
    int lanes;
    std::int64_t groups, blocks;
    Real* partial;  // (blocks, num_slots - 1): gradients summed over the samples of a block
    bool polls_often;

    const Program& program() const { return plan.program; }
    std::int64_t slot_rows(std::int64_t slot) const {
        return slot == 0 ? 1 : slot <= program().num_weights ? arrays.weight_rows : arrays.input_rows;
    }
};

struct Stopped {};

/// Worker 0 is the calling thread: it asks Python every 50 ms; every worker obeys the flag.
template <class Real>
void check_interrupt(const Call<Real>& call, int worker) {
    using Clock = std::chrono::steady_clock;
    if (worker == 0 && call.interrupt.poll) {
        thread_local Clock::time_point last = Clock::now();
        const Clock::time_point now = Clock::now();
        if (now - last > std::chrono::milliseconds(50)) {
            last = now;
            if (call.interrupt.poll()) call.interrupt.stop = true;
        }
    }
    if (call.interrupt.stop) throw Stopped{};
}

std::size_t largest_dense(const Plan& plan) {
    std::size_t size = 0;
    for (const Step& step : plan.steps) size = std::max(size, step.matrix.size());
    return size;
}

std::size_t largest_preparation(const Plan& plan) {
    std::size_t size = 0;
    for (const Preparation& preparation : plan.preparations) size = std::max(size, preparation.offsets.size());
    return size;
}

template <class Real>
Workspace<Real> make_workspace(const Call<Real>& call) {
    const Plan& plan = call.plan;
    const std::size_t row = 2 * call.lanes, rows = plan.num_rows();
    const bool backward = call.arrays.cotangent;
    Workspace<Real> space;
    space.psi = allocate<Real>(rows * row);
    if (backward) space.lambda = allocate<Real>(rows * row);
    space.scratch = allocate<Real>(plan.scratch_rows * row);
    space.dense_matrix = allocate<Real>(2 * largest_dense(plan));
    space.coefficients = allocate<Real>(plan.program.instructions.size() * row);
    space.slots = allocate<double>(plan.program.num_slots() * call.lanes);
    if (backward) space.dslots = allocate<double>(plan.program.num_slots() * call.lanes);
    if (plan.program.question == Question::probabilities)
        space.outcomes = allocate<Real>((std::size_t(1) << plan.outcome_bits) * call.lanes);
    space.amplitudes = allocate<Real>(largest_preparation(plan) * row);
    if (backward) space.amplitude_gradient = allocate<Real>(largest_preparation(plan) * row);
    return space;
}

/// Lanes beyond the batch repeat the last sample; their cotangent is zero and their results are dropped.
template <class Real>
std::int64_t sample_of(const Call<Real>& call, std::int64_t group, int lane) {
    return std::min(group * call.lanes + lane, call.arrays.batch - 1);
}

template <class Real>
void load_slots(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const std::int64_t weights = call.program().num_weights, inputs = call.program().num_inputs;
    for (int lane = 0; lane < call.lanes; ++lane) {
        const std::int64_t sample = sample_of(call, group, lane);
        const Real* w = call.arrays.weights + (call.arrays.weight_rows == 1 ? 0 : sample * weights);
        const Real* x = call.arrays.inputs + (call.arrays.input_rows == 1 ? 0 : sample * inputs);
        double* slot = space.slots.get() + lane;
        *slot = 1;
        for (std::int64_t i = 0; i < weights; ++i) *(slot += call.lanes) = w[i];
        for (std::int64_t i = 0; i < inputs; ++i) *(slot += call.lanes) = x[i];
    }
}

template <class Real>
bool differs_between_lanes(const Call<Real>& call, const Instruction& instruction) {
    return std::any_of(instruction.angle.begin(), instruction.angle.end(), [&](const Term& term) {
        return call.slot_rows(term.a) > 1 || call.slot_rows(term.b) > 1;
    });
}

double angle(const Instruction& instruction, const double* slots, int lanes, int lane) {
    double sum = 0;
    for (const Term& term : instruction.angle)
        sum += term.coefficient * slots[term.a * lanes + lane] * slots[term.b * lanes + lane];
    return sum;
}

/// cosine and sine of half the angle of every rotation, per lane.
template <class Real>
void fill_coefficients(const Call<Real>& call, Workspace<Real>& space, bool first_group) {
    const auto& instructions = call.program().instructions;
    for (std::size_t i = 0; i < instructions.size(); ++i) {
        if (instructions[i].kind != InstructionKind::pauli_rotation) continue;
        const bool differs = differs_between_lanes(call, instructions[i]);
        if (!differs && !first_group) continue;
        Real* cosine = space.coefficients.get() + i * 2 * call.lanes;
        for (int lane = 0; lane < (differs ? call.lanes : 1); ++lane) {
            const double half = 0.5 * angle(instructions[i], space.slots.get(), call.lanes, lane);
            cosine[lane] = Real(std::cos(half));
            cosine[call.lanes + lane] = Real(std::sin(half));
        }
        for (int lane = 1; !differs && lane < call.lanes; ++lane) {
            cosine[lane] = cosine[0];
            cosine[call.lanes + lane] = cosine[call.lanes];
        }
    }
}

/// amplitude_j = c_j slot_j / norm; returns the norms in `norms` (all 1 when it is not normalised).
template <class Real>
void load_amplitudes(const Call<Real>& call, Workspace<Real>& space, const Instruction& instruction, double* norms) {
    const int lanes = call.lanes;
    for (int lane = 0; lane < lanes; ++lane) {
        double square = 0;
        for (std::size_t j = 0; j < instruction.data.size(); ++j) {
            const auto value = instruction.data[j] * space.slots[instruction.amplitude_slots[j] * lanes + lane];
            square += std::norm(value);
        }
        norms[lane] = instruction.normalize ? std::sqrt(square) : 1;
        for (std::size_t j = 0; j < instruction.data.size(); ++j) {
            const auto value = instruction.data[j] * space.slots[instruction.amplitude_slots[j] * lanes + lane];
            space.amplitudes[2 * j * lanes + lane] = Real(value.real() / norms[lane]);
            space.amplitudes[(2 * j + 1) * lanes + lane] = Real(value.imag() / norms[lane]);
        }
    }
}

/// The product of the first `count` factors on |0...0>, in psi.
template <class Real>
void prepare(const Call<Real>& call, Workspace<Real>& space, std::size_t count) {
    const int lanes = call.lanes;
    double norms[64];
    std::memset(space.psi.get(), 0, call.plan.num_rows() * 2 * lanes * sizeof(Real));
    for (int lane = 0; lane < lanes; ++lane) space.psi[lane] = 1;
    for (std::size_t f = 0; f < count; ++f) {
        const Preparation& factor = call.plan.preparations[f];
        load_amplitudes(call, space, call.program().instructions[factor.instruction], norms);
        call.kernels.expand(space.psi.get(), factor.rows, factor.offsets.data(), int(factor.offsets.size()),
                            space.amplitudes.get());
    }
}

template <class Real>
const Real* convert_matrix(Workspace<Real>& space, const std::vector<std::complex<double>>& matrix) {
    for (std::size_t i = 0; i < matrix.size(); ++i) {
        space.dense_matrix[2 * i] = Real(matrix[i].real());
        space.dense_matrix[2 * i + 1] = Real(matrix[i].imag());
    }
    return space.dense_matrix.get();
}

template <class Real>
void apply_dense(const Call<Real>& call, Workspace<Real>& space, const Step& step, Real* state, const Real* matrix) {
    call.kernels.dense(state, step.rows, step.offsets.data(), int(step.offsets.size()), matrix, space.scratch.get());
}

template <class Real>
void apply_step(const Call<Real>& call, Workspace<Real>& space, const Step& step) {
    const Real* cosine = space.coefficients.get() + std::ptrdiff_t(step.instruction) * 2 * call.lanes;
    if (step.kind == StepKind::rotate)
        for (const PairSet& pairs : step.pairs) call.kernels.rotate(space.psi.get(), pairs, cosine, cosine + call.lanes);
    else if (step.kind == StepKind::phase)
        for (const SignedRows& set : step.phases)
            call.kernels.phase(space.psi.get(), set.rows, set.sign, cosine, cosine + call.lanes);
    else
        apply_dense(call, space, step, space.psi.get(), convert_matrix(space, step.matrix));
}

/// d angle_i / d slot, times d loss / d angle_i, added to the slots' gradients.
template <class Real>
void chain_angle(const Call<Real>& call, Workspace<Real>& space, const Instruction& instruction, const Real* gradient) {
    const int lanes = call.lanes;
    for (const Term& term : instruction.angle)
        for (int lane = 0; lane < lanes; ++lane) {
            const double g = term.coefficient * gradient[lane];
            space.dslots[term.a * lanes + lane] += g * space.slots[term.b * lanes + lane];
            space.dslots[term.b * lanes + lane] += g * space.slots[term.a * lanes + lane];
        }
}

template <class Real>
void unapply_step(const Call<Real>& call, Workspace<Real>& space, const Step& step) {
    Real *psi = space.psi.get(), *lambda = space.lambda.get();
    if (step.kind == StepKind::dense) {
        const Real* matrix = convert_matrix(space, step.adjoint);
        apply_dense(call, space, step, psi, matrix);
        apply_dense(call, space, step, lambda, matrix);
        return;
    }
    alignas(64) Real gradient[64] = {};
    const Real* cosine = space.coefficients.get() + std::ptrdiff_t(step.instruction) * 2 * call.lanes;
    const Real* sine = cosine + call.lanes;
    for (const PairSet& pairs : step.pairs) call.kernels.rotate_back(psi, lambda, pairs, cosine, sine, gradient);
    for (const SignedRows& set : step.phases)
        call.kernels.phase_back(psi, lambda, set.rows, set.sign, cosine, sine, gradient);
    chain_angle(call, space, call.program().instructions[step.instruction], gradient);
}

/// Gradient of amplitude_j = c_j slot_j / norm: the part along the vector itself is projected out by the norm.
template <class Real>
void chain_amplitudes(const Call<Real>& call, Workspace<Real>& space, const Instruction& instruction,
                      const double* norms) {
    const int lanes = call.lanes;
    const Real *a = space.amplitudes.get(), *g = space.amplitude_gradient.get();
    for (int lane = 0; lane < lanes; ++lane) {
        double along = 0;
        for (std::size_t j = 0; instruction.normalize && j < instruction.data.size(); ++j)
            along += double(a[2 * j * lanes + lane]) * g[2 * j * lanes + lane] +
                     double(a[(2 * j + 1) * lanes + lane]) * g[(2 * j + 1) * lanes + lane];
        for (std::size_t j = 0; j < instruction.data.size(); ++j) {
            const double re = (g[2 * j * lanes + lane] - along * a[2 * j * lanes + lane]) / norms[lane];
            const double im = (g[(2 * j + 1) * lanes + lane] - along * a[(2 * j + 1) * lanes + lane]) / norms[lane];
            space.dslots[instruction.amplitude_slots[j] * lanes + lane] +=
                instruction.data[j].real() * re + instruction.data[j].imag() * im;
        }
    }
}

template <class Real>
void unprepare(const Call<Real>& call, Workspace<Real>& space) {
    double norms[64];
    for (std::size_t f = call.plan.preparations.size(); f-- > 0;) {
        const Preparation& factor = call.plan.preparations[f];
        const Instruction& instruction = call.program().instructions[factor.instruction];
        prepare(call, space, f);
        load_amplitudes(call, space, instruction, norms);
        std::memset(space.amplitude_gradient.get(), 0, factor.offsets.size() * 2 * call.lanes * sizeof(Real));
        call.kernels.contract(space.lambda.get(), space.psi.get(), factor.rows, factor.offsets.data(),
                              int(factor.offsets.size()), space.amplitudes.get(), space.amplitude_gradient.get());
        chain_amplitudes(call, space, instruction, norms);
    }
}

template <class Real>
int valid_lanes(const Call<Real>& call, std::int64_t group) {
    return int(std::min<std::int64_t>(call.lanes, call.arrays.batch - group * call.lanes));
}

template <class Real>
void write_expectations(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const auto& observables = call.plan.observables;
    for (std::size_t k = 0; k < observables.size(); ++k) {
        double total[64] = {};
        for (const CompiledWord& word : observables[k]) {
            alignas(64) Real sum[64] = {};
            for (const PairSet& pairs : word.pairs) call.kernels.expect(space.psi.get(), pairs, sum);
            for (const SignedRows& set : word.phases)
                call.kernels.expect_diagonal(space.psi.get(), set.rows, set.sign, sum);
            for (int lane = 0; lane < call.lanes; ++lane) total[lane] += word.coefficient * sum[lane];
        }
        for (int lane = 0; lane < valid_lanes(call, group); ++lane)
            call.arrays.values[(group * call.lanes + lane) * observables.size() + k] = Real(total[lane]);
    }
}

template <class Real>
void write_probabilities(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const std::size_t outcomes = std::size_t(1) << call.plan.outcome_bits;
    std::memset(space.outcomes.get(), 0, outcomes * call.lanes * sizeof(Real));
    call.kernels.probabilities(space.psi.get(), call.plan.outcome_rows, space.outcomes.get());
    for (int lane = 0; lane < valid_lanes(call, group); ++lane) {
        Real* values = call.arrays.values + (group * call.lanes + lane) * outcomes;
        for (std::size_t o = 0; o < outcomes; ++o) values[o] = space.outcomes[o * call.lanes + lane];
    }
}

/// visit(row, basis index) over all rows.
template <class Visit>
void for_basis(const RowSet& rows, Visit visit) {
    std::uint64_t row = rows.base, image = rows.image_base;
    for (std::uint64_t o = 1;; ++o) {
        visit(row, image);
        if (o == std::uint64_t(1) << rows.dim) return;
        const int i = __builtin_ctzll(o);
        row ^= rows.basis[i];
        image ^= rows.image[i];
    }
}

template <class Real>
void write_states(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const int lanes = call.lanes;
    for (int lane = 0; lane < valid_lanes(call, group); ++lane) {
        Real* values = call.arrays.values + (group * lanes + lane) * 2 * call.plan.num_rows();
        for_basis(call.plan.outcome_rows, [&](std::uint64_t row, std::uint64_t index) {
            values[2 * index] = space.psi[2 * row * lanes + lane];
            values[2 * index + 1] = space.psi[(2 * row + 1) * lanes + lane];
        });
    }
}

template <class Real>
void write_values(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    if (call.program().question == Question::expect)
        write_expectations(call, space, group);
    else if (call.program().question == Question::probabilities)
        write_probabilities(call, space, group);
    else
        write_states(call, space, group);
}

/// lambda = 2 sum_k cotangent_k O_k psi, so that d loss = Re <lambda|d psi>.
template <class Real>
void start_lambda_expect(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const auto& observables = call.plan.observables;
    std::memset(space.lambda.get(), 0, call.plan.num_rows() * 2 * call.lanes * sizeof(Real));
    for (std::size_t k = 0; k < observables.size(); ++k)
        for (const CompiledWord& word : observables[k]) {
            alignas(64) Real coefficient[64] = {};
            for (int lane = 0; lane < valid_lanes(call, group); ++lane)
                coefficient[lane] = Real(2 * word.coefficient) *
                                    call.arrays.cotangent[(group * call.lanes + lane) * observables.size() + k];
            for (const PairSet& pairs : word.pairs)
                call.kernels.apply_word(space.lambda.get(), space.psi.get(), pairs, coefficient);
            for (const SignedRows& set : word.phases)
                call.kernels.apply_diagonal(space.lambda.get(), space.psi.get(), set.rows, set.sign, coefficient);
        }
}

template <class Real>
void start_lambda_probabilities(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const std::size_t outcomes = std::size_t(1) << call.plan.outcome_bits;
    for (int lane = 0; lane < call.lanes; ++lane) {
        const bool valid = lane < valid_lanes(call, group);
        for (std::size_t o = 0; o < outcomes; ++o)
            space.outcomes[o * call.lanes + lane] =
                valid ? call.arrays.cotangent[(group * call.lanes + lane) * outcomes + o] : 0;
    }
    call.kernels.apply_outcomes(space.lambda.get(), space.psi.get(), call.plan.outcome_rows, space.outcomes.get());
}

template <class Real>
void start_lambda_state(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    const int lanes = call.lanes;
    for (int lane = 0; lane < lanes; ++lane) {
        const bool valid = lane < valid_lanes(call, group);
        const Real* cotangent = call.arrays.cotangent + sample_of(call, group, lane) * 2 * call.plan.num_rows();
        for_basis(call.plan.outcome_rows, [&](std::uint64_t row, std::uint64_t index) {
            space.lambda[2 * row * lanes + lane] = valid ? cotangent[2 * index] : 0;
            space.lambda[(2 * row + 1) * lanes + lane] = valid ? cotangent[2 * index + 1] : 0;
        });
    }
}

template <class Real>
void start_lambda(const Call<Real>& call, Workspace<Real>& space, std::int64_t group) {
    if (call.program().question == Question::expect)
        start_lambda_expect(call, space, group);
    else if (call.program().question == Question::probabilities)
        start_lambda_probabilities(call, space, group);
    else
        start_lambda_state(call, space, group);
}

/// Batched gradients go straight to their rows; shared ones are summed over the lanes into the block's partial sums.
template <class Real>
void write_gradients(const Call<Real>& call, Workspace<Real>& space, std::int64_t group, std::int64_t block) {
    const std::int64_t weights = call.program().num_weights, inputs = call.program().num_inputs;
    Real* partial = call.partial + block * (weights + inputs);
    for (std::int64_t i = 0; i < weights + inputs; ++i) {
        const bool is_weight = i < weights;
        const double* gradient = space.dslots.get() + (1 + i) * call.lanes;
        Real* rows = is_weight ? call.arrays.dweights + i : call.arrays.dinputs + (i - weights);
        const std::int64_t stride = is_weight ? weights : inputs;
        const bool shared = call.slot_rows(1 + i) == 1;
        for (int lane = 0; lane < valid_lanes(call, group); ++lane) {
            if (shared)
                partial[i] += Real(gradient[lane]);
            else
                rows[(group * call.lanes + lane) * stride] = Real(gradient[lane]);
        }
    }
}

template <class Real>
void run_group(const Call<Real>& call, Workspace<Real>& space, std::int64_t group, std::int64_t block, int worker,
               bool first_group) {
    load_slots(call, space, group);
    fill_coefficients(call, space, first_group);
    prepare(call, space, call.plan.preparations.size());
    for (const Step& step : call.plan.steps) {
        if (call.polls_often) check_interrupt(call, worker);
        apply_step(call, space, step);
    }
    write_values(call, space, group);
    if (!call.arrays.cotangent) return;
    start_lambda(call, space, group);
    std::memset(space.dslots.get(), 0, call.program().num_slots() * call.lanes * sizeof(double));
    for (std::size_t i = call.plan.steps.size(); i-- > 0;) {
        if (call.polls_often) check_interrupt(call, worker);
        unapply_step(call, space, call.plan.steps[i]);
    }
    unprepare(call, space);
    write_gradients(call, space, group, block);
}

/// Sums over the blocks in their order, whatever thread computed them.
template <class Real>
void sum_partials(const Call<Real>& call) {
    const std::int64_t weights = call.program().num_weights, inputs = call.program().num_inputs;
    for (std::int64_t i = 0; i < weights + inputs; ++i) {
        if (call.slot_rows(1 + i) > 1) continue;
        double sum = 0;
        for (std::int64_t block = 0; block < call.blocks; ++block) sum += call.partial[block * (weights + inputs) + i];
        (i < weights ? call.arrays.dweights[i] : call.arrays.dinputs[i - weights]) = Real(sum);
    }
}

/// One thread for work below about 50 microseconds.
template <class Real>
int useful_threads(const Call<Real>& call, int threads) {
    const double row_steps = double(call.plan.num_rows()) * double(call.plan.steps.size() + 1) * double(call.groups);
    return int(std::clamp<double>(std::min<double>(double(call.blocks), row_steps / 20000), 1, std::max(threads, 1)));
}

}  // namespace

template <class Real>
bool execute(const Plan& plan, const Kernels<Real>& kernels, const Arrays<Real>& arrays, int threads,
             Interrupt& interrupt) {
    const std::int64_t groups = (arrays.batch + kernels.lanes - 1) / kernels.lanes;
    const std::int64_t blocks = std::min(groups, max_blocks);
    const std::int64_t gradients = plan.program.num_weights + plan.program.num_inputs;
    Buffer<Real> partial;
    if (arrays.cotangent) partial = allocate_zeros<Real>(blocks * gradients);
    const Call<Real> call{plan,   kernels, arrays, interrupt, kernels.lanes, groups,
                          blocks, partial.get(), plan.num_rows() >= 1024};
    threads = useful_threads(call, threads);
    std::vector<Workspace<Real>> spaces;
    for (int worker = 0; worker < threads; ++worker) spaces.push_back(make_workspace(call));
    std::vector<char> started(threads, 0);
    try {
        parallel(threads, blocks, interrupt, [&](int worker, std::int64_t block) {
            for (std::int64_t group = block * groups / blocks; group < (block + 1) * groups / blocks; ++group) {
                check_interrupt(call, worker);
                run_group(call, spaces[worker], group, block, worker, !started[worker]);
                started[worker] = 1;
            }
        });
    } catch (const Stopped&) {
        return false;
    }
    if (arrays.cotangent) sum_partials(call);
    return true;
}

std::uint64_t bytes_per_group(const Plan& plan, int lanes, int real_size, bool backward) {
    return plan.num_rows() * 2 * lanes * real_size * (backward ? 2 : 1);
}

template bool execute(const Plan&, const Kernels<double>&, const Arrays<double>&, int, Interrupt&);
template bool execute(const Plan&, const Kernels<float>&, const Arrays<float>&, int, Interrupt&);

}  // namespace ketgrad
