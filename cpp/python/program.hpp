// The class `Program` of the module: a Simulator, and what the short way into it needs.
#pragma once
#include <nanobind/nanobind.h>

#include <cstdint>

#include "python/gil.hpp"
#include "simulator/simulator.hpp"

namespace ketgrad {

struct NativeProgram {
    Simulator simulator;
    double quick_bounds[2] = {0, 0};  // in double and single precision: see direct.cpp
    int default_threads = 1;
    std::int64_t free_bytes = 0;      // a direct call needs no more: beyond, memory is asked for first
};

/// The program inside a Python object; throws when it is something else. Needs the GIL.
inline const Simulator& simulator_inside(nanobind::handle object) { return nanobind::cast<const NativeProgram&>(object).simulator; }

/// Fills the bounds: sums of squares of weights, or inputs, below which no angle can lose its place on the circle and no value
/// can overflow.
void set_quick_bounds(NativeProgram& program);

template <class Real>
void run_released(const Simulator& simulator, const Arrays<Real>& arrays, int threads) {
    without_gil([&](Interrupt& interrupt) { return simulator.run(arrays, threads, interrupt); });
}

}  // namespace ketgrad
