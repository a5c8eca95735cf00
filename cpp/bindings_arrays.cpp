// Functions of arrays alone: Gram matrices of states, draws from a distribution.
#include <optional>
#include <stdexcept>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "gram.hpp"
#include "python_call.hpp"

namespace ketgrad {
namespace {

using States = nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void require(bool condition, const char* sentence) {
    if (!condition) throw std::invalid_argument(sentence);
}

template <class Real>
nb::object gram_as(const Kernels<Real>& kernels, const States& states, const std::optional<States>& others, int threads) {
    GramArrays<Real> arrays;
    arrays.states = static_cast<const std::complex<Real>*>(states.data());
    arrays.rows = arrays.columns = std::int64_t(states.shape(0));
    arrays.length = std::int64_t(states.shape(1));
    if (others) {
        require(others->dtype() == states.dtype() && others->shape(1) == states.shape(1),
                "states and others differ in their length or type");
        arrays.others = static_cast<const std::complex<Real>*>(others->data());
        arrays.columns = std::int64_t(others->shape(0));
    }
    Buffer<Real> result = allocate<Real>(std::size_t(arrays.rows) * std::size_t(arrays.columns));
    arrays.result = result.get();
    const bool finished = without_gil([&](const auto& poll) {
        Interrupt interrupt;
        interrupt.poll = poll;
        return gram(kernels, arrays, threads, interrupt);
    });
    if (!finished) throw nb::python_error();
    return owned(result, arrays.rows, arrays.columns);
}

nb::object gram_of(const States& states, const std::optional<States>& others, int threads, const std::string& name) {
    const InstructionSet* set = find_instruction_set(name.c_str());
    require(set, "this machine cannot run that instruction set");
    if (states.dtype() == nb::dtype<std::complex<float>>()) return gram_as<float>(*set->float32, states, others, threads);
    require(states.dtype() == nb::dtype<std::complex<double>>(), "states must be complex64 or complex128");
    return gram_as<double>(*set->float64, states, others, threads);
}

nb::object draw_from(const Numbers& probabilities, const Numbers& uniforms) {
    require(probabilities.size() > 0, "there must be at least one outcome");
    Buffer<std::uint64_t> outcomes = allocate<std::uint64_t>(uniforms.size());
    {
        const nb::gil_scoped_release release;
        draw(probabilities.data(), std::int64_t(probabilities.size()), uniforms.data(), std::int64_t(uniforms.size()),
             outcomes.get());
    }
    const std::size_t count = uniforms.size();
    std::uint64_t* values = outcomes.release();
    nb::capsule owner(values, [](void* memory) noexcept { std::free(memory); });
    return nb::cast(nb::ndarray<nb::numpy, std::uint64_t, nb::ndim<1>>(values, {count}, owner));
}

}  // namespace

void bind_array_functions(nb::module_& m) {
    using namespace nb::literals;
    m.def("gram", gram_of, "states"_a.noconvert(), "others"_a.noconvert() = nb::none(), "threads"_a = 1,
          "instruction_set"_a = "",
          "|<a_i|b_j>|^2, at most 1, of states (n, length) and others (m, length); symmetric when others is None.");
    m.def("draw", draw_from, "probabilities"_a.noconvert(), "uniforms"_a.noconvert(),
          "For each uniform number in [0, 1) the first outcome whose cumulated probability exceeds it.");
}

}  // namespace ketgrad
