// Calls with plain arrays, taken as they are: see direct.hpp.
#include "python/direct.hpp"

#include <algorithm>

#include "python/program.hpp"

namespace ketgrad {
namespace {

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
        const Program& program = self.simulator.program();
        const double bound = self.quick_bounds[sizeof(Real) == 8 ? 0 : 1];  // of a sum of squares
        if (!fits(weights, no_weights, program.num_weights, bound) || !fits(inputs, no_inputs, program.num_inputs, bound)) return false;
        if (weights.rows != inputs.rows && weights.rows != 1 && inputs.rows != 1) return false;
        arrays.weight_rows = weights.rows;
        arrays.input_rows = inputs.rows;
        arrays.batch = weights.rows == 1 ? inputs.rows : weights.rows;
        arrays.weights = weights.data<Real>();
        arrays.inputs = inputs.data<Real>();
        leads = weights.axes == 2 || inputs.axes == 2;
        const double state = 16 * std::ldexp(1.0, program.num_qubits), outputs = 16 * double(self.simulator.num_outputs());
        return arrays.batch > 0 && 24 * state * threads + double(arrays.batch) * (state + outputs) <= double(self.free_bytes);
    }
    nb::object new_values(const NativeProgram& self, Real*& values) const {
        const bool is_state = self.simulator.is_state();
        return new_array(is_state ? Scalar(int(real) + 2) : real, leads ? arrays.batch : -1, self.simulator.num_outputs(), values);
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
    run_released(self.simulator, direct.arrays, threads);
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
    const bool is_state = self.simulator.is_state();
    const std::int64_t outputs = self.simulator.num_outputs(), count = direct.arrays.batch * outputs * (is_state ? 2 : 1);
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
    const bool is_state = self.simulator.is_state();
    if (!arrays.cotangent || (!slope.is_none() && (!arrays.slope || is_state))) return nb::none();
    nb::object values = direct.new_values(self, arrays.values);
    nb::object dweights = new_array(direct.real, w.axes == 2 ? w.rows : -1, w.columns, arrays.dweights);
    nb::object dinputs = new_array(direct.real, x.axes == 2 ? x.rows : -1, x.columns, arrays.dinputs);
    run_released(self.simulator, arrays, threads);
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

}  // namespace

void set_quick_bounds(NativeProgram& program) {
    program.quick_bounds[0] = quick_bound(program.simulator.program(), 0x1p53, 0x1p500, 0x1p52);
    program.quick_bounds[1] = quick_bound(program.simulator.program(), 0x1p24, 0x1p60, 0x1p24);
}

void bind_direct(nb::class_<NativeProgram>& program) {
    using namespace nb::literals;
    program
        .def("call", call, "weights"_a.none(), "inputs"_a.none(), "threads"_a.none(), "single"_a,
             "As run, for plain arrays of one or two axes as a caller has them (or None), checked here: the values in the\n"
             "shape of the caller's. None if the call must take the long way. single: only float32 may be used.")
        .def("call_vjp", call_vjp, "weights"_a.none(), "inputs"_a.none(), "cotangent"_a.none(), "slope"_a.none(),
             "threads"_a.none(), "single"_a, "As vjp, in the way of call.");
}

}  // namespace ketgrad
