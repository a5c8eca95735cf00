// The Python boundary: contiguous arrays in, arrays out, the GIL released while the engine works.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>

#include "base/buffer.hpp"
#include "base/patience.hpp"
#include "python/direct.hpp"
#include "python/gil.hpp"
#include "python/lane_states.hpp"
#include "python/program.hpp"
#include "python/reading.hpp"
#include "simulator/simulator.hpp"

namespace ketgrad {
namespace {

using Real2 = nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

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

/// All passes but those named: for tests and for measuring what each is worth.
Passes passes_without(const std::vector<std::string>& names) {
    Passes passes;
    for (const std::string& name : names) {
        bool* const found = name == "frame"      ? &passes.frame
                            : name == "merge"    ? &passes.merge
                            : name == "product"  ? &passes.product
                            : name == "prune"    ? &passes.prune
                            : name == "quartets" ? &passes.quartets
                            : name == "half_tangent" ? &passes.half_tangent
                            : name == "spread"   ? &passes.spread
                            : name == "blocks"   ? &passes.blocks
                                                 : nullptr;
        require(found, "passes are frame, merge, product, prune, quartets, half_tangent, spread and blocks");
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
    read_observables(program, {observable_start, word_x, word_z, word_coefficient});
    read_measured(program, measured);
    const InstructionSet* chosen = find_instruction_set(instruction_set.c_str());
    require(chosen, "this machine cannot run that instruction set; known are avx512, avx2 and baseline");
    new (self) NativeProgram{.simulator{std::move(program), passes_without(without), *chosen, block_bits},
                             .default_threads = default_threads, .free_bytes = free_bytes};
    set_quick_bounds(*self);
}

/// A function for Python that heeds signals.
template <class... Arguments>
auto heeding(void (*function)(NativeProgram*, Arguments...)) {
    return [function](NativeProgram* self, Arguments... arguments) {
        heeding_signals([&] { function(self, std::move(arguments)...); });
    };
}

template <class Real>
Arrays<Real> bind_arrays(const NativeProgram& self, const Real2& weights, const Real2& inputs) {
    const Program& program = self.simulator.program();
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
    const std::size_t outputs = self.simulator.num_outputs();
    if (!self.simulator.is_state()) return owned(values, batch, outputs);
    Buffer<std::complex<Real>> states(reinterpret_cast<std::complex<Real>*>(values.release()));
    return owned(states, batch, outputs);
}

template <class Real>
std::size_t num_values(const NativeProgram& self, std::int64_t batch) {
    return std::size_t(batch) * self.simulator.num_outputs() * (self.simulator.is_state() ? 2 : 1);
}

template <class Real>
nb::object run_as(const NativeProgram& self, const Real2& weights, const Real2& inputs, int threads) {
    Arrays<Real> arrays = bind_arrays<Real>(self, weights, inputs);
    Buffer<Real> values = allocate<Real>(num_values<Real>(self, arrays.batch));
    arrays.values = values.get();
    run_released(self.simulator, arrays, threads);
    return owned_values(self, values, arrays.batch);
}

template <class Real>
nb::object vjp_as(const NativeProgram& self, const Real2& weights, const Real2& inputs, const Real2& cotangent,
                  int threads, const std::optional<Real2>& slope) {
    Arrays<Real> arrays = bind_arrays<Real>(self, weights, inputs);
    const bool is_state = self.simulator.is_state();
    require(cotangent.dtype() == (is_state ? nb::dtype<std::complex<Real>>() : nb::dtype<Real>()),
            "the cotangent must have the type of the values");
    require(std::int64_t(cotangent.shape(0)) == arrays.batch && std::int64_t(cotangent.shape(1)) == self.simulator.num_outputs(),
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
    run_released(self.simulator, arrays, threads);
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

std::unique_ptr<DualSimulator> second(const NativeProgram& self) {
    return heeding_signals([&] { return self.simulator.dual(); });
}

/// States as the rows hold them, whatever the batch: many lanes of samples, in one frame for all calls of a program.
template <class Real>
LaneStates lane_states_as(const NativeProgram& self, const Real2& weights, const Real2& inputs, int threads) {
    Arrays<Real> arrays = bind_arrays<Real>(self, weights, inputs);
    const int lanes = self.simulator.lanes<Real>();
    Panels<Real> panels = allocate_panels<Real>(arrays.batch, std::int64_t(1) << self.simulator.program().num_qubits, lanes);
    arrays.panels = &panels;
    without_gil([&](Interrupt& interrupt) {
        return self.simulator.run_states(arrays, threads, interrupt);
    });
    return {std::move(panels), &self.simulator.instruction_set(), nb::none()};
}

LaneStates lane_states(nb::object program, const Real2& weights, const Real2& inputs, int threads) {
    const NativeProgram& self = nb::cast<const NativeProgram&>(program);
    require(self.simulator.is_state(), "the question of the program must be its state");
    const bool single = weights.dtype() == nb::dtype<float>();
    LaneStates states = single ? lane_states_as<float>(self, weights, inputs, threads)
                               : lane_states_as<double>(self, weights, inputs, threads);
    states.frame = std::move(program);
    return states;
}

/// What each pass made of the program, which way a batch would go, and the bytes that one thread allocates for it.
nb::dict describe(const NativeProgram& self, std::int64_t batch) {
    const SimulatorPlan plan = self.simulator.plan(batch);
    nb::dict result;
    result["instruction_set"] = plan.instruction_set;
    result["lanes"] = plan.lanes;
    result["spread"] = plan.spread;
    result["blocked"] = plan.blocked;
    result["cost_lanes"] = plan.cost_lanes;
    result["cost_blocks"] = plan.cost_blocks;
    result["blocked_passes"] = plan.blocked_passes;
    result["blocked_turns"] = plan.blocked_turns;
    result["blocked_tables"] = plan.blocked_tables;
    result["blocked_matrices"] = plan.blocked_matrices;
    result["seen"] = plan.seen;
    result["qubits"] = plan.qubits;
    result["instructions"] = plan.instructions;
    result["unseen"] = plan.unseen;
    result["absorbed"] = plan.absorbed;
    result["operations"] = plan.operations;
    result["pruned"] = plan.pruned;
    result["product"] = plan.product;
    result["rotations"] = plan.rotations;
    result["tables"] = plan.tables;
    result["rotation_passes"] = plan.rotation_passes;
    result["dense"] = plan.dense;
    result["bytes_run"] = plan.bytes_run;
    result["bytes_vjp"] = plan.bytes_vjp;
    return result;
}

std::uint64_t bytes_needed(const NativeProgram& self, std::int64_t batch, int threads, bool backward, bool single) {
    return heeding_signals([&]() -> std::uint64_t {
        batch = countable(batch);
        return single ? self.simulator.bytes<float>(batch, threads, backward) : self.simulator.bytes<double>(batch, threads, backward);
    });
}

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const char* name : {"avx512", "avx2", "baseline"})
        if (find_instruction_set(name)) names.push_back(name);
    return names;
}

}  // namespace

void bind_direct(nb::class_<NativeProgram>& program);
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
    nb::class_<NativeProgram> program(m, "Program");
    program
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
        .def("bytes_needed", bytes_needed, "batch"_a, "threads"_a, "backward"_a, "single"_a = false,
             "Bytes that a call allocates beside the values that it returns.")
        .def("second", second, "The program compiled for derivatives along a direction.")
        .def_prop_ro("num_qubits", [](const NativeProgram& self) { return self.simulator.program().num_qubits; },
                     "Bits of the row indices of the states that are held.")
        .def("plan", [](const NativeProgram& self, std::int64_t batch) {
            return heeding_signals([&] { return describe(self, countable(batch)); });
        }, "batch"_a = 1, "What the core made of the program, for a batch of that size.");
    bind_direct(program);
    bind_array_functions(m);
    bind_gram(m);
    bind_jax(m);
    m.def("instruction_sets", instruction_sets, "The instruction sets that this machine can run, best first.");
}
