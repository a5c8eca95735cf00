"""Devices that report counts alone: expectation values, probabilities, samples, gradients and plans made of counts."""

import copy
import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest
from devices import FakeDevice, WideDevice
from programs import random_circuit, random_observable

import ketgrad as kg
from ketgrad.executors import EXECUTORS, Device, Execution, counted, get
from ketgrad.executors.measured import MeasuredDevice
from ketgrad.executors.sampled import Sampled

CIRCUIT = kg.Circuit([
    kg.rx(kg.x[0], 0), kg.ry(kg.w[0], 1), kg.cx(0, 1), kg.crz(kg.w[1], 1, 2), kg.rxx(kg.w[0] + kg.x[1], 1, 2),
    kg.ry(0.4, 2),
])  # fmt: skip
OBSERVABLES = [
    kg.Pauli("Z0 Z1 + 0.5 X2 - 1.5"),
    kg.Pauli("Y0 X1"),
    kg.Pauli("0.25"),
]  # two groups, and I
POINT = np.array([0.3, -1.1]), np.array([0.4, 1.3])
BATCH = POINT[0], np.tile(POINT[1], (7, 1))
QUESTIONS = {
    "expectation": lambda **options: kg.expectation(CIRCUIT, OBSERVABLES, **options),
    "probabilities": lambda **options: kg.probabilities(CIRCUIT, [2, 0], **options),
    "samples": lambda **options: kg.samples(CIRCUIT, **{"shots": 50} | options),
}


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_values_lie_within_their_statistical_bounds(n):
    shots, rows = 4000, 25
    for seed in range(4):
        circuit, observable = (
            random_circuit(n, 10, seed, prepare=seed % 2 == 1),
            random_observable(n, 6, seed),
        )
        options = {"executor": FakeDevice(), "shots": shots, "seed": seed}
        f, p = kg.expectation(circuit, observable, **options), kg.probabilities(circuit, [n - 1], **options)
        weights, inputs = np.linspace(0.2, 1.5, f.num_weights), np.linspace(0.3, 1.1, f.num_inputs)
        batch = weights, np.tile(inputs, (rows, 1))
        size = sum(abs(complex(c)) for _, _, c in observable.terms)
        exact = kg.expectation(circuit, observable)(weights, inputs)
        assert np.abs(f(*batch).mean(axis=0) - exact).max() < 5 * size / np.sqrt(shots * rows)
        chances = kg.probabilities(circuit, [n - 1])(weights, inputs)
        found = p(*batch)
        assert np.abs(found.mean(axis=0) - chances).max() < 5 * 0.5 / np.sqrt(shots * rows)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        bits = kg.samples(circuit, **options)(weights, inputs)
        assert abs(bits[:, n - 1].mean() - chances[1]) < 5 * 0.5 / np.sqrt(shots)


class Perfect:
    """So many shots that their counts are the chances: what is made of them has no noise to hide a fault in."""

    name, abilities, shots = "perfect", frozenset({"shots"}), 2**40

    def counts(self, programs, weights, inputs, *, shots, rng):
        found = [get("reference").run(program, weights, inputs) for program in programs]
        return [(range(len(chances[0])), np.rint(chances * shots).astype(int)) for chances in found]


@pytest.mark.parametrize("n", [1, 2, 4])
def test_counts_without_noise_give_the_exact_values_and_derivatives(n):
    """Words of all letters, several observables, the identity, measured qubits in any order, batches, a slope."""
    rng = np.random.default_rng(n)
    for seed in range(3):
        circuit = random_circuit(n, 10, seed, prepare=seed == 1)
        observables = [random_observable(n, 6, seed), random_observable(n, 6, seed + 1), kg.Pauli("Y0 - 0.5")]
        qubits = rng.permutation(n)[: max(1, n - 1)].tolist()
        for question, asked in (
            (kg.expectation, observables),
            (kg.variance, observables),
            (kg.probabilities, qubits),
        ):
            exact, found = (question(circuit, asked, executor=executor) for executor in ("native", Perfect()))
            rows = (
                rng.uniform(0.2, 1.5, (3, 1, exact.num_weights)),
                rng.uniform(0.2, 0.9, (2, exact.num_inputs)),
            )
            cotangent, slope = rng.normal(size=(2, 3, 2, exact.num_outputs))
            for mine, theirs in zip(
                (*found.vjp(*rows, cotangent, slope=slope), *found.jacobian(*rows)),
                (*exact.vjp(*rows, cotangent, slope=slope), *exact.jacobian(*rows)),
                strict=True,
            ):
                np.testing.assert_allclose(mine, theirs, atol=1e-8)


def test_the_measured_qubits_are_in_the_order_of_the_question():
    circuit = kg.Circuit([kg.x(0), kg.h(1), kg.cx(1, 2)], 3)
    assert kg.probabilities(circuit, [2, 0], executor=FakeDevice())()[[0, 2]].tolist() == [0, 0]
    bits = kg.samples(circuit, shots=40, executor=FakeDevice(), seed=1)()
    assert (bits[:, 0] == 1).all() and (bits[:, 1] == bits[:, 2]).all() and 5 < bits[:, 1].sum() < 35


def test_samples_are_in_no_order():
    """Counts come sorted; of 400 fair bits about half differ from the one before."""
    bits = kg.samples(kg.Circuit([kg.h(0)]), shots=400, executor=FakeDevice(), seed=0)()[:, 0]
    assert 150 < (bits[1:] != bits[:-1]).sum() < 250


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_seed_repeats_what_a_device_that_simulates_draws(name):
    first, again, other = (QUESTIONS[name](executor=FakeDevice(), shots=50, seed=seed) for seed in (1, 1, 2))
    values = first(*BATCH)
    np.testing.assert_array_equal(again(*BATCH), values)
    assert not np.array_equal(first(*BATCH), values) and not np.array_equal(other(*BATCH), values)
    assert values.dtype == (np.uint8 if name == "samples" else np.float64)
    single = QUESTIONS[name](executor=FakeDevice(), shots=50, seed=1, dtype=np.complex64)(*BATCH)
    assert single.dtype == (np.uint8 if name == "samples" else np.float32)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_batch_is_one_job_and_no_more_circuits_are_run_than_the_plan_says(name):
    device = FakeDevice()
    f = QUESTIONS[name](executor=device, shots=50)
    f(*BATCH)
    assert device.jobs == [(f.plan.circuits, 7, 50)] and f.plan.shots == 50
    assert f.plan.circuits == {"expectation": 2, "probabilities": 1, "samples": 1}[name]


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("n", [3, 12])
def test_a_gradient_is_two_jobs_with_the_executions_of_the_plan(n, rows):
    """Twelve qubits: a simulator would cut the shifted rows into pieces, each a job of its own."""
    device = FakeDevice(shots=3)
    f = kg.expectation(kg.Circuit(list(CIRCUIT.ops), n), OBSERVABLES, executor=device)
    f.vjp(POINT[0], np.tile(POINT[1], (rows, 1)), np.ones(3))
    assert len(device.jobs) == 2 and device.executions == rows * f.plan.executions


RULES = [kg.ParameterShift(), kg.FiniteDifference(step=0.1), kg.gradients.SPSA(num_samples=3, step=0.1)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("question", [kg.expectation, kg.variance])
def test_a_slope_runs_no_circuit_that_the_plan_does_not_count(question, rule):
    """The values that a slope multiplies are those that are returned: they are not measured again."""
    device = FakeDevice(shots=3)
    f = question(CIRCUIT, OBSERVABLES, executor=device, gradient=rule)
    f.vjp(*BATCH, np.ones(3), slope=np.ones(3))
    assert device.executions == 7 * f.plan.executions


def test_a_value_that_is_known_beforehand_sends_no_job():
    device = FakeDevice()
    assert kg.expectation(kg.Circuit([kg.h(0)]), kg.Pauli("2.5"), executor=device)().tolist() == [2.5]
    assert device.jobs == []


def test_the_number_of_shots_is_that_of_the_call_or_else_of_the_device():
    for shots, expected in ((None, 30), (70, 70)):
        device = FakeDevice(shots=30)
        kg.expectation(CIRCUIT, OBSERVABLES[0], executor=device, shots=shots)(*POINT)
        kg.probabilities(CIRCUIT, executor=device, shots=shots)(*POINT)
        assert [job[2] for job in device.jobs] == [expected] * 2
    device = FakeDevice(shots=30)
    assert kg.samples(CIRCUIT, shots=5, executor=device)(*POINT).shape == (5, 3)
    assert device.jobs == [(1, 1, 5)]


def test_gradients_are_shift_rules_on_counts():
    exact = kg.expectation(CIRCUIT, OBSERVABLES).vjp(*POINT, np.ones(3))
    shots, rows = 4000, 50
    f = kg.expectation(CIRCUIT, OBSERVABLES, executor=FakeDevice(), shots=shots, seed=3)
    values, dweights, dinputs = f.vjp(np.tile(POINT[0], (rows, 1)), np.tile(POINT[1], (rows, 1)), np.ones(3))
    bound = 5 * 2.5 / np.sqrt(shots * rows)  # the words' coefficients add up to 2.5
    assert np.abs(values.sum(axis=1).mean() - exact[0].sum()) < bound
    # w[0] stands in two angles, w[1] in a controlled one, whose four shifts add up to sqrt(2)
    assert np.abs(dweights.mean(axis=0) - exact[1]).max() < 2 * bound
    assert np.abs(dinputs.mean(axis=0) - exact[2]).max() < bound


def test_the_plan_says_what_a_device_does_and_never_that_values_are_exact():
    f = kg.expectation(CIRCUIT, OBSERVABLES, executor=FakeDevice(), shots=100)
    plan, printed = f.plan, " ".join(str(f.plan).split())
    assert (
        plan.is_remote and plan.memory == 0 and plan.executor == "fake" and "values are exact" not in printed
    )
    assert "engine fake, remote, counts only, all circuits of a call in one job shots" in printed
    assert (
        "shots 100 in each execution, 2 executions for a value of one sample: values are estimates" in printed
    )
    assert "gradient ParameterShift(): exact in the mean; the adjoint method cannot be used" in printed
    assert "(its abilities: remote, shots)" in printed and "price not known" in printed
    assert "memory none" in printed and "complex64" not in printed
    assert "price" not in str(kg.expectation(CIRCUIT, OBSERVABLES, shots=100).plan)
    here = kg.expectation(CIRCUIT, OBSERVABLES, executor=FakeDevice(abilities=frozenset({"shots"})))
    assert "remote" not in str(here.plan) and here.plan.shots == 1000


def test_a_price_that_is_known_is_printed():
    @dataclass(frozen=True)
    class Priced:
        """An executor that measures, and knows what it costs."""

        shots: int = 10
        name = "priced"
        abilities = frozenset({"shots", "remote"})

        def with_shots(self, shots):
            return Priced(shots)

        def describe(self, program):
            return Execution("priced, remote", None, 3, self.shots, f"{0.3 + 0.001 * self.shots:.2f} USD")

        def run(self, program, weights, inputs, **options):
            return np.zeros((max(len(weights), len(inputs)), program.num_outputs))

    f = kg.expectation(CIRCUIT, OBSERVABLES, executor=Priced(), shots=100)
    assert f.executor == Priced(100) and f.plan.price == "0.40 USD" and f.plan.circuits == 3
    assert str(f.plan).splitlines()[-1] == "price       0.40 USD"
    assert f.plan.executions == 3 * kg.ParameterShift().cost(f.program).executions


def test_what_counts_cannot_give_is_refused_with_the_way_out():
    device = FakeDevice()
    with pytest.raises(
        kg.KetgradError, match="a state cannot be measured, so the executor 'fake' cannot give"
    ):
        kg.state(CIRCUIT, executor=device)
    with pytest.raises(kg.KetgradError, match=r"'fake' does not give.*Can be used: kg.ParameterShift\(\)"):
        kg.expectation(CIRCUIT, OBSERVABLES, executor=device, gradient=kg.Adjoint())
    with pytest.raises(kg.KetgradError, match=r"'fake' does not give.*exact executor such as"):
        kg.expectation(CIRCUIT, OBSERVABLES, executor=device).hvp(*POINT, np.ones(3), POINT[0])
    with pytest.raises(kg.KetgradError, match="samples are integers"):
        kg.samples(CIRCUIT, shots=3, executor=device).vjp(*POINT)
    with pytest.raises(kg.KetgradError, match="must give exact probabilities to draw from, but 'fake'"):
        Sampled(device)
    for wrong in (0, -1, True, 1.5, "many", 2**54):
        with pytest.raises(kg.KetgradError, match="`shots` must be a"):
            kg.expectation(CIRCUIT, OBSERVABLES, executor=FakeDevice(shots=wrong))
    assert not device.jobs


ANSWERS = {  # of a device to one circuit on one qubit and two rows
    "no table": ([], "must answer with one table for each circuit, 1 here, but gave 0"),
    "one row": ([counted([{0: 5}])], r"must give counts of shape \(2, 1\).*but gave \(1, 1\)"),
    "an outcome of two qubits": (
        [counted([{0: 5}, {2: 5}])], "outcomes from 0 to 1, of the 1 measured qubits, but gave 2"),
    "an outcome twice": (
        [counted([{0: 5, 1: 1}, {0: 5}])._replace(outcomes=np.array([1, 1], np.uint64))],
        "each outcome once.*gave 1 twice"),
    "a negative count": (
        [counted([{0: 5}, {0: 5}])._replace(numbers=np.array([[5], [-5]]))], "must count each outcome from 0 on"),
    "nothing in a row": ([counted([{0: 5}, {}])], "one at least in each row"),
    "nothing": (None, "must answer with a list of tables, one for each circuit, but gave None"),
    "a dictionary": ([{0: 5}], r"tables \(outcomes, numbers\), as kg.executors.counted makes them.*gave {0: 5}"),
    "dictionaries": ([[{0: 5}]], r"tables \(outcomes, numbers\)"),
    "outcomes with a point": ([([0.0, 0.5], [[2, 3]] * 2)], "outcomes as a list of integers.*gave .0.0, 0.5."),
    "outcomes in a column": ([(np.array([[0], [1]]), [[2, 3]] * 2)], "outcomes as a list of integers"),
    "outcomes as text": ([(["0", "1"], [[2, 3]] * 2)], "outcomes as a list of integers"),
    "shares": ([([0, 1], [[0.4, 0.6]] * 2)], "must count in integers - a share or an estimate is no count"),
    "infinitely many": ([([0, 1], [[2, np.inf]] * 2)], "must count in integers"),
    "complex ones": ([([0, 1], np.array([[2, 3j]] * 2))], "must count in integers"),
    "whether, not how many": ([([0, 1], [[True, False]] * 2)], "must count in integers"),
    "more than 63 bits": ([([0, 1], [[1, 2**63]] * 2)], "must count in integers"),
    "rows of two lengths": ([([0, 1], [[1, 2], [3]])], "must count in integers"),
}  # fmt: skip


@dataclass(frozen=True)
class Answering:
    """Gives one answer, whatever it is asked."""

    answer: list = field(hash=False)
    name = "strange"
    abilities = frozenset({"shots"})
    shots = 5

    def counts(self, programs, weights, inputs, **options):
        return self.answer


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_that_is_no_count_of_what_was_asked_is_refused_with_the_name_of_the_device(case):
    answer, message = ANSWERS[case]
    f = kg.expectation(kg.Circuit([kg.rx(kg.x[0], 0)]), kg.Pauli("Z0"), executor=Answering(answer))
    with pytest.raises(kg.KetgradError, match=f"the device 'strange' .*{message}"):
        f(None, [[0.1], [0.2]])


@pytest.mark.parametrize(
    "answer",
    [
        ([0, 1], [[1, 3]]),
        (np.array([0, 1]), np.array([[1, 3]], np.uint64)),
        (np.array([0, 1], np.uint8), np.array([[1, 3]], np.uint8)),
        (np.array([1, 0], object), np.array([[3, 1]], object)),
    ],
    ids=lambda answer: str(getattr(answer[0], "dtype", "list")),
)
def test_integers_of_any_type_are_counts(answer):
    """An answer of one type served expectation values and not samples, or the other way round."""
    circuit, device = kg.Circuit([kg.h(0)]), Answering([answer])
    assert kg.expectation(circuit, kg.Pauli("Z0"), executor=device)().tolist() == [-0.5]
    assert kg.probabilities(circuit, executor=device)().tolist() == [0.25, 0.75]
    assert sorted(kg.samples(circuit, shots=4, executor=device)().ravel()) == [0, 1, 1, 1]


@pytest.mark.parametrize("outcome", [0, 1, 2**64 - 1, 2**64])
def test_what_a_wide_register_says_does_not_hang_on_the_outcomes_that_were_seen(outcome):
    """Of 70 qubits: small outcomes alone fitted into machine words, and the words of the observables did not."""
    n = 70
    circuit, device = kg.Circuit([kg.h(q) for q in range(n)]), Answering([counted([{outcome: 4}])])
    everything, last = kg.Pauli(" ".join(f"Z{q}" for q in range(n))), outcome.bit_count() % 2
    assert kg.expectation(circuit, everything, executor=device)().tolist() == [1.0 - 2.0 * last]
    assert kg.variance(circuit, everything, executor=device)().tolist() == [0.0]
    bits = [int(digit) for digit in f"{outcome:0{n}b}"]
    assert kg.samples(circuit, shots=4, executor=device)().tolist() == [bits] * 4
    packed = kg.samples(circuit, shots=4, packed=True, executor=device)()
    assert packed.tolist() == [outcome] * 4 and packed.dtype == object


def test_a_device_that_writes_to_its_arrays_leaves_those_of_the_caller_alone():
    class Writing(FakeDevice):
        def counts(self, programs, weights, inputs, **options):
            weights += 1.0
            inputs %= 1.0
            return super().counts(programs, weights, inputs, **options)

    weights, inputs = POINT[0].copy(), np.tile(POINT[1], (2, 1))
    f = kg.expectation(CIRCUIT, OBSERVABLES, executor=Writing())
    f(weights, inputs), f.vjp(weights, inputs, np.ones(3))
    assert weights.tolist() == POINT[0].tolist() and inputs.tolist() == [POINT[1].tolist()] * 2


def test_shots_that_a_service_lost_are_missing_from_samples_only():
    lost = Answering([counted([{0: 1, 1: 2}])])  # three of five
    circuit = kg.Circuit([kg.h(0)])
    assert kg.expectation(circuit, kg.Pauli("Z0"), executor=lost)() == pytest.approx(-1 / 3)
    with pytest.raises(kg.KetgradError, match="'strange' must count 5 shots in each row, but counted 3"):
        kg.samples(circuit, shots=5, executor=lost)()


@pytest.mark.parametrize("n", [63, 64, 65, 127])
def test_a_register_that_no_memory_holds_is_sent_to_a_device_all_the_same(n, monkeypatch):
    monkeypatch.setattr("ketgrad.foundation.memory.available_bytes", lambda: 2**30)
    circuit = kg.Circuit([kg.ry(kg.w[0], q) for q in range(n)])
    everything = kg.Pauli(" ".join(f"Z{q}" for q in range(n)))
    f = kg.expectation(circuit, [everything, kg.Pauli("X0") + kg.Pauli("Z1")], executor=WideDevice())
    # of four shots one is 0...0 and three are 1...1: the parity of n ones, and two words of 1 - 2 * 3/4 each
    expected = [(1 + 3 * (-1) ** n) / 4, -1.0]
    np.testing.assert_allclose(f([0.3]), expected)
    values, dweights, _ = f.vjp([0.3], None, [1.0, 1.0])
    np.testing.assert_allclose(values, expected)
    assert dweights.tolist() == [0.0]  # this device does not look at angles
    assert kg.probabilities(circuit, [n - 1], executor=WideDevice())([0.3]).tolist() == [0.25, 0.75]
    g = kg.samples(circuit, shots=4, executor=WideDevice(), seed=0)
    assert sorted(g([0.3]).sum(axis=1)) == [0, n, n, n]
    with pytest.raises(kg.KetgradError, match=f"the state of {n} qubits"):
        kg.samples(circuit, shots=4)


def test_a_device_is_a_value_like_any_other_executor():
    assert isinstance(FakeDevice(), Device) and isinstance(WideDevice(), Device)
    f, g = (kg.expectation(CIRCUIT, OBSERVABLES, executor=FakeDevice(), shots=9, seed=1) for _ in "fg")
    assert f == g and hash(f) == hash(g) and f.executor == MeasuredDevice(FakeDevice(), 9)
    for other in (pickle.loads(pickle.dumps(f)), copy.deepcopy(f)):
        assert other == f
        np.testing.assert_array_equal(other(*POINT), g(*POINT)) if other is not f else None
        g = kg.expectation(CIRCUIT, OBSERVABLES, executor=FakeDevice(), shots=9, seed=1)
    assert f != kg.expectation(CIRCUIT, OBSERVABLES, executor=FakeDevice(), shots=8, seed=1)


def test_no_file_holds_a_device(tmp_path):
    with pytest.raises(
        kg.KetgradError, match=r"`Function\.executor` cannot be saved: it is a devices\.FakeDevice"
    ):
        kg.save(kg.expectation(CIRCUIT, OBSERVABLES, executor=FakeDevice()), tmp_path / "f")
    assert not list(tmp_path.iterdir())


def test_models_are_trained_and_asked_on_a_device():
    rows = np.random.default_rng(0).normal(size=(12, 2))
    device = FakeDevice(shots=20)
    model = kg.VariationalClassifier(executor=device, max_steps=2, random_state=0).fit(rows, rows[:, 0] > 0)
    assert len(model.predict(rows)) == 12 and all(shots == 20 for _, _, shots in device.jobs)


def test_a_device_in_the_table_is_known_by_its_name(monkeypatch):
    table = {**EXECUTORS, "fake": ("devices", "FakeDevice")}
    monkeypatch.setattr("ketgrad.executors.table.EXECUTORS", table)
    f = kg.expectation(CIRCUIT, OBSERVABLES, executor="fake", shots=7)
    assert f.executor == MeasuredDevice(FakeDevice(), 7) and f(*POINT).shape == (3,)


def test_variances_are_made_of_counts_too():
    device, circuit = FakeDevice(), kg.Circuit([kg.ry(kg.w[0], 0)])
    f = kg.variance(circuit, kg.Pauli("2.0 Z0"), executor=device, shots=4000, seed=1)
    # 4 sin^2 from one word; the error of 4 <Z>^2 is 8 |<Z>| times that of <Z>
    assert abs(f([0.4])[0] - 4 * np.sin(0.4) ** 2) < 5 * 8 * np.cos(0.4) * np.sin(0.4) / np.sqrt(4000)
    assert device.jobs == [(1, 1, 4000)] and f.plan.circuits == 1


def test_a_device_may_not_say_that_it_is_exact():
    with pytest.raises(
        kg.KetgradError, match=r"'fake' must have the ability 'shots', and not 'exact'.*exact, shots"
    ):
        get(FakeDevice(abilities=frozenset({"shots", "exact"})))
    with pytest.raises(kg.KetgradError, match="its abilities are: none"):
        get(FakeDevice(abilities=frozenset()))


JOBS = {  # of a gradient, as the page of executors says
    "angles": (kg.expectation, None, 2),
    "a variance": (kg.variance, None, 3),
    "directions": (kg.expectation, kg.gradients.SPSA(num_samples=3, step=0.1), 7),
}


@pytest.mark.parametrize("case", JOBS)
def test_how_many_jobs_a_gradient_is(case):
    question, rule, jobs = JOBS[case]
    device = FakeDevice(shots=3)
    question(CIRCUIT, OBSERVABLES, executor=device, gradient=rule).vjp(*BATCH, np.ones(3))
    assert len(device.jobs) == jobs


def test_shifted_amplitudes_are_a_job_of_their_own():
    device = FakeDevice(shots=3)
    circuit = kg.Circuit([kg.prepare_state([kg.x[0], kg.x[1]], 0, normalize=True), kg.ry(kg.w[0], 0)])
    f = kg.expectation(circuit, kg.Pauli("Z0"), executor=device)
    f.vjp([0.3], [0.6, 0.8])
    assert len(device.jobs) == 3 and device.executions == f.plan.executions
