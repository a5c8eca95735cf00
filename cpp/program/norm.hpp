// The norm of a prepared vector, in whatever units its numbers come.
#pragma once
#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>

namespace ketgrad {

/// sqrt(squares), where squares is the sum of |value(j)|^2; computed in units of the largest number where squares of numbers
/// have become infinite, or zero.
template <class Value>
double norm_of(std::size_t count, double squares, Value value) {
    if (0x1p-900 < squares && squares < 0x1p900) return std::sqrt(squares);
    double largest = 0, sum = 0;
    for (std::size_t j = 0; j < count; ++j) {
        const std::complex<double> v = value(j);
        largest = std::max({largest, std::abs(v.real()), std::abs(v.imag())});
    }
    if (!(largest > 0)) return 0;
    for (std::size_t j = 0; j < count; ++j) {
        const std::complex<double> v = value(j);
        const double re = v.real() / largest, im = v.imag() / largest;
        sum += re * re + im * im;
    }
    return largest * std::sqrt(sum);
}

}  // namespace ketgrad
