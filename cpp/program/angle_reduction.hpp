// Angles of any size, brought back to where sines and cosines are exact.
#pragma once
#include <cmath>
#include <limits>
#include <numbers>

namespace ketgrad {

/// The angle less a multiple of 4 pi, after which every rotation is what it was: to the last bit up to 2^53. Beyond, where
/// floating-point numbers stand more than 1 rad apart, it is no number, and so is every value that it has a part in.
inline double within_a_turn(double angle) {
    constexpr double turn = 4 * std::numbers::pi, rest = 4 * 1.2246467991473532e-16;  // 4 pi = turn + rest
    if (!(std::abs(angle) > turn)) return angle;
    if (std::abs(angle) > 0x1p53) return std::numeric_limits<double>::quiet_NaN();
    const double count = std::round(angle / turn);
    return std::fma(-count, rest, std::fma(-count, turn, angle));
}

}  // namespace ketgrad
