// Constant matrices of a pass in the form that kernels take.
#include "blocks/call.hpp"

namespace ketgrad::blocks {
namespace {

/// Where the targets and controls of a matrix are found in the blocks of a pass.
struct Places {
    std::vector<u64> row_bits, row_digits;    // per target among the rows: its row bit, and its bit of the matrix index
    std::vector<u64> lane_bits, lane_digits;  // per target in the lanes
    u64 row_controls = 0, row_value = 0, lane_controls = 0, lane_value = 0, outside = 0, outside_value = 0;
};

// A Pauli operator X^x left behind turns the condition of a control on a bit of x around.
Places find_places(const ConstantMatrix& matrix, const Pass& pass, u64 flipped, int lane_bits) {
    Places places;
    const auto local_bit = [&](int bit) { return std::find(pass.bits.begin(), pass.bits.end(), bit) - pass.bits.begin(); };
    for (std::size_t t = 0; t < matrix.targets.size(); ++t) {
        const std::ptrdiff_t p = local_bit(matrix.targets[t]);
        const u64 digit = u64(1) << (matrix.targets.size() - 1 - t);
        const bool in_lanes = p < lane_bits;
        (in_lanes ? places.lane_bits : places.row_bits).push_back(u64(1) << (in_lanes ? p : p - lane_bits));
        (in_lanes ? places.lane_digits : places.row_digits).push_back(digit);
    }
    for (u64 rest = matrix.controls; rest; rest &= rest - 1) {
        const int bit = std::countr_zero(rest);
        const std::ptrdiff_t p = local_bit(bit);
        const u64 value = flipped >> bit & 1 ? 0 : 1;
        if (p == std::ssize(pass.bits))
            places.outside |= u64(1) << bit, places.outside_value |= value << bit;
        else if (p < lane_bits)
            places.lane_controls |= u64(1) << p, places.lane_value |= value << p;
        else
            places.row_controls |= u64(1) << (p - lane_bits), places.row_value |= value << (p - lane_bits);
    }
    return places;
}

/// The bits of the matrix index of the targets that are in the lanes, as `lane` spells them.
u64 digits_of_lane(const Places& places, u64 lane) {
    u64 digits = 0;
    for (std::size_t t = 0; t < places.lane_bits.size(); ++t)
        if (lane & places.lane_bits[t]) digits |= places.lane_digits[t];
    return digits;
}

/// F^-1 M F for F = X^x Z^z, or its adjoint: element (i, j) is (-1)^(z.(i ^ j)) M[i ^ x][j ^ x].
struct FramedMatrix {
    const ConstantMatrix& matrix;
    u64 x = 0, z = 0;
    bool adjoint = false;

    FramedMatrix(const ConstantMatrix& constant, const LeftBehind& left, bool adjoint) : matrix(constant), adjoint(adjoint) {
        for (std::size_t t = 0; t < constant.targets.size(); ++t) {
            x = x << 1 | (left.x >> constant.targets[t] & 1);
            z = z << 1 | (left.z >> constant.targets[t] & 1);
        }
    }
    Complex at(u64 i, u64 j) const {
        const u64 size = u64(1) << matrix.targets.size();
        const Complex value = adjoint ? std::conj(matrix.data[(j ^ x) * size + (i ^ x)]) : matrix.data[(i ^ x) * size + (j ^ x)];
        return parity(z & (i ^ j)) ? -value : value;
    }
};

/// Writes the entry of one output row and column, which differs between lanes when targets are there. Lanes in which the
/// controls do not hold keep what they have.
template <class Real>
Real* write_lanes(Real* next, const FramedMatrix& matrix, const Places& places, u64 out, u64 in, int flip, int lanes, bool same_row) {
    for (int l = 0; l < lanes; ++l) {
        const bool holds = (u64(l) & places.lane_controls) == places.lane_value;
        const Complex kept = same_row && flip == 0 ? 1 : 0;
        const Complex value =
            holds ? matrix.at(out | digits_of_lane(places, l), in | digits_of_lane(places, u64(l ^ flip))) : kept;
        next[l] = Real(value.real());
        next[lanes + l] = Real(value.imag());
    }
    return next + 2 * lanes;
}

template <class Real>
void write_entries(PreparedMatrix<Real>& prepared, const FramedMatrix& matrix, const Places& places, int lanes) {
    MatrixTurn<Real>& turn = prepared.turn;
    const int tile = std::min(turn.size, 4), columns = turn.size * turn.num_flips;
    prepared.entries = allocate<Real>(std::size_t(2) * turn.size * columns * (turn.same ? 1 : lanes));
    turn.entries = prepared.entries.get();
    Real* next = prepared.entries.get();
    for (int first = 0; first < turn.size; first += tile)
        for (int column = 0; column < columns; ++column)
            for (int i = first; i < first + tile; ++i) {
                const int a = column / turn.num_flips, flip = turn.flips[column % turn.num_flips];
                const u64 out = select(places.row_digits, u64(i)), in = select(places.row_digits, u64(a));
                if (!turn.same) {
                    next = write_lanes(next, matrix, places, out, in, flip, lanes, i == a);
                    continue;
                }
                const Complex value = matrix.at(out, in);
                *next++ = Real(value.real());
                *next++ = Real(value.imag());
            }
}

}  // namespace

template <class Real>
PreparedMatrix<Real> prepare_matrix(const Call<Real>& call, const Pass& pass, const Entry& entry, bool backward) {
    const int index = call.plan.ops[entry.op].matrix, lanes = 1 << call.lane_bits;
    const ConstantMatrix& matrix = call.plan.matrices[index];
    const LeftBehind& left = call.left_behind[index];
    const Places places = find_places(matrix, pass, left.x, call.lane_bits);
    PreparedMatrix<Real> prepared;
    prepared.outside = places.outside;
    prepared.outside_value = places.outside_value;
    MatrixTurn<Real>& turn = prepared.turn;
    turn.size = 1 << places.row_bits.size();
    turn.num_flips = 1 << places.lane_bits.size();
    for (u64 f = 0; f < u64(turn.num_flips); ++f) turn.flips[f] = int(select(places.lane_bits, f));
    for (u64 a = 0; a < u64(turn.size); ++a) prepared.offsets.push_back(select(places.row_bits, a));
    turn.offsets = prepared.offsets.data();
    turn.fixed = prepared.offsets.back() | places.row_controls;
    turn.value = places.row_value;
    turn.same = turn.num_flips == 1;
    turn.masked = turn.same && places.lane_controls;
    for (int l = 0; l < lanes; ++l) turn.on[l] = (u64(l) & places.lane_controls) == places.lane_value;
    write_entries(prepared, FramedMatrix(matrix, left, backward), places, lanes);
    return prepared;
}

/// Reals of scratch that the kernel needs.
template <class Real>
std::size_t scratch_of(const PreparedMatrix<Real>& matrix, int lanes) {
    return std::size_t(8) * lanes * matrix.turn.size * matrix.turn.num_flips;
}

template PreparedMatrix<double> prepare_matrix(const Call<double>&, const Pass&, const Entry&, bool);
template PreparedMatrix<float> prepare_matrix(const Call<float>&, const Pass&, const Entry&, bool);
template std::size_t scratch_of(const PreparedMatrix<double>&, int);
template std::size_t scratch_of(const PreparedMatrix<float>&, int);

}  // namespace ketgrad::blocks
