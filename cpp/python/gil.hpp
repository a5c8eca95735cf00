// Between Python and the engine: results that own their memory, work without the GIL.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <thread>

#include "base/buffer.hpp"
#include "base/interrupt.hpp"
#include "base/patience.hpp"

namespace ketgrad {

namespace nb = nanobind;

/// A number of samples as it may be asked about: none has more, and sizes computed from it do not overflow.
inline std::int64_t countable(std::int64_t batch) { return std::clamp<std::int64_t>(batch, 0, std::int64_t(1) << 40); }

template <class Value>
nb::object owned(Buffer<Value>& buffer, std::size_t rows, std::size_t columns) {
    Value* values = buffer.release();
    nb::capsule owner(values, free_memory);
    return nb::cast(nb::ndarray<nb::numpy, Value, nb::ndim<2>>(values, {rows, columns}, owner));
}

/// A daemon thread that wakes up while the interpreter ends must not take the GIL: Python would unwind its stack by force,
/// through frames of C++. It sleeps until the process is gone, as Python 3.14 does.
struct SleepsIfUnwound {
    bool arrived = false;
    ~SleepsIfUnwound() {
        while (!arrived) std::this_thread::sleep_for(std::chrono::hours(1));
    }
};

inline void take_gil(PyThreadState* state) {
    SleepsIfUnwound guard;
    PyEval_RestoreThread(state);
    guard.arrived = true;
}

/// work(interrupt) runs without the GIL and says false when it was interrupted; the interrupt asks Python for pending signals, on
/// this thread only. A call that was interrupted ends with Python's error.
template <class Work>
void without_gil(Work work) {
    PyThreadState* state = PyEval_SaveThread();
    auto last = std::chrono::steady_clock::now();
    Interrupt interrupt;
    interrupt.poll = [&state, &last] {
        if (std::chrono::steady_clock::now() - last < std::chrono::milliseconds(50)) return false;
        take_gil(state);
        const bool stop = PyErr_CheckSignals() != 0;
        state = PyEval_SaveThread();
        last = std::chrono::steady_clock::now();
        return stop;
    };
    bool finished = false;
    std::exception_ptr error;
    try {
        finished = work(interrupt);
    } catch (const CompilationStopped&) {
        finished = false;
    } catch (const std::exception&) {
        error = std::current_exception();
    }
    take_gil(state);
    if (error) std::rethrow_exception(error);
    if (!finished) throw nb::python_error();
}

}  // namespace ketgrad
