// Products of states: LaneStates from arrays, and the Gram matrices and overlaps of two of them.

#include <nanobind/stl/string.h>

#include "gram/gram.hpp"
#include "python/lane_states.hpp"
#include "python/require.hpp"

namespace ketgrad {
namespace {

using States = nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<nb::ndim<2>, nb::c_contig, nb::device::cpu>;

template <class Real>
Panels<Real> pack_array(const InstructionSet& set, const States& states, int threads) {
    const GramKernels<Real>& kernels = kernels_of<GramKernels<Real>>(set);
    const std::int64_t count = std::int64_t(states.shape(0)), length = std::int64_t(states.shape(1));
    Panels<Real> panels = allocate_panels<Real>(count, length, kernels.lanes);
    without_gil([&](Interrupt& interrupt) {
        return pack(kernels, static_cast<const std::complex<Real>*>(states.data()), panels, threads, interrupt);
    });
    return panels;
}

void construct(LaneStates* self, const States& states, int threads, const std::string& name) {
    const InstructionSet* set = find_instruction_set(name.c_str());
    require(set, "this machine cannot run that instruction set");
    if (states.dtype() == nb::dtype<std::complex<float>>()) {
        new (self) LaneStates{pack_array<float>(*set, states, threads), set, nb::none()};
        return;
    }
    require(states.dtype() == nb::dtype<std::complex<double>>(), "states must be complex64 or complex128");
    new (self) LaneStates{pack_array<double>(*set, states, threads), set, nb::none()};
}

template <class Real>
void multiply_as(const LaneStates& rows, const LaneStates& columns, const Matrix& result, std::int64_t first_row,
                 std::int64_t first_column, bool mirrors, int threads) {
    PanelProduct<Real> product;
    product.rows = &std::get<Panels<Real>>(rows.panels);
    product.columns = &std::get<Panels<Real>>(columns.panels);
    product.is_complex = result.dtype() == nb::dtype<std::complex<Real>>();
    require(product.is_complex || result.dtype() == nb::dtype<Real>(), "the result must have the precision of the states");
    product.mirrors = mirrors;
    const std::int64_t height = std::int64_t(result.shape(0)), width = std::int64_t(result.shape(1));
    const std::int64_t rows_left = height - product.rows->count, columns_left = width - product.columns->count;
    require(0 <= first_row && first_row <= rows_left && 0 <= first_column && first_column <= columns_left,
            "the result is too small");
    const std::int64_t end_row = first_row + product.rows->count, end_column = first_column + product.columns->count;
    require(!product.is_mirrored() || (end_column <= height && end_row <= width), "the result is too small for the mirror image");
    product.result = static_cast<Real*>(result.data());
    product.first_row = first_row;
    product.first_column = first_column;
    product.stride = width;
    without_gil([&](Interrupt& interrupt) {
        return multiply(kernels_of<GramKernels<Real>>(*rows.instruction_set), product, threads, interrupt);
    });
}

void multiply_states(const LaneStates& rows, const LaneStates& columns, const Matrix& result, std::int64_t first_row,
                     std::int64_t first_column, bool mirrors, int threads) {
    require(rows.panels.index() == columns.panels.index() && rows.instruction_set == columns.instruction_set,
            "the states differ in their precision or instruction set");
    require(rows.frame.is(columns.frame), "the states come from two programs, so their amplitudes differ in order");
    const auto length = [](const LaneStates& states) {
        return std::visit([](const auto& panels) { return panels.length; }, states.panels);
    };
    require(length(rows) == length(columns), "the states differ in their length");
    if (rows.panels.index() == 0) return multiply_as<double>(rows, columns, result, first_row, first_column, mirrors, threads);
    multiply_as<float>(rows, columns, result, first_row, first_column, mirrors, threads);
}

}  // namespace

void bind_gram(nb::module_& m) {
    using namespace nb::literals;
    nb::class_<LaneStates>(m, "LaneStates")
        .def("__init__", construct, "states"_a.noconvert(), "threads"_a = 1, "instruction_set"_a = "",
             "States (n, length), complex64 or complex128, kept as the panels of a matrix product.")
        .def_prop_ro("nbytes", [](const LaneStates& self) {
            return std::visit([](const auto& panels) {
                return panel_numbers(panels.count, panels.length, panels.lanes) * std::int64_t(sizeof(panels.values[0]));
            }, self.panels);
        });
    m.def("multiply_states", multiply_states, "rows"_a, "columns"_a, "result"_a.noconvert(), "first_row"_a = 0,
          "first_column"_a = 0, "mirrors"_a = false, "threads"_a = 1,
          "Writes |<a_i|b_j>|^2, at most 1, into a real result, or <a_i|b_j> into a complex one, from (first_row, first_column)\n"
          "on; mirrors: the conjugate to the transposed place as well. One object twice: half the work, exactly symmetric.");
}

}  // namespace ketgrad
