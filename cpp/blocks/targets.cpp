#include <cstring>

#include "blocks/kernels.hpp"

extern "C" {
const ketgrad::BlockedKernels<double>* ketgrad_blocked_baseline_double();
const ketgrad::BlockedKernels<float>* ketgrad_blocked_baseline_float();
#if defined(__x86_64__) && !defined(KETGRAD_BASELINE_ONLY)
const ketgrad::BlockedKernels<double>* ketgrad_blocked_avx2_double();
const ketgrad::BlockedKernels<float>* ketgrad_blocked_avx2_float();
const ketgrad::BlockedKernels<double>* ketgrad_blocked_avx512_double();
const ketgrad::BlockedKernels<float>* ketgrad_blocked_avx512_float();
#endif
}

namespace ketgrad {

template <>
const BlockedKernels<double>& find_blocked_kernels<double>(const char* name) {
#if defined(__x86_64__) && !defined(KETGRAD_BASELINE_ONLY)
    if (!std::strcmp(name, "avx512")) return *ketgrad_blocked_avx512_double();
    if (!std::strcmp(name, "avx2")) return *ketgrad_blocked_avx2_double();
#endif
    (void)name;
    return *ketgrad_blocked_baseline_double();
}

template <>
const BlockedKernels<float>& find_blocked_kernels<float>(const char* name) {
#if defined(__x86_64__) && !defined(KETGRAD_BASELINE_ONLY)
    if (!std::strcmp(name, "avx512")) return *ketgrad_blocked_avx512_float();
    if (!std::strcmp(name, "avx2")) return *ketgrad_blocked_avx2_float();
#endif
    (void)name;
    return *ketgrad_blocked_baseline_float();
}

}  // namespace ketgrad
