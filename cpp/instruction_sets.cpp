#include <cstring>

#include "kernels.hpp"

namespace ketgrad {
namespace {

#ifdef __x86_64__
bool runs_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
}

bool runs_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

}  // namespace

const InstructionSet* find_instruction_set(const char* name) {
    const bool any = std::strcmp(name, "") == 0;
#ifdef __x86_64__
    if ((any || std::strcmp(name, "avx512") == 0) && runs_avx512()) return ketgrad_kernels_avx512();
    if ((any || std::strcmp(name, "avx2") == 0) && runs_avx2()) return ketgrad_kernels_avx2();
#endif
    if (any || std::strcmp(name, "baseline") == 0) return ketgrad_kernels_baseline();
    return nullptr;
}

}  // namespace ketgrad
