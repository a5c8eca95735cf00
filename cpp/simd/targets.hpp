// The instruction sets that kernels are compiled for, and the table of each engine's kernels for one of them.
#pragma once

namespace ketgrad {

enum class Target { baseline, avx2, avx512 };

struct InstructionSet {
    const char* name;
    Target target;
};

/// The best instruction set of this machine, or the one called `name` ("" means best); nullptr if it cannot run here.
const InstructionSet* find_instruction_set(const char* name);

/// Defined where the kernels of an engine are compiled for that target (KETGRAD_TARGET).
template <class Kernels, Target target>
const Kernels& compiled_kernels();

/// The kernels of an engine, LaneKernels<double> or another of these tables, for an instruction set.
template <class Kernels>
const Kernels& kernels_of([[maybe_unused]] const InstructionSet& set) {
#ifdef KETGRAD_X86_TARGETS
    if (set.target == Target::avx512) return compiled_kernels<Kernels, Target::avx512>();
    if (set.target == Target::avx2) return compiled_kernels<Kernels, Target::avx2>();
#endif
    return compiled_kernels<Kernels, Target::baseline>();
}

}  // namespace ketgrad
