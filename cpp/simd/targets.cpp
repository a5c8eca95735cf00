#include <cstring>

#include "lanes/kernels.hpp"

extern "C" {
const ketgrad::Kernels<double>* ketgrad_baseline_double();
const ketgrad::Kernels<float>* ketgrad_baseline_float();
#if defined(__x86_64__) && !defined(KETGRAD_BASELINE_ONLY)
const ketgrad::Kernels<double>* ketgrad_avx2_double();
const ketgrad::Kernels<float>* ketgrad_avx2_float();
const ketgrad::Kernels<double>* ketgrad_avx512_double();
const ketgrad::Kernels<float>* ketgrad_avx512_float();
#endif
}

namespace ketgrad {
namespace {

struct Candidate {
    bool runs_here;
    InstructionSet set;
};

#if defined(__x86_64__) && !defined(KETGRAD_BASELINE_ONLY)
bool runs_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool runs_avx512() {
#ifdef KETGRAD_TEST_WIDE
    return runs_avx2();
#endif
    return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
#endif

}  // namespace

const InstructionSet* find_instruction_set(const char* name) {
    static const Candidate candidates[] = {
#if defined(__x86_64__) && !defined(KETGRAD_BASELINE_ONLY)
        {runs_avx512(), {"avx512", ketgrad_avx512_double(), ketgrad_avx512_float()}},
        {runs_avx2(), {"avx2", ketgrad_avx2_double(), ketgrad_avx2_float()}},
#endif
        {true, {"baseline", ketgrad_baseline_double(), ketgrad_baseline_float()}},
    };
    for (const Candidate& candidate : candidates)
        if (candidate.runs_here && (*name == 0 || std::strcmp(name, candidate.set.name) == 0)) return &candidate.set;
    return nullptr;
}

}  // namespace ketgrad
