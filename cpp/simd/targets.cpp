#include "simd/targets.hpp"

#include <cstring>

namespace ketgrad {
namespace {

struct Candidate {
    bool runs_here;
    InstructionSet set;
};

#ifdef KETGRAD_X86_TARGETS
bool runs_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool runs_avx512() {
#ifdef KETGRAD_TEST_WIDE
    return runs_avx2();
#else
    return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#endif
}
#endif

}  // namespace

const InstructionSet* find_instruction_set(const char* name) {
    static const Candidate candidates[] = {
#ifdef KETGRAD_X86_TARGETS
        {runs_avx512(), {"avx512", Target::avx512}},
        {runs_avx2(), {"avx2", Target::avx2}},
#endif
        {true, {"baseline", Target::baseline}},
    };
    for (const Candidate& candidate : candidates)
        if (candidate.runs_here && (*name == 0 || std::strcmp(name, candidate.set.name) == 0)) return &candidate.set;
    return nullptr;
}

}  // namespace ketgrad
