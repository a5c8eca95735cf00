// Draws from a distribution.
#pragma once
#include <cstdint>

#include "base/interrupt.hpp"

namespace ketgrad {

/// outcomes[s] = the first i with cumulated probability above uniforms[s] * total; a table of starting points makes the
/// search short. False when the call was interrupted.
bool draw(const double* probabilities, std::int64_t count, const double* uniforms, std::int64_t shots, std::uint64_t* outcomes,
          Interrupt& interrupt);

}  // namespace ketgrad
