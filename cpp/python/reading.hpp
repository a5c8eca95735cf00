// Flat arrays of a program, as Python hands them over.
#pragma once
#include <nanobind/ndarray.h>

#include <complex>
#include <cstdint>

#include "program/program.hpp"
#include "python/require.hpp"

namespace ketgrad {

namespace nb = nanobind;

template <class Value>
using Array1 = nb::ndarray<const Value, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

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

/// The instructions that the arrays spell; throws std::invalid_argument when they do not fit each other.
void read_instructions(Program& program, const ProgramArrays& arrays);

/// Observables as sums of weighted words, one segment of the arrays for each.
struct ObservableArrays {
    Array1<std::int64_t> start;
    Array1<std::uint64_t> x, z;
    Array1<double> coefficient;
};
void read_observables(Program& program, const ObservableArrays& arrays);
void read_measured(Program& program, const Array1<std::int64_t>& measured);

}  // namespace ketgrad
