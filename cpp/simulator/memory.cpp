#include "simulator/memory.hpp"

#include <algorithm>

#include "lanes/engine.hpp"

namespace ketgrad {
namespace {

using u64 = std::uint64_t;

/// Whether a table has entries that all lanes share, and entries that differ between them.
struct TableKind {
    bool shared = false, differing = false;
};

TableKind kind_of(const Schedule& schedule, const TableStep& table, bool samples_in_lanes) {
    TableKind kind;
    for (const Rotation& rotation : table.rotations) {
        bool differs = false;
        for (const Term& term : schedule.angles[rotation.angle].terms)
            differs |= samples_in_lanes && std::max(term.a, term.b) > schedule.program.num_weights;
        (differs ? kind.differing : kind.shared) = true;
    }
    return kind;
}

u64 largest_preparation(const Program& program) {
    u64 largest = 0;
    for (const Instruction& instruction : program.instructions)
        if (instruction.kind == InstructionKind::state_preparation) largest = std::max<u64>(largest, instruction.data.size());
    return largest;
}

u64 num_outcomes(const Program& program) {
    return program.question == Question::probabilities ? u64(1) << program.measured.size() : 0;
}

/// Room for phase tables: those kept for the whole call, what each thread makes anew, and the phases while one is made.
struct TableBytes {
    u64 kept = 0, own = 0, making = 0;
};

TableBytes table_bytes(const Schedule& schedule, const Lowered& lowered, const CallSize& size, u64 state) {
    const u64 amplitudes = u64(1) << schedule.program.num_qubits, table = 2 * amplitudes * size.real_size;
    const bool samples_in_lanes = lowered.lane_bits == 0 && size.batch > 1;
    u64 shared = 0;
    bool differing = false, any = false, from_angles = false;
    for (const Step& step : lowered.steps) {
        const TableStep* const table_step = std::get_if<TableStep>(&step);
        if (!table_step) continue;
        const TableKind kind = kind_of(schedule, *table_step, samples_in_lanes);
        any = true;
        shared += kind.shared;
        differing |= kind.differing;
        from_angles |= kind.shared && table_step->cost < 0;
    }
    TableBytes bytes;
    const bool keeps = shared * table <= kept_table_bytes;
    if (keeps) bytes.kept = shared * table;
    if (differing || (shared && !keeps)) bytes.own = std::max(state, table);
    if (any && size.backward) bytes.own = std::max(bytes.own, amplitudes * u64(size.real_size));
    if (keeps && size.backward) bytes.own += shared * amplitudes * sizeof(double);  // sums of the overlaps
    if (from_angles) bytes.making = amplitudes * sizeof(double);
    return bytes;
}

}  // namespace

std::uint64_t bytes_in_lanes(const Schedule& schedule, const Lowered& lowered, const CallSize& size) {
    const Program& program = schedule.program;
    const u64 amplitudes = u64(1) << program.num_qubits, real = size.real_size, lanes = size.lanes;
    const u64 row = 2 * lanes * real, state = lowered.num_rows() * row;
    const bool spread = lowered.lane_bits > 0;
    const u64 groups = spread ? 1 : u64((size.batch + size.lanes - 1) / size.lanes);
    const u64 workers = std::max<u64>(1, std::min<u64>(size.threads, groups));
    const TableBytes tables = table_bytes(schedule, lowered, size, state);
    u64 own = state * (size.backward ? 2 : 1) + tables.own + lowered.scratch_rows * row;
    own += largest_preparation(program) * row * (size.backward ? 2 : 1);
    if (!size.backward && lowered.sums_words()) own += state;
    if (lowered.permutes_words()) own += state;
    if (!spread) own += num_outcomes(program) * lanes * real;
    u64 shared = tables.kept + lowered.costs.size() * amplitudes * sizeof(double);
    for (const LoweredObservable& observable : lowered.observables)
        if (!observable.diagonal.empty()) shared += amplitudes * real;
    return shared + workers * (own + tables.making);
}

}  // namespace ketgrad
