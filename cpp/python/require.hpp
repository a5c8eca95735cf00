// Arguments from Python that cannot be.
#pragma once
#include <stdexcept>

namespace ketgrad {

/// Throws std::invalid_argument with the sentence, which Python sees as a ValueError.
inline void require(bool condition, const char* sentence) {
    if (!condition) throw std::invalid_argument(sentence);
}

}  // namespace ketgrad
