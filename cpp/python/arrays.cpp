// Functions of arrays alone: draws from a distribution.
#include <cmath>

#include "python/gil.hpp"
#include "python/require.hpp"
#include "simulator/draw.hpp"

namespace ketgrad {
namespace {

using Numbers = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

nb::object draw_from(const Numbers& probabilities, const Numbers& uniforms) {
    require(probabilities.size() > 0, "there must be at least one outcome");
    double total = 0;
    for (std::size_t i = 0; i < probabilities.size(); ++i) {
        require(probabilities.data()[i] >= 0, "probabilities cannot be negative");  // nor no numbers
        total += probabilities.data()[i];
    }
    require(total > 0 && std::isfinite(total), "the sum of the probabilities must be positive and finite");
    Buffer<std::uint64_t> outcomes = allocate<std::uint64_t>(uniforms.size());
    without_gil([&](Interrupt& interrupt) {
        return draw(probabilities.data(), std::int64_t(probabilities.size()), uniforms.data(), std::int64_t(uniforms.size()),
                    outcomes.get(), interrupt);
    });
    const std::size_t count = uniforms.size();
    std::uint64_t* values = outcomes.release();
    nb::capsule owner(values, free_memory);
    return nb::cast(nb::ndarray<nb::numpy, std::uint64_t, nb::ndim<1>>(values, {count}, owner));
}

}  // namespace

void bind_array_functions(nb::module_& m) {
    using namespace nb::literals;
    m.def("draw", draw_from, "probabilities"_a.noconvert(), "uniforms"_a.noconvert(),
          "For each uniform number in [0, 1) the first outcome whose cumulated probability exceeds it.");
}

}  // namespace ketgrad
