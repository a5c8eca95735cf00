// The Python boundary: contiguous arrays in, arrays out, the GIL released while the engine works.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <bit>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "base/buffer.hpp"
#include "base/patience.hpp"
#include "blocks/engine.hpp"
#include "duals/engine.hpp"
#include "lanes/engine.hpp"
#include "lanes/kernels.hpp"
#include "passes/compile.hpp"
#include "passes/lower.hpp"
#include "program/light_cone.hpp"
#include "python/direct.hpp"
#include "python/gil.hpp"
#include "python/lane_states.hpp"
#include "python/native_call.hpp"
#include "simulator/cost_model.hpp"
#include "simulator/memory.hpp"

namespace nb = nanobind;

namespace ketgrad {
namespace {

template <class Value>
using Array1 = nb::ndarray<const Value, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Real2 = nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

constexpr int default_block_bits = 13;    // 128 KiB of amplitudes: psi and lambda of a block fit into the L2 cache
constexpr int least_blocked_qubits = 12;  // smaller states stay in the cache whatever is done with them

}  // namespace

struct NativeProgram {
    Schedule schedule;
    const InstructionSet* instruction_set;
    std::unique_ptr<LoweredPacks> batched;           // lanes are samples
    mutable std::once_flag once[2];                  // one state over the lanes, in double and single precision
    mutable std::unique_ptr<LoweredPacks> spread[2];
    mutable Kept<double> kept_exact;
    mutable Kept<float> kept_single;
    mutable BlockedPlan blocked;  // made when it is first needed
    mutable std::once_flag once_blocked;
    mutable double cost_blocks = 0;
    double quick_bounds[2] = {0, 0};  // in double and single precision: see DirectCall
    int default_threads = 1;
    std::int64_t free_bytes = 0;  // a direct call needs no more: beyond, memory is asked for first
    std::size_t num_instructions = 0;  // as they were given
    std::size_t num_unseen = 0;        // of these, outside the light cone of the question
    int block_bits = 0;  // other than 0: blocks of that size wherever they are possible, for tests
};

namespace {

void require(bool condition, const char* sentence) {
    if (!condition) throw std::invalid_argument(sentence);
}

/// Element i of an array given as (start, values): values[start[i] .. start[i + 1]).
template <class Value>
std::vector<Value> segment(const Array1<std::int64_t>& start, const Array1<Value>& values, std::size_t i) {
    const std::int64_t first = start.data()[i], last = start.data()[i + 1];
    require(0 <= first && first <= last && last <= std::int64_t(values.size()), "a start array is out of range or order");
    return {values.data() + first, values.data() + last};
}

struct ProgramArrays {
    Array1<std::uint8_t> kind;
    Array1<std::uint64_t> x, z, controls;
    Array1<std::int64_t> term_start;
    Array1<double> term_coefficient;
    Array1<std::int64_t> term_a, term_b, target_start, targets, data_start;
    Array1<std::complex<double>> data;
    Array1<std::int64_t> amplitude_slot;
    Array1<std::uint8_t> normalize;
};

Instruction read_instruction(const ProgramArrays& arrays, std::size_t i) {
    Instruction instruction;
    require(arrays.kind.data()[i] <= 2, "an instruction has a kind that this executor does not know");
    instruction.kind = InstructionKind(arrays.kind.data()[i]);
    instruction.x = arrays.x.data()[i];
    instruction.z = arrays.z.data()[i];
    instruction.controls = arrays.controls.data()[i];
    const auto coefficient = segment(arrays.term_start, arrays.term_coefficient, i);
    const auto a = segment(arrays.term_start, arrays.term_a, i), b = segment(arrays.term_start, arrays.term_b, i);
    for (std::size_t t = 0; t < coefficient.size(); ++t) instruction.angle.push_back({coefficient[t], a[t], b[t]});
    for (std::int64_t target : segment(arrays.target_start, arrays.targets, i)) {
        require(0 <= target && target < max_qubits, "a target is out of range");
        instruction.targets.push_back(int(target));
    }
    instruction.data = segment(arrays.data_start, arrays.data, i);
    instruction.amplitude_slots = segment(arrays.data_start, arrays.amplitude_slot, i);
    instruction.normalize = arrays.normalize.data()[i];
    return instruction;
}

void read_instructions(Program& program, const ProgramArrays& arrays) {
    const std::size_t count = arrays.kind.size();
    require(arrays.x.size() == count && arrays.z.size() == count && arrays.controls.size() == count &&
                arrays.normalize.size() == count,
            "the instruction arrays differ in length");
    require(arrays.term_start.size() == count + 1 && arrays.target_start.size() == count + 1 &&
                arrays.data_start.size() == count + 1,
            "a start array must be one longer than the instructions");
    require(count < (std::size_t(1) << 31), "too many instructions");
    for (std::size_t i = 0; i < count; ++i) {
        poll_compilation();
        program.instructions.push_back(read_instruction(arrays, i));
    }
}

/// work() with the GIL, which ends with Python's error when a signal asks for it.
template <class Work>
auto heeding_signals(Work work) {
    const Patience patience([] { return PyErr_CheckSignals() != 0; });
    try {
        return work();
    } catch (const CompilationStopped&) {
        throw nb::python_error();
    }
}

/// The sum of squares of weights, or inputs, below which no angle can lose its place on the circle and no value can overflow: an
/// angle is at most (the sum of its absolute coefficients) * max(1, sum of squares), as its terms have two variables at most.
double quick_bound(const Program& program, double largest_angle, double largest_value, double without_a_word) {
    double steepness = 1, size = 0;
    for (const Instruction& instruction : program.instructions) {
        double sum = 0;
        for (const Term& term : instruction.angle) sum += std::abs(term.coefficient);
        steepness = std::max(steepness, sum);
    }
    for (const auto& observable : program.observables) {
        double sum = 0;
        for (const Word& word : observable) sum += std::abs(word.coefficient);
        size = std::max(size, sum);
    }
    const bool fits = steepness <= largest_angle && size <= largest_value;
    return fits ? std::min(without_a_word, largest_angle / steepness) : 0;
}

/// All passes but those named: for tests and for measuring what each is worth.
Passes passes_without(const std::vector<std::string>& names) {
    Passes passes;
    for (const std::string& name : names) {
        bool* const found = name == "frame"      ? &passes.frame
                            : name == "merge"    ? &passes.merge
                            : name == "product"  ? &passes.product
                            : name == "prune"    ? &passes.prune
                            : name == "quartets" ? &passes.quartets
                            : name == "tangent"  ? &passes.tangent
                            : name == "spread"   ? &passes.spread
                            : name == "blocks"   ? &passes.blocks
                                                 : nullptr;
        require(found, "passes are frame, merge, product, prune, quartets, tangent, spread and blocks");
        *found = false;
    }
    return passes;
}

void build(NativeProgram* self, std::int64_t num_qubits, std::int64_t num_weights, std::int64_t num_inputs,
               Array1<std::uint8_t> kind, Array1<std::uint64_t> x, Array1<std::uint64_t> z,
               Array1<std::uint64_t> controls, Array1<std::int64_t> term_start, Array1<double> term_coefficient,
               Array1<std::int64_t> term_a, Array1<std::int64_t> term_b, Array1<std::int64_t> target_start,
               Array1<std::int64_t> targets, Array1<std::int64_t> data_start, Array1<std::complex<double>> data,
               Array1<std::int64_t> amplitude_slot, Array1<std::uint8_t> normalize, int question,
               Array1<std::int64_t> observable_start, Array1<std::uint64_t> word_x, Array1<std::uint64_t> word_z,
               Array1<double> word_coefficient, Array1<std::int64_t> measured, const std::string& instruction_set,
               const std::vector<std::string>& without, int block_bits, int default_threads, std::int64_t free_bytes) {
    require(block_bits == 0 || (6 <= block_bits && block_bits <= max_qubits), "block_bits must be 0 or 6 at least");
    require(0 <= num_qubits && num_qubits <= max_qubits, "the number of qubits is out of range");
    require(0 <= question && question <= 2, "the native executor knows expectations, probabilities and states");
    Program program;
    program.num_qubits = int(num_qubits);
    program.num_weights = num_weights;
    program.num_inputs = num_inputs;
    program.question = Question(question);
    read_instructions(program, {kind, x, z, controls, term_start, term_coefficient, term_a, term_b, target_start, targets,
                                data_start, data, amplitude_slot, normalize});
    require(observable_start.size() >= 1, "observable_start needs at least one entry");
    for (std::size_t k = 0; k + 1 < observable_start.size(); ++k) {
        const auto xs = segment(observable_start, word_x, k), zs = segment(observable_start, word_z, k);
        const auto coefficients = segment(observable_start, word_coefficient, k);
        auto& observable = program.observables.emplace_back();
        for (std::size_t t = 0; t < xs.size(); ++t) observable.push_back({xs[t], zs[t], coefficients[t]});
    }
    for (std::size_t i = 0; i < measured.size(); ++i) {
        require(0 <= measured.data()[i] && measured.data()[i] < max_qubits, "a measured bit is out of range");
        program.measured.push_back(int(measured.data()[i]));
    }
    const InstructionSet* chosen = find_instruction_set(instruction_set.c_str());
    require(chosen, "this machine cannot run that instruction set; known are avx512, avx2 and baseline");
    validate(program);
    const Passes passes = passes_without(without);
    const std::size_t num_instructions = program.instructions.size();
    const int outside = passes.prune ? restrict_to_light_cone(program) : 0;
    const double bounds[2] = {quick_bound(program, 0x1p53, 0x1p500, 0x1p52), quick_bound(program, 0x1p24, 0x1p60, 0x1p24)};
    Schedule schedule = compile(std::move(program), passes);
    auto batched = std::make_unique<LoweredPacks>(lower(schedule, 0));  // points to blocks, which stay where they are
    new (self) NativeProgram{std::move(schedule), chosen, std::move(batched)};
    self->num_instructions = num_instructions;
    self->num_unseen = std::size_t(outside);
    std::copy_n(bounds, 2, self->quick_bounds);
    self->block_bits = block_bits;
    self->default_threads = default_threads;
    self->free_bytes = free_bytes;
}

/// A function for Python that heeds signals.
template <class... Arguments>
auto heeding(void (*function)(NativeProgram*, Arguments...)) {
    return [function](NativeProgram* self, Arguments... arguments) {
        heeding_signals([&] { function(self, std::move(arguments)...); });
    };
}

std::int64_t num_outputs(const NativeProgram& self) {
    if (self.schedule.program.question == Question::expect) return std::int64_t(self.schedule.observables.size());
    return std::int64_t(1) << self.batched->one.outcome_bits;
}

template <class Real>
int lanes_of(const NativeProgram& self) {
    return kernels_of<LaneKernels<Real>>(*self.instruction_set).lanes;
}

/// Few samples of a state that is large enough go one by one, each spread over the lanes.
template <class Real>
bool spreads(const NativeProgram& self, std::int64_t batch) {
    const int lanes = lanes_of<Real>(self), qubits = self.schedule.program.num_qubits;
    if (!self.schedule.passes.spread || qubits < std::countr_zero(unsigned(lanes)) + 3) return false;
    return 2 * batch <= lanes || qubits >= 18;
}

template <class Real>
const LoweredPacks& lowered_for(const NativeProgram& self, std::int64_t batch) {
    if (!spreads<Real>(self, batch)) return *self.batched;
    const int which = sizeof(Real) == 8 ? 0 : 1;
    std::call_once(self.once[which], [&] {
        const int lane_bits = std::countr_zero(unsigned(lanes_of<Real>(self)));
        self.spread[which] = std::make_unique<LoweredPacks>(lower(self.schedule, lane_bits));
    });
    return *self.spread[which];
}

/// A few large states go through the cache block by block, where that is expected to be faster.
template <class Real>
bool uses_blocks(const NativeProgram& self, std::int64_t batch) {
    const bool forced = self.block_bits;
    const bool fills_lanes = self.schedule.program.num_qubits >= std::countr_zero(unsigned(lanes_of<Real>(self)));
    const bool has_dead_bits = self.schedule.given_qubits > self.schedule.program.num_qubits;  // which blocks would hold
    if (!self.schedule.passes.blocks || !fills_lanes || (has_dead_bits && !forced)) return false;
    if (!forced && (self.schedule.program.num_qubits < least_blocked_qubits || !spreads<Real>(self, batch))) return false;
    std::call_once(self.once_blocked, [&] {
        const int bits = forced ? self.block_bits : default_block_bits;
        self.blocked = plan_blocked(self.schedule.source(), bits);
        self.cost_blocks = cost_in_blocks(self.blocked);
    });
    // in doubt in lanes: where the estimates agree, they have been measured to be faster
    return forced || self.cost_blocks < 0.95 * cost_in_lanes(self.schedule, self.batched->one, sizeof(Real));
}

template <class Real>
Kept<Real>& kept_of(const NativeProgram& self) {
    if constexpr (sizeof(Real) == 8)
        return self.kept_exact;
    else
        return self.kept_single;
}

template <class Real>
void run_released(const NativeProgram& self, const Arrays<Real>& arrays, int threads) {
    const bool finished = without_gil([&](const auto& poll) {
        Interrupt interrupt;
        interrupt.poll = poll;
        const Patience patience(interrupt.poll);
        if (uses_blocks<Real>(self, arrays.batch))
            return execute_blocked(self.blocked, kernels_of<BlockKernels<Real>>(*self.instruction_set), arrays, threads, interrupt);
        const LoweredPacks& packs = lowered_for<Real>(self, arrays.batch);
        return execute(self.schedule, packs, *self.instruction_set, arrays, threads, interrupt, kept_of<Real>(self));
    });
    if (!finished) throw nb::python_error();
}

template <class Real>
Arrays<Real> bind_arrays(const NativeProgram& self, const Real2& weights, const Real2& inputs) {
    const Program& program = self.schedule.program;
    require(weights.dtype() == nb::dtype<Real>() && inputs.dtype() == nb::dtype<Real>(),
            "weights and inputs must both be float64 or both float32");
    require(std::int64_t(weights.shape(1)) == program.num_weights, "weights have the wrong number of columns");
    require(std::int64_t(inputs.shape(1)) == program.num_inputs, "inputs have the wrong number of columns");
    Arrays<Real> arrays;
    arrays.weight_rows = std::int64_t(weights.shape(0));
    arrays.input_rows = std::int64_t(inputs.shape(0));
    arrays.batch = arrays.weight_rows == 1 ? arrays.input_rows : arrays.weight_rows;
    require(arrays.input_rows == 1 || arrays.input_rows == arrays.batch, "weights and inputs differ in their batch");
    arrays.weights = static_cast<const Real*>(weights.data());
    arrays.inputs = static_cast<const Real*>(inputs.data());
    return arrays;
}

/// Values as (batch, outputs); a state is made of pairs of reals.
template <class Real>
nb::object owned_values(const NativeProgram& self, Buffer<Real>& values, std::int64_t batch) {
    const std::size_t outputs = num_outputs(self);
    if (self.schedule.program.question != Question::state) return owned(values, batch, outputs);
    Buffer<std::complex<Real>> states(reinterpret_cast<std::complex<Real>*>(values.release()));
    return owned(states, batch, outputs);
}

template <class Real>
std::size_t num_values(const NativeProgram& self, std::int64_t batch) {
    return std::size_t(batch) * num_outputs(self) * (self.schedule.program.question == Question::state ? 2 : 1);
}

template <class Real>
nb::object run_as(const NativeProgram& self, const Real2& weights, const Real2& inputs, int threads) {
    Arrays<Real> arrays = bind_arrays<Real>(self, weights, inputs);
    Buffer<Real> values = allocate<Real>(num_values<Real>(self, arrays.batch));
    arrays.values = values.get();
    run_released(self, arrays, threads);
    return owned_values(self, values, arrays.batch);
}

template <class Real>
nb::object vjp_as(const NativeProgram& self, const Real2& weights, const Real2& inputs, const Real2& cotangent,
                  int threads, const std::optional<Real2>& slope) {
    Arrays<Real> arrays = bind_arrays<Real>(self, weights, inputs);
    const bool is_state = self.schedule.program.question == Question::state;
    require(cotangent.dtype() == (is_state ? nb::dtype<std::complex<Real>>() : nb::dtype<Real>()),
            "the cotangent must have the type of the values");
    require(std::int64_t(cotangent.shape(0)) == arrays.batch && std::int64_t(cotangent.shape(1)) == num_outputs(self),
            "the cotangent must have the shape of the values");
    Buffer<Real> values = allocate<Real>(num_values<Real>(self, arrays.batch));
    Buffer<Real> dweights = allocate<Real>(weights.size()), dinputs = allocate<Real>(inputs.size());
    arrays.cotangent = static_cast<const Real*>(cotangent.data());
    if (slope) {
        require(!is_state && slope->dtype() == nb::dtype<Real>() && slope->shape(0) == cotangent.shape(0) &&
                    slope->shape(1) == cotangent.shape(1),
                "the slope must have the shape and type of the values, which must be real");
        arrays.slope = static_cast<const Real*>(slope->data());
    }
    arrays.values = values.get();
    arrays.dweights = dweights.get();
    arrays.dinputs = dinputs.get();
    run_released(self, arrays, threads);
    return nb::make_tuple(owned_values(self, values, arrays.batch), owned(dweights, weights.shape(0), weights.shape(1)),
                          owned(dinputs, inputs.shape(0), inputs.shape(1)));
}

nb::object run(const NativeProgram& self, const Real2& weights, const Real2& inputs, int threads) {
    if (weights.dtype() == nb::dtype<float>()) return run_as<float>(self, weights, inputs, threads);
    return run_as<double>(self, weights, inputs, threads);
}

nb::object vjp(const NativeProgram& self, const Real2& weights, const Real2& inputs, const Real2& cotangent, int threads,
               const std::optional<Real2>& slope) {
    if (weights.dtype() == nb::dtype<float>()) return vjp_as<float>(self, weights, inputs, cotangent, threads, slope);
    return vjp_as<double>(self, weights, inputs, cotangent, threads, slope);
}

std::unique_ptr<TangentProgram> second(const NativeProgram& self) {
    return heeding_signals([&] { return make_tangent_program(self.schedule.source(), self.schedule.passes, self.instruction_set); });
}

/// States as the rows hold them, whatever the batch: many lanes of samples, in one frame for all calls of a program.
template <class Real>
LaneStates lane_states_as(const NativeProgram& self, const Real2& weights, const Real2& inputs, int threads) {
    Arrays<Real> arrays = bind_arrays<Real>(self, weights, inputs);
    const int lanes = lanes_of<Real>(self);
    Panels<Real> panels = allocate_panels<Real>(arrays.batch, std::int64_t(1) << self.schedule.program.num_qubits, lanes);
    arrays.panels = &panels;
    const bool finished = without_gil([&](const auto& poll) {
        Interrupt interrupt;
        interrupt.poll = poll;
        return execute(self.schedule, *self.batched, *self.instruction_set, arrays, threads, interrupt, kept_of<Real>(self));
    });
    if (!finished) throw nb::python_error();
    return {std::move(panels), self.instruction_set, nb::none()};
}

LaneStates lane_states(nb::object program, const Real2& weights, const Real2& inputs, int threads) {
    const NativeProgram& self = nb::cast<const NativeProgram&>(program);
    require(self.schedule.program.question == Question::state, "the question of the program must be its state");
    const bool single = weights.dtype() == nb::dtype<float>();
    LaneStates states = single ? lane_states_as<float>(self, weights, inputs, threads)
                               : lane_states_as<double>(self, weights, inputs, threads);
    states.frame = std::move(program);
    return states;
}

/// Weights and inputs of a direct call, or of one that must go the long way.
template <class Real>
struct DirectCall {
    static constexpr Scalar real = sizeof(Real) == 8 ? Scalar::float64 : Scalar::float32;

    Arrays<Real> arrays;
    bool leads = false;  // the result has an axis for the batch
    int threads = 1;

    static bool fits(const PlainArray& array, bool missing, std::int64_t columns, double bound) {
        if (missing) return columns == 0;
        return array.scalar == real && array.columns == columns &&
               sum_of_squares(array.data<Real>(), array.rows * columns) < bound;
    }
    bool accept(const NativeProgram& self, const PlainArray& weights, bool no_weights, const PlainArray& inputs, bool no_inputs) {
        const Program& program = self.schedule.program;
        const double bound = self.quick_bounds[sizeof(Real) == 8 ? 0 : 1];  // of a sum of squares
        if (!fits(weights, no_weights, program.num_weights, bound) || !fits(inputs, no_inputs, program.num_inputs, bound)) return false;
        if (weights.rows != inputs.rows && weights.rows != 1 && inputs.rows != 1) return false;
        arrays.weight_rows = weights.rows;
        arrays.input_rows = inputs.rows;
        arrays.batch = weights.rows == 1 ? inputs.rows : weights.rows;
        arrays.weights = weights.data<Real>();
        arrays.inputs = inputs.data<Real>();
        leads = weights.axes == 2 || inputs.axes == 2;
        const double state = 16 * std::ldexp(1.0, program.num_qubits), outputs = 16 * double(num_outputs(self));
        return arrays.batch > 0 && 24 * state * threads + double(arrays.batch) * (state + outputs) <= double(self.free_bytes);
    }
    nb::object new_values(const NativeProgram& self, Real*& values) const {
        const bool is_state = self.schedule.program.question == Question::state;
        return new_array(is_state ? Scalar(int(real) + 2) : real, leads ? arrays.batch : -1, num_outputs(self), values);
    }
};

int thread_count(const NativeProgram& self, nb::handle threads) {
    return threads.is_none() ? self.default_threads : nb::cast<int>(threads);
}

template <class Real>
nb::object call_as(const NativeProgram& self, const PlainArray& w, bool no_w, const PlainArray& x, bool no_x, int threads) {
    DirectCall<Real> direct;
    direct.threads = threads;
    if (!direct.accept(self, w, no_w, x, no_x)) return nb::none();
    nb::object values = direct.new_values(self, direct.arrays.values);
    run_released(self, direct.arrays, threads);
    return values;
}

nb::object call(const NativeProgram& self, nb::handle weights, nb::handle inputs, nb::handle threads, bool single) {
    const PlainArray w(weights), x(inputs);
    const Scalar scalar = weights.is_none() ? x.scalar : w.scalar;
    const int workers = thread_count(self, threads);
    if (scalar == Scalar::float32) return call_as<float>(self, w, weights.is_none(), x, inputs.is_none(), workers);
    if (single) return nb::none();
    return call_as<double>(self, w, weights.is_none(), x, inputs.is_none(), workers);
}

/// A cotangent, or a slope, of the shape of the values.
template <class Real>
const Real* accept_cotangent(const NativeProgram& self, const DirectCall<Real>& direct, const PlainArray& cotangent) {
    const bool is_state = self.schedule.program.question == Question::state;
    const std::int64_t outputs = num_outputs(self), count = direct.arrays.batch * outputs * (is_state ? 2 : 1);
    if (cotangent.scalar != (is_state ? Scalar(int(direct.real) + 2) : direct.real) || cotangent.columns != outputs ||
        cotangent.axes != (direct.leads ? 2 : 1) || cotangent.rows != direct.arrays.batch)
        return nullptr;
    return std::isfinite(sum_of_squares(cotangent.data<Real>(), count)) ? cotangent.data<Real>() : nullptr;
}

template <class Real>
nb::object call_vjp_as(const NativeProgram& self, const PlainArray& w, bool no_w, const PlainArray& x, bool no_x,
                       const PlainArray& cotangent, nb::handle slope, int threads) {
    DirectCall<Real> direct;
    Arrays<Real>& arrays = direct.arrays;
    direct.threads = threads;
    if (!direct.accept(self, w, no_w, x, no_x)) return nb::none();
    arrays.cotangent = accept_cotangent(self, direct, cotangent);
    const PlainArray tilt(slope);
    if (!slope.is_none()) arrays.slope = accept_cotangent(self, direct, tilt);
    const bool is_state = self.schedule.program.question == Question::state;
    if (!arrays.cotangent || (!slope.is_none() && (!arrays.slope || is_state))) return nb::none();
    nb::object values = direct.new_values(self, arrays.values);
    nb::object dweights = new_array(direct.real, w.axes == 2 ? w.rows : -1, w.columns, arrays.dweights);
    nb::object dinputs = new_array(direct.real, x.axes == 2 ? x.rows : -1, x.columns, arrays.dinputs);
    run_released(self, arrays, threads);
    return nb::make_tuple(values, dweights, dinputs);
}

nb::object call_vjp(const NativeProgram& self, nb::handle weights, nb::handle inputs, nb::handle cotangent, nb::handle slope,
                    nb::handle threads, bool single) {
    const PlainArray w(weights), x(inputs), c(cotangent);
    const bool no_w = weights.is_none(), no_x = inputs.is_none();
    const int workers = thread_count(self, threads);
    if ((no_w ? x : w).scalar == Scalar::float32) return call_vjp_as<float>(self, w, no_w, x, no_x, c, slope, workers);
    if (single) return nb::none();
    return call_vjp_as<double>(self, w, no_w, x, no_x, c, slope, workers);
}

/// Bytes that a call allocates beside the values that it returns.
template <class Real>
std::uint64_t bytes_as(const NativeProgram& self, std::int64_t batch, int threads, bool backward) {
    const CallSize size{batch, threads, lanes_of<Real>(self), int(sizeof(Real)), backward};
    if (uses_blocks<Real>(self, batch)) return bytes_in_blocks(self.blocked, size);
    return bytes_in_lanes(self.schedule, lowered_for<Real>(self, batch).one, size);
}

/// What each pass made of the program, which way a batch would go, and the bytes that one thread allocates for it.
nb::dict describe(const NativeProgram& self, std::int64_t batch) {
    const bool spread = spreads<double>(self, batch);
    const int lanes = lanes_of<double>(self);
    const Lowered& lowered = lowered_for<double>(self, batch).one;
    const auto count = [&](StepKind kind) {
        return std::count_if(lowered.steps.begin(), lowered.steps.end(), [&](const Step& step) { return step.kind == kind; });
    };
    std::size_t product = 0;
    for (const auto& factor : self.schedule.product) product += factor.size();
    nb::dict result;
    result["instruction_set"] = self.instruction_set->name;
    result["lanes"] = lanes;
    result["spread"] = spread;
    result["blocked"] = uses_blocks<double>(self, batch);
    result["cost_lanes"] = cost_in_lanes(self.schedule, self.batched->one, 8);
    result["cost_blocks"] = self.cost_blocks;
    result["blocked_passes"] = self.blocked.passes.size();
    std::size_t turns = 0, diagonals = 0, matrices = 0;
    for (const Pass& pass : self.blocked.passes)
        for (const Layer& layer : pass.layers) {
            turns += layer.kind == LayerKind::rotations ? layer.entries.size() : 0;
            diagonals += layer.kind == LayerKind::diagonal;
            matrices += layer.kind == LayerKind::matrix;
        }
    result["blocked_turns"] = turns;
    result["blocked_tables"] = diagonals;
    result["blocked_matrices"] = matrices;
    result["seen"] = self.schedule.given_qubits;
    result["qubits"] = self.schedule.program.num_qubits;
    result["instructions"] = self.num_instructions;
    result["unseen"] = self.num_unseen;
    result["absorbed"] = self.schedule.absorbed;
    result["operations"] = self.schedule.made;
    result["pruned"] = self.schedule.pruned;
    result["product"] = product;
    std::size_t rotations = 0;
    for (const Block& block : self.schedule.blocks) rotations += block.kind == BlockKind::rotations ? block.rotations.size() : 0;
    result["rotations"] = rotations;
    result["tables"] = count(StepKind::table);
    result["rotation_passes"] = count(StepKind::rotation);
    result["dense"] = count(StepKind::dense);
    result["bytes_run"] = bytes_as<double>(self, batch, 1, false);
    result["bytes_vjp"] = bytes_as<double>(self, batch, 1, true);
    return result;
}

std::uint64_t bytes_needed(const NativeProgram& self, std::int64_t batch, int threads, bool backward, bool single) {
    return heeding_signals([&]() -> std::uint64_t {
        batch = countable(batch);
        return single ? bytes_as<float>(self, batch, threads, backward) : bytes_as<double>(self, batch, threads, backward);
    });
}

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const char* name : {"avx512", "avx2", "baseline"})
        if (find_instruction_set(name)) names.push_back(name);
    return names;
}

}  // namespace

ProgramSizes sizes_of(const NativeProgram& program) {
    const Program& own = program.schedule.program;
    return {own.num_weights, own.num_inputs, num_outputs(program), own.question == Question::state};
}

const NativeProgram& program_inside(nb::handle object) { return nb::cast<const NativeProgram&>(object); }

template <class Real>
void call_program(const NativeProgram& program, const Arrays<Real>& arrays, int threads) {
    Interrupt interrupt;
    interrupt.poll = [] { return false; };
    if (uses_blocks<Real>(program, arrays.batch)) {
        const auto& kernels = kernels_of<BlockKernels<Real>>(*program.instruction_set);
        execute_blocked(program.blocked, kernels, arrays, threads, interrupt);
    } else {
        const LoweredPacks& packs = lowered_for<Real>(program, arrays.batch);
        execute(program.schedule, packs, *program.instruction_set, arrays, threads, interrupt, kept_of<Real>(program));
    }
}

template void call_program(const NativeProgram&, const Arrays<double>&, int);
template void call_program(const NativeProgram&, const Arrays<float>&, int);

void bind_array_functions(nb::module_& m);
void bind_second(nb::module_& m);
void bind_gram(nb::module_& m);
void bind_jax(nb::module_& m);

}  // namespace ketgrad

NB_MODULE(_native, m) {
    using namespace ketgrad;
    using namespace nb::literals;
    nb::set_leak_warnings(false);
    m.doc() = "The compiled core: Program objects that are built from flat arrays and run on batches.";
    bind_second(m);
    nb::class_<NativeProgram>(m, "Program")
        .def("__init__", heeding(build), "num_qubits"_a, "num_weights"_a, "num_inputs"_a, "kind"_a, "x"_a, "z"_a, "controls"_a,
             "term_start"_a, "term_coefficient"_a, "term_a"_a, "term_b"_a, "target_start"_a, "targets"_a, "data_start"_a,
             "data"_a, "amplitude_slot"_a, "normalize"_a, "question"_a, "observable_start"_a, "word_x"_a, "word_z"_a,
             "word_coefficient"_a, "measured"_a, "instruction_set"_a = "",
             "without"_a = std::vector<std::string>(), "block_bits"_a = 0,
             "default_threads"_a = 1, "free_bytes"_a = 0)
        .def("run", run, "weights"_a.noconvert(), "inputs"_a.noconvert(), "threads"_a,
             "Values (batch, outputs) for weights (batch or 1, num_weights) and inputs (batch or 1, num_inputs).")
        .def("vjp", vjp, "weights"_a.noconvert(), "inputs"_a.noconvert(), "cotangent"_a.noconvert(), "threads"_a,
             "slope"_a.noconvert() = nb::none(),
             "(values, dweights, dinputs) for the cotangent, or for cotangent + slope * values (a squared loss in one call).")
        .def("lane_states", lane_states, "weights"_a.noconvert(), "inputs"_a.noconvert(), "threads"_a,
             "States as `run` gives them, but as LaneStates, in an order of this program.")
        .def("call", call, "weights"_a.none(), "inputs"_a.none(), "threads"_a.none(), "single"_a,
             "As run, for plain arrays of one or two axes as a caller has them (or None), checked here: the values in the\n"
             "shape of the caller's. None if the call must take the long way. single: only float32 may be used.")
        .def("call_vjp", call_vjp, "weights"_a.none(), "inputs"_a.none(), "cotangent"_a.none(), "slope"_a.none(),
             "threads"_a.none(), "single"_a, "As vjp, in the way of call.")
        .def("bytes_needed", bytes_needed, "batch"_a, "threads"_a, "backward"_a, "single"_a = false,
             "Bytes that a call allocates beside the values that it returns.")
        .def("second", second, "The program compiled for derivatives along a direction.")
        .def_prop_ro("num_qubits", [](const NativeProgram& self) { return self.schedule.program.num_qubits; },
                     "Bits of the row indices of the states that are held.")
        .def("plan", [](const NativeProgram& self, std::int64_t batch) {
            return heeding_signals([&] { return describe(self, countable(batch)); });
        }, "batch"_a = 1, "What the core made of the program, for a batch of that size.");
    bind_array_functions(m);
    bind_gram(m);
    bind_jax(m);
    m.def("instruction_sets", instruction_sets, "The instruction sets that this machine can run, best first.");
}
