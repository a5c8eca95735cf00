// A compiled program for callers that come without Python.
#pragma once
#include <nanobind/nanobind.h>

#include "base/arrays.hpp"

namespace ketgrad {

struct NativeProgram;  // module.cpp

struct ProgramSizes {
    std::int64_t weights = 0, inputs = 0, outputs = 0;
    bool is_state = false;
};

ProgramSizes sizes_of(const NativeProgram& program);

/// The program inside a Python object; throws when it is something else. Needs the GIL.
const NativeProgram& program_inside(nanobind::handle object);

/// Values, or with a cotangent values and gradients; nobody can interrupt it. Throws std::bad_alloc.
template <class Real>
void call_program(const NativeProgram& program, const Arrays<Real>& arrays, int threads);

}  // namespace ketgrad
