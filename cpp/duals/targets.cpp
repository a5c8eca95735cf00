#include <cstring>

#include "duals/kernels.hpp"

extern "C" {
const ketgrad::DualKernels<double>* ketgrad_dual_baseline_double();
const ketgrad::DualKernels<float>* ketgrad_dual_baseline_float();
#if defined(__x86_64__) && !defined(KETGRAD_BASELINE_ONLY)
const ketgrad::DualKernels<double>* ketgrad_dual_avx2_double();
const ketgrad::DualKernels<float>* ketgrad_dual_avx2_float();
const ketgrad::DualKernels<double>* ketgrad_dual_avx512_double();
const ketgrad::DualKernels<float>* ketgrad_dual_avx512_float();
#endif
}

namespace ketgrad {

template <>
const DualKernels<double>& find_dual_kernels<double>(const char* name) {
#if defined(__x86_64__) && !defined(KETGRAD_BASELINE_ONLY)
    if (!std::strcmp(name, "avx512")) return *ketgrad_dual_avx512_double();
    if (!std::strcmp(name, "avx2")) return *ketgrad_dual_avx2_double();
#endif
    (void)name;
    return *ketgrad_dual_baseline_double();
}

template <>
const DualKernels<float>& find_dual_kernels<float>(const char* name) {
#if defined(__x86_64__) && !defined(KETGRAD_BASELINE_ONLY)
    if (!std::strcmp(name, "avx512")) return *ketgrad_dual_avx512_float();
    if (!std::strcmp(name, "avx2")) return *ketgrad_dual_avx2_float();
#endif
    (void)name;
    return *ketgrad_dual_baseline_float();
}

}  // namespace ketgrad
