// Plain NumPy arrays taken as they are, and results that NumPy owns: the short way into the core for small calls.
// Whatever is not plain (a list, another type or layout, a number that is not finite, an angle that deserves a word) is
// not for here: the caller is told so, and takes the way that converts, warns and refuses.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "python/gil.hpp"

namespace ketgrad {

enum class Scalar { none, float32, float64, complex64, complex128 };

inline Scalar scalar_of(const char* format) {
    if (!format) return Scalar::none;
    if (std::strcmp(format, "d") == 0) return Scalar::float64;
    if (std::strcmp(format, "f") == 0) return Scalar::float32;
    if (std::strcmp(format, "Zd") == 0) return Scalar::complex128;
    return std::strcmp(format, "Zf") == 0 ? Scalar::complex64 : Scalar::none;
}

/// What the core takes from NumPy; looked up once, kept for the life of the process.
struct Numpy {
    PyObject *array_type, *empty, *dtypes[5];
};

inline const Numpy& numpy() {
    static const Numpy found = [] {
        const nb::module_ module = nb::module_::import_("numpy");
        const auto dtype = [&](const char* name) { return module.attr("dtype")(name).release().ptr(); };
        return Numpy{nb::object(module.attr("ndarray")).release().ptr(), nb::object(module.attr("empty")).release().ptr(),
                     {nullptr, dtype("float32"), dtype("float64"), dtype("complex64"), dtype("complex128")}};
    }();
    return found;
}

/// The numbers of a contiguous array of one or two axes; `scalar` is none for anything else.
class PlainArray {
    Py_buffer view{};

public:
    Scalar scalar = Scalar::none;
    int axes = 1;
    std::int64_t rows = 1, columns = 0;

    explicit PlainArray(nb::handle object) {
        if (reinterpret_cast<PyObject*>(Py_TYPE(object.ptr())) != numpy().array_type) return;
        if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) != 0) {
            PyErr_Clear();
            return;
        }
        if (view.ndim != 1 && view.ndim != 2) return;
        scalar = scalar_of(view.format);
        axes = view.ndim;
        rows = axes == 2 ? view.shape[0] : 1;
        columns = view.shape[axes - 1];
    }
    PlainArray(const PlainArray&) = delete;
    PlainArray& operator=(const PlainArray&) = delete;
    ~PlainArray() {
        if (view.obj) PyBuffer_Release(&view);
    }

    template <class Real>
    const Real* data() const {
        return static_cast<const Real*>(view.buf);
    }
};

/// Sum of squares of `count` numbers: below a bound there is no NaN, no infinity and no large one among them.
template <class Real>
double sum_of_squares(const Real* values, std::int64_t count) {
    double sums[4] = {};
    std::int64_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int l = 0; l < 4; ++l) sums[l] += double(values[i + l]) * double(values[i + l]);
    for (; i < count; ++i) sums[0] += double(values[i]) * double(values[i]);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// A new array of NumPy's, of one axis or, if `rows` is not negative, of two; `data` is where its numbers go.
template <class Value>
nb::object new_array(Scalar scalar, std::int64_t rows, std::int64_t columns, Value*& data) {
    const nb::tuple shape = rows < 0 ? nb::make_tuple(columns) : nb::make_tuple(rows, columns);
    nb::object array = nb::borrow(numpy().empty)(shape, nb::handle(numpy().dtypes[int(scalar)]));
    Py_buffer view;
    if (PyObject_GetBuffer(array.ptr(), &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) != 0) throw nb::python_error();
    data = static_cast<Value*>(view.buf);
    PyBuffer_Release(&view);  // the array stays, and so do its numbers
    return array;
}

}  // namespace ketgrad
