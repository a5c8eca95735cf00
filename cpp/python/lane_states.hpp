// States as Python holds them: opaque panels, made by a program or from an array of amplitudes.
#pragma once
#include <variant>

#include "base/panels.hpp"
#include "python/gil.hpp"
#include "simd/targets.hpp"

namespace ketgrad {

struct LaneStates {
    std::variant<Panels<double>, Panels<float>> panels;
    const InstructionSet* instruction_set;
    nb::object frame;  // the program whose rows these are; none where the order is that of the basis
};

}  // namespace ketgrad
