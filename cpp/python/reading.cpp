#include "python/reading.hpp"

#include "base/patience.hpp"
#include "program/row_sets.hpp"

namespace ketgrad {
namespace {

/// Element i of an array given as (start, values): values[start[i] .. start[i + 1]).
template <class Value>
std::vector<Value> segment(const Array1<std::int64_t>& start, const Array1<Value>& values, std::size_t i) {
    const std::int64_t first = start.data()[i], last = start.data()[i + 1];
    require(0 <= first && first <= last && last <= std::int64_t(values.size()), "a start array is out of range or order");
    return {values.data() + first, values.data() + last};
}

Instruction read_instruction(const ProgramArrays& arrays, std::size_t i) {
    Instruction instruction;
    require(arrays.kind.data()[i] <= 2, "an instruction has a kind that this executor does not know");
    instruction.kind = InstructionKind(arrays.kind.data()[i]);
    instruction.x = arrays.x.data()[i];
    instruction.z = arrays.z.data()[i];
    instruction.controls = arrays.controls.data()[i];
    const auto coefficient = segment(arrays.term_start, arrays.term_coefficient, i);
    const auto a = segment(arrays.term_start, arrays.term_a, i), b = segment(arrays.term_start, arrays.term_b, i);
    for (std::size_t t = 0; t < coefficient.size(); ++t) instruction.angle.push_back({coefficient[t], a[t], b[t]});
    for (std::int64_t target : segment(arrays.target_start, arrays.targets, i)) {
        require(0 <= target && target < max_qubits, "a target is out of range");
        instruction.targets.push_back(int(target));
    }
    instruction.data = segment(arrays.data_start, arrays.data, i);
    instruction.amplitude_slots = segment(arrays.data_start, arrays.amplitude_slot, i);
    instruction.normalize = arrays.normalize.data()[i];
    return instruction;
}

}  // namespace

void read_instructions(Program& program, const ProgramArrays& arrays) {
    const std::size_t count = arrays.kind.size();
    require(arrays.x.size() == count && arrays.z.size() == count && arrays.controls.size() == count &&
                arrays.normalize.size() == count,
            "the instruction arrays differ in length");
    require(arrays.term_start.size() == count + 1 && arrays.target_start.size() == count + 1 &&
                arrays.data_start.size() == count + 1,
            "a start array must be one longer than the instructions");
    require(count < (std::size_t(1) << 31), "too many instructions");
    for (std::size_t i = 0; i < count; ++i) {
        poll_compilation();
        program.instructions.push_back(read_instruction(arrays, i));
    }
}

void read_observables(Program& program, const ObservableArrays& arrays) {
    require(arrays.start.size() >= 1, "observable_start needs at least one entry");
    for (std::size_t k = 0; k + 1 < arrays.start.size(); ++k) {
        const auto xs = segment(arrays.start, arrays.x, k), zs = segment(arrays.start, arrays.z, k);
        const auto coefficients = segment(arrays.start, arrays.coefficient, k);
        auto& observable = program.observables.emplace_back();
        for (std::size_t t = 0; t < xs.size(); ++t) observable.push_back({xs[t], zs[t], coefficients[t]});
    }
}

void read_measured(Program& program, const Array1<std::int64_t>& measured) {
    for (std::size_t i = 0; i < measured.size(); ++i) {
        require(0 <= measured.data()[i] && measured.data()[i] < max_qubits, "a measured bit is out of range");
        program.measured.push_back(int(measured.data()[i]));
    }
}

}  // namespace ketgrad
