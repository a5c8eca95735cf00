// Samples one by one, and sums over what different threads computed.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/arrays.hpp"
#include "program/program.hpp"

namespace ketgrad {

/// The arrays of one sample; where gradients go that all samples share is left to the caller. `outputs` reals for each sample.
template <class Real>
Arrays<Real> one_sample(const Program& program, const Arrays<Real>& all, std::int64_t sample, std::size_t outputs) {
    Arrays<Real> one = all;
    one.batch = one.weight_rows = one.input_rows = 1;
    const auto advance = [sample](auto*& array, std::size_t stride) { array = array ? array + sample * stride : array; };
    if (all.weight_rows > 1) advance(one.weights, program.num_weights), advance(one.dweights, program.num_weights);
    if (all.input_rows > 1) advance(one.inputs, program.num_inputs), advance(one.dinputs, program.num_inputs);
    for (const Real** array : {&one.cotangent, &one.slope}) advance(*array, outputs);
    advance(one.values, outputs);
    return one;
}

/// One number of each chunk, `stride` apart, added in the order of the chunks, whatever thread computed them.
template <class Number>
double sum_of_chunks(const Number* first, std::int64_t chunks, std::int64_t stride) {
    double sum = 0;
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) sum += first[chunk * stride];
    return sum;
}

}  // namespace ketgrad
