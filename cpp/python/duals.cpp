// Derivatives along a direction, for Python: `Program.second()` is the program compiled for the engine for dual states.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <complex>
#include <optional>

#include "python/gil.hpp"
#include "python/require.hpp"
#include "simulator/dual_simulator.hpp"

namespace ketgrad {
namespace {

using Real2 = nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Direction = std::optional<Real2>;

/// Checks that an optional array has a shape and type, and gives its values.
template <class Real>
const Real* read(const Direction& array, std::int64_t rows, std::int64_t columns, nb::dlpack::dtype kind, const char* sentence) {
    if (!array) return nullptr;
    require(array->dtype() == kind && std::int64_t(array->shape(0)) == rows && std::int64_t(array->shape(1)) == columns, sentence);
    return static_cast<const Real*>(array->data());
}

template <class Real>
struct Results {
    const DualSimulator& program;
    std::int64_t batch, outputs;
    Buffer<Real> values, tangents, dweights, dinputs, hweights, hinputs;

    nb::object answers(Buffer<Real>& buffer) {
        if (program.program().question != Question::state) return owned(buffer, batch, outputs);
        Buffer<std::complex<Real>> states(reinterpret_cast<std::complex<Real>*>(buffer.release()));
        return owned(states, batch, outputs);
    }
};

template <class Real>
DualArrays<Real> bind_point(const DualSimulator& self, const Real2& weights, const Real2& inputs,
                               const Direction& weights_direction, const Direction& inputs_direction) {
    const Program& program = self.program();
    DualArrays<Real> arrays;
    Arrays<Real>& point = arrays.point;
    point.weight_rows = std::int64_t(weights.shape(0));
    point.input_rows = std::int64_t(inputs.shape(0));
    point.batch = point.weight_rows == 1 ? point.input_rows : point.weight_rows;
    require(point.input_rows == 1 || point.input_rows == point.batch, "weights and inputs differ in their batch");
    const auto kind = nb::dtype<Real>();
    const char *of_weights = "weights and their direction must have the width of the program and one type",
               *of_inputs = "inputs and their direction must have the width of the program and one type";
    point.weights = read<Real>(weights, point.weight_rows, program.num_weights, kind, of_weights);
    point.inputs = read<Real>(inputs, point.input_rows, program.num_inputs, kind, of_inputs);
    arrays.weights_direction = read<Real>(weights_direction, point.weight_rows, program.num_weights, kind, of_weights);
    arrays.inputs_direction = read<Real>(inputs_direction, point.input_rows, program.num_inputs, kind, of_inputs);
    return arrays;
}

template <class Real>
Results<Real> allocate_answers(const DualSimulator& self, DualArrays<Real>& arrays) {
    const std::int64_t outputs = self.num_outputs();
    const std::size_t count = std::size_t(arrays.point.batch * outputs) * (self.program().question == Question::state ? 2 : 1);
    Results<Real> results{self, arrays.point.batch, outputs, allocate<Real>(count), allocate<Real>(count), {}, {}, {}, {}};
    arrays.point.values = results.values.get();
    arrays.tangents = results.tangents.get();
    return results;
}

template <class Real>
void run_released(const DualSimulator& self, const DualArrays<Real>& arrays, int threads) {
    without_gil([&](Interrupt& interrupt) {
        return self.run(arrays, threads, interrupt);
    });
}

template <class Real>
nb::object jvp_as(const DualSimulator& self, const Real2& weights, const Real2& inputs, const Direction& weights_direction,
                  const Direction& inputs_direction, int threads) {
    DualArrays<Real> arrays = bind_point<Real>(self, weights, inputs, weights_direction, inputs_direction);
    Results<Real> results = allocate_answers(self, arrays);
    run_released(self, arrays, threads);
    return nb::make_tuple(results.answers(results.values), results.answers(results.tangents));
}

template <class Real>
nb::object hvp_as(const DualSimulator& self, const Real2& weights, const Real2& inputs, const Real2& cotangent,
                  const Direction& weights_direction, const Direction& inputs_direction, const Direction& cotangent_direction,
                  int threads) {
    DualArrays<Real> arrays = bind_point<Real>(self, weights, inputs, weights_direction, inputs_direction);
    Results<Real> results = allocate_answers(self, arrays);
    const auto kind = self.program().question == Question::state ? nb::dtype<std::complex<Real>>() : nb::dtype<Real>();
    const char* rule = "the cotangent and its direction must have the shape and type of the values";
    arrays.point.cotangent = read<Real>(cotangent, results.batch, results.outputs, kind, rule);
    arrays.cotangent_direction = read<Real>(cotangent_direction, results.batch, results.outputs, kind, rule);
    for (auto [buffer, place, size] : {std::tuple{&results.dweights, &arrays.point.dweights, weights.size()},
                                       {&results.hweights, &arrays.hweights, weights.size()},
                                       {&results.dinputs, &arrays.point.dinputs, inputs.size()},
                                       {&results.hinputs, &arrays.hinputs, inputs.size()}}) {
        *buffer = allocate<Real>(size);
        *place = buffer->get();
    }
    run_released(self, arrays, threads);
    const auto like = [](Buffer<Real>& buffer, const Real2& array) { return owned(buffer, array.shape(0), array.shape(1)); };
    return nb::make_tuple(results.answers(results.values), results.answers(results.tangents), like(results.dweights, weights),
                          like(results.dinputs, inputs), like(results.hweights, weights), like(results.hinputs, inputs));
}

nb::object jvp(const DualSimulator& self, const Real2& weights, const Real2& inputs, const Direction& weights_direction,
               const Direction& inputs_direction, int threads) {
    const bool single = weights.dtype() == nb::dtype<float>();
    return (single ? jvp_as<float> : jvp_as<double>)(self, weights, inputs, weights_direction, inputs_direction, threads);
}

nb::object hvp(const DualSimulator& self, const Real2& weights, const Real2& inputs, const Real2& cotangent,
               const Direction& weights_direction, const Direction& inputs_direction, const Direction& cotangent_direction,
               int threads) {
    const bool single = weights.dtype() == nb::dtype<float>();
    return (single ? hvp_as<float> : hvp_as<double>)(self, weights, inputs, cotangent, weights_direction, inputs_direction,
                                                     cotangent_direction, threads);
}

}  // namespace

void bind_second(nb::module_& m) {
    using namespace nb::literals;
    nb::class_<DualSimulator>(m, "DualProgram")
        .def("jvp", jvp, "weights"_a.noconvert(), "inputs"_a.noconvert(), "weights_direction"_a.noconvert().none(),
             "inputs_direction"_a.noconvert().none(), "threads"_a, "(values, tangents) along the directions; None for zero.")
        .def("hvp", hvp, "weights"_a.noconvert(), "inputs"_a.noconvert(), "cotangent"_a.noconvert(),
             "weights_direction"_a.noconvert().none(), "inputs_direction"_a.noconvert().none(),
             "cotangent_direction"_a.noconvert().none(), "threads"_a,
             "(values, tangents, dweights, dinputs, hweights, hinputs): the vjp and its derivative along the directions.")
        .def("bytes_needed", [](const DualSimulator& self, std::int64_t batch, int threads, bool backward) {
            return self.bytes(countable(batch), threads, backward);
        }, "batch"_a, "threads"_a, "backward"_a, "Bytes of states that a call holds.");
}

}  // namespace ketgrad
