#include "passes/translate.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "base/patience.hpp"
#include "passes/frame.hpp"

namespace ketgrad {
namespace {

using Complex = std::complex<double>;
using Matrix = std::vector<Complex>;
constexpr double pi = std::numbers::pi;
constexpr double tolerance = 1e-13;

struct Translation {
    Schedule& schedule;
    Frame frame;
};

int add_angle(Translation& t, const std::vector<Term>& terms) {
    Angle angle{terms, true};
    for (const Term& term : terms) angle.is_constant = angle.is_constant && term.a == 0 && term.b == 0;
    t.schedule.angles.push_back(angle);
    return int(t.schedule.angles.size()) - 1;
}

int add_constant_angle(Translation& t, double value) { return add_angle(t, {{value, 0, 0}}); }

void add_rotation(Translation& t, const Pauli& word, std::vector<Constraint> controls, int angle, double scale = 1) {
    t.schedule.operations.push_back(Rotation{word, std::move(controls), angle, scale});
}

/// value / unit if that is an integer up to rounding.
std::optional<int> multiple_of(double value, double unit) {
    const double count = std::round(value / unit);
    const bool is_multiple = std::abs(value - count * unit) <= tolerance && std::abs(count) <= 1e6;  // false for NaN
    if (!is_multiple) return std::nullopt;
    return int(count);
}

void constant_diagonal(Translation& t, std::uint64_t z, double angle) {
    if (z == 0) {
        t.frame.phase *= std::polar(1.0, -angle / 2);
        return;
    }
    const auto quarters = multiple_of(angle, pi / 2);
    if (quarters && t.schedule.passes.frame) {
        absorb_diagonal(t.frame, z, *quarters);
    } else {
        add_rotation(t, image(t.frame, 0, z), {}, add_constant_angle(t, angle));
    }
}

void constant_rotation(Translation& t, std::uint64_t x, std::uint64_t z, double angle) {
    if (x == 0) return constant_diagonal(t, z, angle);
    const auto halves = multiple_of(angle, pi);
    if (halves && t.schedule.passes.frame) {
        absorb_word(t.frame, x, z, *halves);
    } else {
        add_rotation(t, image(t.frame, x, z), {}, add_constant_angle(t, angle));
    }
}

std::vector<Constraint> control_constraints(const Frame& frame, std::uint64_t controls) {
    std::vector<Constraint> constraints;
    for (std::uint64_t rest = controls; rest; rest &= rest - 1) {
        const Pauli& word = frame.z[std::countr_zero(rest)];
        constraints.push_back({word.z, word.power & 2 ? 0 : 1});
    }
    return constraints;
}

/// A diagonal rotation with few controls is a product of rotations without: prod (1 - Z_c) / 2 multiplied out.
void controlled_diagonal(Translation& t, const Pauli& word, const std::vector<Constraint>& controls, int angle) {
    const std::size_t count = std::size_t(1) << controls.size();
    for (std::size_t subset = 0; subset < count; ++subset) {
        Pauli product = word;
        for (std::size_t c = 0; c < controls.size(); ++c)
            if (subset >> c & 1) product = product * Pauli{0, controls[c].mask, controls[c].bit ? 2 : 0};
        add_rotation(t, product, {}, angle, 1.0 / double(count));
    }
}

void translate_rotation(Translation& t, const Instruction& instruction) {
    const int angle = add_angle(t, instruction.angle);
    if (instruction.controls == 0 && t.schedule.angles[angle].is_constant) {
        double value = 0;
        for (const Term& term : instruction.angle) value += term.coefficient;
        return constant_rotation(t, instruction.x, instruction.z, value);
    }
    const Pauli word = image(t.frame, instruction.x, instruction.z);
    auto controls = control_constraints(t.frame, instruction.controls);
    if (instruction.x == 0 && controls.size() <= 3)
        controlled_diagonal(t, word, controls, angle);
    else
        add_rotation(t, word, std::move(controls), angle);
}

/// The matrix on controls and targets together (controls first), and its bits.
Matrix with_controls(const Instruction& instruction, std::vector<int>& bits) {
    for (std::uint64_t rest = instruction.controls; rest; rest &= rest - 1) bits.push_back(std::countr_zero(rest));
    bits.insert(bits.end(), instruction.targets.begin(), instruction.targets.end());
    const std::size_t size = std::size_t(1) << bits.size(), inner = std::size_t(1) << instruction.targets.size();
    Matrix matrix(size * size);
    for (std::size_t i = 0; i < size; ++i) matrix[i * size + i] = 1;
    for (std::size_t i = 0; i < inner; ++i)
        for (std::size_t j = 0; j < inner; ++j)
            matrix[(size - inner + i) * size + size - inner + j] = instruction.data[i * inner + j];
    return matrix;
}

/// The permutation j -> row of the only entry of column j, if the matrix is one entry of modulus 1 per row and column.
std::optional<std::vector<std::size_t>> permutation_of(const Matrix& matrix, std::size_t size) {
    std::vector<std::size_t> permutation(size);
    std::vector<bool> used(size, false);
    for (std::size_t j = 0; j < size; ++j) {
        std::size_t found = size;
        for (std::size_t i = 0; i < size; ++i) {
            const double modulus = std::abs(matrix[i * size + j]);
            if (modulus < tolerance) continue;
            if (std::abs(modulus - 1) > tolerance || found != size || used[i]) return std::nullopt;
            found = i;
        }
        if (found == size) return std::nullopt;
        used[found] = true;
        permutation[j] = found;
    }
    return permutation;
}

bool is_affine(const std::vector<std::size_t>& permutation) {
    for (std::size_t j = 0; j < permutation.size(); ++j) {
        std::size_t sum = permutation[0];
        for (std::size_t rest = j; rest; rest &= rest - 1) sum ^= permutation[rest & -rest] ^ permutation[0];
        if (sum != permutation[j]) return false;
    }
    return true;
}

/// diag(exp(i phases[j])) as rotations by Z words: a Walsh-Hadamard transform of the phases.
void constant_phases(Translation& t, const std::vector<int>& bits, const std::vector<double>& phases) {
    const std::size_t size = phases.size();
    for (std::size_t mask = 0; mask < size; ++mask) {
        double sum = 0;
        for (std::size_t j = 0; j < size; ++j) sum += parity(mask & j) ? -phases[j] : phases[j];
        const double angle = -2 * sum / double(size);
        if (std::abs(angle) < tolerance) continue;
        std::uint64_t z = 0;
        for (std::size_t b = 0; b < bits.size(); ++b)
            if (mask >> (bits.size() - 1 - b) & 1) z |= std::uint64_t(1) << bits[b];
        constant_diagonal(t, z, angle);
    }
}

/// A monomial matrix with an affine permutation: phases first, then the permutation goes into the frame.
bool translate_monomial(Translation& t, const Instruction& instruction) {
    if (instruction.targets.size() + std::popcount(instruction.controls) > 4) return false;
    std::vector<int> bits;
    const Matrix matrix = with_controls(instruction, bits);
    const std::size_t size = std::size_t(1) << bits.size();
    const auto permutation = permutation_of(matrix, size);
    if (!permutation || !is_affine(*permutation)) return false;
    std::vector<double> phases(size);
    for (std::size_t j = 0; j < size; ++j) phases[j] = std::arg(matrix[(*permutation)[j] * size + j]);
    constant_phases(t, bits, phases);
    absorb_permutation(t.frame, bits, *permutation);
    return true;
}

bool is_unitary(const Matrix& u) {
    const double columns = std::abs(std::norm(u[0]) + std::norm(u[2]) - 1) + std::abs(std::norm(u[1]) + std::norm(u[3]) - 1);
    return columns + std::abs(std::conj(u[0]) * u[1] + std::conj(u[2]) * u[3]) < 1e-9;
}

/// exp(i alpha) RZ(phi) RY(theta) RZ(lambda) of a 2x2 unitary without zeros.
void translate_single(Translation& t, int bit, const Matrix& u) {
    const double theta = 2 * std::atan2(std::abs(u[2]), std::abs(u[0]));
    const double sum = std::arg(u[3] / u[0]), difference = std::arg(-u[2] / u[1]);
    double phi = (sum + difference) / 2, lambda = (sum - difference) / 2;
    const Complex alpha = u[0] / std::polar(std::cos(theta / 2), -sum / 2);
    if ((std::conj(alpha * std::polar(1.0, difference / 2)) * u[2]).real() < 0) phi += pi, lambda -= pi;
    const std::uint64_t mask = std::uint64_t(1) << bit;
    t.frame.phase *= alpha / std::abs(alpha);
    constant_diagonal(t, mask, lambda);
    constant_rotation(t, mask, mask, theta);
    constant_diagonal(t, mask, phi);
}

Matrix adjoint(const Matrix& matrix, std::size_t size) {
    Matrix result(matrix.size());
    for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j < size; ++j) result[i * size + j] = std::conj(matrix[j * size + i]);
    return result;
}

/// Phase of the basis state j relative to 0 on the rows where the words' Z parts have the given signs: C|k ^ x_t> =
/// (i^power)^-1 (-1)^(z_t . k) X_t C|k>, one target after the other.
Complex relative_phase(const std::vector<Pauli>& flips, std::size_t j, std::size_t negative) {
    int power = 0;
    std::uint64_t offset = 0;
    for (std::size_t t = 0; t < flips.size(); ++t) {
        if (!(j >> (flips.size() - 1 - t) & 1)) continue;
        power += 4 - flips[t].power + 2 * parity(flips[t].z & offset) + 2 * int(negative >> t & 1);
        offset ^= flips[t].x;
    }
    return std::polar(1.0, (power & 3) * pi / 2);
}

/// The classes of rows on which the matrix looks the same, given the signs of the targets' flips.
void add_classes(Dense& dense, const std::vector<Pauli>& flips, const std::vector<Constraint>& fixed, const Matrix& matrix) {
    const std::size_t size = dense.offsets.size();
    for (std::size_t negative = 0; negative < size; ++negative) {
        DenseClass one{fixed, matrix, {}};
        bool exists = true;
        for (std::size_t t = 0; t < flips.size(); ++t) {
            if (flips[t].z) one.constraints.push_back({flips[t].z, int(negative >> t & 1)});
            exists = exists && (flips[t].z || !(negative >> t & 1));
        }
        if (!exists) continue;
        for (std::size_t i = 0; i < size; ++i)
            for (std::size_t j = 0; j < size; ++j)
                one.matrix[i * size + j] *=
                    std::conj(relative_phase(flips, i, negative)) * relative_phase(flips, j, negative);
        one.adjoint = adjoint(one.matrix, size);
        dense.classes.push_back(std::move(one));
    }
}

void translate_dense(Translation& t, const Instruction& instruction) {
    const auto has_signs = [&](int target) { return t.frame.x[target].z != 0; };
    const auto& targets = instruction.targets;
    if (targets.size() > 2 && std::any_of(targets.begin(), targets.end(), has_signs))  // else 2^targets classes of rows
        for (const DiagonalClifford& factor : flush_signs(t.frame))
            add_rotation(t, factor.word, {}, add_constant_angle(t, factor.quarters * pi / 2));
    Dense dense;
    std::vector<Constraint> fixed = control_constraints(t.frame, instruction.controls);
    std::vector<Pauli> flips;
    for (const Constraint& control : fixed) dense.generators.push_back({0, control.mask, 0});
    for (int target : instruction.targets) {
        const Pauli &flip = t.frame.x[target], &read = t.frame.z[target];
        flips.push_back(flip);
        fixed.push_back({read.z, read.power & 2 ? 1 : 0});
        dense.generators.push_back(flip);
        dense.generators.push_back(read);
    }
    const std::size_t count = flips.size();
    dense.offsets.assign(std::size_t(1) << count, 0);
    for (std::size_t j = 0; j < dense.offsets.size(); ++j)
        for (std::size_t s = 0; s < count; ++s)
            if (j >> (count - 1 - s) & 1) dense.offsets[j] ^= flips[s].x;
    add_classes(dense, flips, fixed, instruction.data);
    t.schedule.operations.push_back(std::move(dense));
}

void translate_unitary(Translation& t, const Instruction& instruction) {
    if (t.schedule.passes.frame) {
        if (translate_monomial(t, instruction)) return;
        if (instruction.targets.size() == 1 && instruction.controls == 0 && is_unitary(instruction.data))
            return translate_single(t, instruction.targets[0], instruction.data);
    }
    translate_dense(t, instruction);
}

void add_preparation(Schedule& schedule, int index, std::uint64_t& support) {
    const Instruction& instruction = schedule.program.instructions[index];
    Preparation preparation;
    preparation.instruction = index;
    const std::size_t count = instruction.targets.size();
    preparation.offsets.assign(std::size_t(1) << count, 0);
    for (std::size_t j = 0; j < preparation.offsets.size(); ++j)
        for (std::size_t t = 0; t < count; ++t)
            if (j >> (count - 1 - t) & 1) preparation.offsets[j] |= std::uint64_t(1) << instruction.targets[t];
    std::vector<Constraint> empty;
    for (int bit = 0; bit < schedule.program.num_qubits; ++bit)
        if (!(support >> bit & 1)) empty.push_back({std::uint64_t(1) << bit, 0});
    preparation.rows = *solve(schedule.program.num_qubits, empty);
    for (int target : instruction.targets) support |= std::uint64_t(1) << target;
    schedule.preparations.push_back(std::move(preparation));
}

void translate_question(Schedule& schedule, const Frame& frame) {
    for (const auto& observable : schedule.program.observables) {
        auto& words = schedule.observables.emplace_back();
        for (const Word& word : observable) words.push_back({word.coefficient, image(frame, word.x, word.z)});
    }
    schedule.readout = {frame.origin, frame.phase, frame.x, frame.z};
}

}  // namespace

Schedule translate(Program program, const Passes& passes) {
    Schedule schedule;
    schedule.program = std::move(program);
    schedule.passes = passes;
    schedule.given_qubits = schedule.program.num_qubits;
    Translation t{schedule, identity_frame(schedule.program.num_qubits)};
    std::uint64_t support = 0;
    for (std::size_t i = 0; i < schedule.program.instructions.size(); ++i) {
        const Instruction& instruction = schedule.program.instructions[i];
        poll_compilation();
        const std::size_t before = schedule.operations.size() + schedule.preparations.size();
        if (instruction.kind == InstructionKind::state_preparation)
            add_preparation(schedule, int(i), support);
        else if (instruction.kind == InstructionKind::pauli_rotation)
            translate_rotation(t, instruction);
        else
            translate_unitary(t, instruction);
        schedule.absorbed += schedule.operations.size() + schedule.preparations.size() == before;
    }
    schedule.made = int(schedule.operations.size());
    translate_question(schedule, t.frame);
    return schedule;
}

}  // namespace ketgrad
