#include "simulator/draw.hpp"

#include <algorithm>

#include "base/buffer.hpp"

namespace ketgrad {
namespace {

constexpr std::int64_t draws_between_polls = std::int64_t(1) << 20;

}  // namespace

bool draw(const double* probabilities, std::int64_t count, const double* uniforms, std::int64_t shots, std::uint64_t* outcomes,
          Interrupt& interrupt) {
    while (count > 1 && probabilities[count - 1] == 0) --count;  // what rounding would push past the end
    Buffer<double> cumulated = allocate<double>(count);
    double total = 0;
    for (std::int64_t i = 0; i < count; ++i) cumulated[i] = total += probabilities[i];
    std::int64_t guides = 1;
    while (guides < count / 2 && guides < (std::int64_t(1) << 20)) guides *= 2;
    Buffer<std::uint32_t> guide = allocate<std::uint32_t>(guides);
    std::int64_t i = 0;
    for (std::int64_t g = 0; g < guides; ++g) {
        const double bound = double(g) / double(guides) * total;
        while (i < count - 1 && cumulated[i] <= bound) ++i;
        guide[g] = std::uint32_t(std::min<std::int64_t>(i, UINT32_MAX));
    }
    const auto start_of = [&](std::int64_t s) {
        const double place = uniforms[s] * double(guides);  // anything, where the caller passed no number in [0, 1)
        return std::int64_t(guide[place > 0 ? std::int64_t(std::min(place, double(guides - 1))) : 0]);
    };
    constexpr std::int64_t ahead = 16;  // the tables are larger than the cache: ask for the next entries early
    for (std::int64_t s = 0; s < shots; ++s) {
        if (s % draws_between_polls == 0 && interrupt.poll && interrupt.poll()) return false;
        if (s + ahead < shots) __builtin_prefetch(&cumulated[start_of(s + ahead)]);
        const double bound = uniforms[s] * total;
        std::int64_t outcome = start_of(s);
        while (outcome < count - 1 && cumulated[outcome] <= bound) ++outcome;
        outcomes[s] = std::uint64_t(outcome);
    }
    return true;
}

}  // namespace ketgrad
