#include "passes/compile.hpp"

#include "passes/collect.hpp"
#include "passes/prune.hpp"
#include "passes/translate.hpp"

namespace ketgrad {

Schedule compile(Program program, const Passes& passes) {
    Schedule schedule = translate(std::move(program), passes);
    if (passes.prune) prune(schedule);
    collect(schedule);
    return schedule;
}

}  // namespace ketgrad
