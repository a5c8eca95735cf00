// Claims about the core that need no Python: a program calls `holds` for each and returns `verdict()`.
#pragma once
#include <complex>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace ketgrad::tests {

inline int claims = 0, failures = 0;

/// Counts a claim, and prints it where it fails.
inline void holds(bool claim, const std::string& sentence) {
    ++claims;
    if (claim) return;
    ++failures;
    std::printf("FAILED: %s\n", sentence.c_str());
}

/// The exit code of the program.
inline int verdict(const char* name) {
    std::printf("%s: %d claims, %d failed\n", name, claims, failures);
    return failures ? 1 : 0;
}

/// Numbers that are the same in every run and on every platform.
class Numbers {
    std::mt19937_64 bits;

public:
    explicit Numbers(unsigned seed) : bits(seed) {}
    std::uint64_t below(std::uint64_t bound) { return bits() % bound; }
    double between(double low, double high) { return low + (high - low) * double(bits() >> 11) * 0x1p-53; }
};

using Complex = std::complex<double>;
using Vector = std::vector<Complex>;

inline double distance(const Vector& a, const Vector& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::norm(a[i] - b[i]);
    return std::sqrt(sum);
}

}  // namespace ketgrad::tests
