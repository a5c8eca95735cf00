// Calls the pool, the simulators of all engines and the Gram matrix from several threads at once, each with threads of its own: for
// the thread sanitizer (python tools/sanitize.py threads). Every result must be the same bits as that of one thread alone.
#include <atomic>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <thread>

#include "base/pool.hpp"
#include "gram/gram.hpp"
#include "simulator/simulator.hpp"

namespace {

using namespace ketgrad;
using Numbers = std::vector<double>;

constexpr int callers = 6, rounds = 20;

/// Layers of rotations by weights and inputs, CNOTs, and a matrix on two bits.
Program make_program(int num_qubits, int layers) {
    Program program;
    program.num_qubits = num_qubits;
    program.num_weights = num_qubits;
    program.num_inputs = 1;
    const auto add = [&](InstructionKind kind) -> Instruction& {
        return program.instructions.emplace_back(Instruction{kind, 0, 0, 0, {}, {}, {}, {}, false});
    };
    for (int layer = 0; layer < layers; ++layer) {
        for (int q = 0; q < num_qubits; ++q) {
            const std::uint64_t bit = std::uint64_t(1) << q;
            Instruction& turn = add(InstructionKind::pauli_rotation);
            turn.x = bit;
            turn.z = layer % 2 ? turn.x : 0;
            turn.angle = {{1.0, 0, 1 + q}, {0.5, 1 + q, 1 + num_qubits}};
            Instruction& phase = add(InstructionKind::pauli_rotation);
            phase.z = bit | std::uint64_t(1) << (q + 1) % num_qubits;
            phase.angle = {{0.7, 0, 1 + q}};
        }
        Instruction& cnot = add(InstructionKind::unitary);
        cnot.controls = 1;
        cnot.targets = {1};
        cnot.data = {0, 1, 1, 0};
        Instruction& matrix = add(InstructionKind::unitary);
        matrix.targets = {2, num_qubits - 1};
        matrix.data = {0.6, 0, 0, 0.8, 0, 1, 0, 0, 0, 0, 1, 0, -0.8, 0, 0, 0.6};
    }
    program.observables = {{{0, 1, 1.0}, {6, 2, 0.5}}, {{0, 5, 1.0}}};
    return program;
}

/// The arrays of a call and room for its results.
struct Problem {
    std::int64_t batch;
    Numbers weights, inputs, cotangent;

    Problem(const Program& program, std::int64_t samples) : batch(samples) {
        std::mt19937 random(7);
        std::normal_distribution<double> normal;
        const auto fill = [&](Numbers& numbers, std::size_t count) {
            for (std::size_t i = 0; i < count; ++i) numbers.push_back(normal(random));
        };
        fill(weights, program.num_weights);
        fill(inputs, batch * program.num_inputs);
        fill(cotangent, batch * program.observables.size());
    }
    /// values, dweights, dinputs in one vector
    template <class Execute>
    Numbers solve(const Execute& execute_with) const {
        Numbers results(cotangent.size() + weights.size() + inputs.size());
        Arrays<double> arrays;
        arrays.batch = arrays.input_rows = batch;
        arrays.weights = weights.data();
        arrays.inputs = inputs.data();
        arrays.cotangent = cotangent.data();
        arrays.values = results.data();
        arrays.dweights = arrays.values + cotangent.size();
        arrays.dinputs = arrays.dweights + weights.size();
        Interrupt interrupt;
        interrupt.poll = [] { return false; };
        execute_with(arrays, interrupt);
        return results;
    }
};

/// One call with that many threads.
using Work = std::function<Numbers(int threads)>;

Work pool_work() {
    return [](int threads) {
        Numbers sums(300, 0);
        Interrupt interrupt;
        parallel(threads, 300, interrupt, [&](int, std::int64_t block) {
            for (int i = 0; i < 1000; ++i) sums[block] += double(i % 7) / double(block + 1);
        });
        return sums;
    };
}

Work simulator_work(int num_qubits, std::int64_t batch, int block_bits) {
    const auto simulator = std::make_shared<Simulator>(make_program(num_qubits, 3), Passes{}, *find_instruction_set(""), block_bits);
    const Problem problem(simulator->program(), batch);
    return [=](int threads) {
        return problem.solve([&](const Arrays<double>& arrays, Interrupt& interrupt) { simulator->run(arrays, threads, interrupt); });
    };
}

/// The direction of the weights is the weights themselves; the tangents stand behind the results of `solve`.
Work dual_work(int num_qubits, std::int64_t batch) {
    const Simulator simulator(make_program(num_qubits, 2), Passes{}, *find_instruction_set(""));
    const std::shared_ptr<DualSimulator> dual = simulator.dual();
    const Problem problem(simulator.program(), batch);
    return [=](int threads) {
        Numbers moved(problem.cotangent.size() + problem.weights.size() + problem.inputs.size());
        Numbers results = problem.solve([&](const Arrays<double>& arrays, Interrupt& interrupt) {
            DualArrays<double> both;
            both.point = arrays;
            both.weights_direction = arrays.weights;
            both.tangents = moved.data();
            both.hweights = both.tangents + problem.cotangent.size();
            both.hinputs = both.hweights + problem.weights.size();
            dual->run(both, threads, interrupt);
        });
        results.insert(results.end(), moved.begin(), moved.end());
        return results;
    };
}

Work gram_work(std::int64_t rows, std::int64_t length) {
    std::vector<std::complex<double>> states;
    std::mt19937 random(3);
    std::normal_distribution<double> normal;
    for (std::int64_t i = 0; i < rows * length; ++i) states.emplace_back(normal(random), normal(random));
    return [=](int threads) {
        Numbers result(rows * rows);
        Interrupt interrupt;
        const GramKernels<double>& kernels = kernels_of<GramKernels<double>>(*find_instruction_set(""));
        const Panels<double> panels = allocate_panels<double>(rows, length, kernels.lanes);
        pack(kernels, states.data(), panels, threads, interrupt);
        PanelProduct<double> product;
        product.rows = product.columns = &panels;
        product.result = result.data();
        product.stride = rows;
        multiply(kernels, product, threads, interrupt);
        return result;
    };
}

bool same_bits(const Numbers& a, const Numbers& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

}  // namespace

int main() {
    const std::vector<Work> works{pool_work(), simulator_work(6, 50, 0), simulator_work(10, 2, 0), simulator_work(11, 2, 8),
                                  dual_work(6, 20), gram_work(60, 64)};
    std::vector<Numbers> expected;
    for (const Work& work : works) expected.push_back(work(1));
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int caller = 0; caller < callers; ++caller)
        threads.emplace_back([&, caller] {
            for (int round = 0; round < rounds; ++round) {
                const std::size_t k = std::size_t(caller + round) % works.size();
                if (!same_bits(works[k](1 + round % 4), expected[k])) ++wrong;
            }
        });
    for (std::thread& thread : threads) thread.join();
    std::printf("%d calls from %d threads, %d with other bits\n", callers * rounds, callers, wrong.load());
    return wrong ? 1 : 0;
}
