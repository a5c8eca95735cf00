"""The conformance suite: every executor keeps the protocol and the promises of its abilities.

An exact one equals the definition on random programs in every answer that it can give; one that measures lies within
its statistical bounds; one with noise answers as any mixture of states must. A new row of `EXECUTORS` is held to it.
"""

import pickle
from typing import get_args

import numpy as np
import pytest
from devices import Depolarised, FakeDevice
from programs import random_circuit, random_observable

import ketgrad as kg
from ketgrad.executors import EXECUTORS, Execution, Executor, counted, get
from ketgrad.executors.measured import groups
from ketgrad.executors.protocol import Ability, has_short_way, keeps_states, locates, runs_in_parts
from ketgrad.programs.lowering import compile
from ketgrad.programs.questions import Expect, Probabilities, Samples, State

EXACT = [
    name
    for name in EXECUTORS
    if {"exact", "noise"} & get(name).abilities == {"exact"} and name != "reference"
]
NOISY = [Depolarised(), *(get(name) for name in EXECUTORS if {"exact", "noise"} <= get(name).abilities)]
MEASURING = {
    **{name: lambda shots, name=name: get(name).with_shots(shots) for name in EXECUTORS},
    "device": lambda shots: get(FakeDevice(shots)),
    "noise": lambda shots: Depolarised().with_shots(shots),
}
BATCHES = [(1, 1), (1, 5), (5, 1), (7, 7)]  # rows of weights, rows of inputs
TOLERANCE = {np.complex128: 1e-11, np.complex64: 3e-5}


def questions(n):
    observables = tuple(random_observable(n, 6, seed) for seed in range(2))
    return [Expect((*observables, kg.Pauli("Z0"))), Probabilities(tuple(range(n))[::-1][:2]), State()]


def data(program, rows, seed):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-4, 4, (rows[0], program.num_weights))
    inputs = rng.uniform(0.2, 2, (rows[1], program.num_inputs))
    batch = max(rows)
    cotangent = rng.normal(size=(batch, program.num_outputs))
    if isinstance(program.question, State):
        cotangent = cotangent + 1j * rng.normal(size=cotangent.shape)
    return weights, inputs, cotangent


@pytest.mark.parametrize("name", EXECUTORS)
def test_the_protocol_is_kept(name):
    executor = get(name)
    assert isinstance(executor, Executor) and executor.name == name
    assert executor.abilities <= {*get_args(Ability)}
    assert ("exact" in executor.abilities) != ("shots" in executor.abilities) == (executor.shots is not None)
    assert ("adjoint" in executor.abilities) == hasattr(executor, "vjp")
    assert ("second" in executor.abilities) == (hasattr(executor, "jvp") and hasattr(executor, "hvp"))
    assert executor == get(name) == pickle.loads(pickle.dumps(executor)) and hash(executor) == hash(get(name))


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_executor_describes_what_it_is_going_to_do(name):
    executor = get(name)
    program = compile(
        kg.Circuit([kg.h(0), kg.rx(kg.w[0], 1)], 3), Expect((kg.Pauli("Z0 X1"), kg.Pauli("X0")))
    )
    found = executor.describe(program)
    assert isinstance(found, Execution) and found.shots == executor.shots and found.executions >= 1
    assert found.simulated_qubits is None or 0 <= found.simulated_qubits <= 6  # a density matrix: twice
    assert kg.expectation(kg.Circuit([], 3), kg.Pauli("Z0"), executor=name).plan.memory >= 16
    assert found.engine and "\n" not in found.engine
    measuring = executor.with_shots(7)
    assert "shots" in measuring.abilities and "exact" not in measuring.abilities and measuring.shots == 7
    assert measuring.describe(program).shots == 7 and measuring.with_shots(9) == executor.with_shots(9)


@pytest.mark.parametrize("name", MEASURING)
def test_measured_values_lie_within_their_statistical_bounds(name):
    """Of the executor's own probabilities; of 20 rows alike, five standard errors of their mean."""
    shots, rows = 2000, 20
    source = {"device": get("reference"), "sampled": get("reference"), "noise": Depolarised()}.get(
        name
    ) or get(name)
    for seed in range(4):
        circuit = random_circuit(3, 10, seed, prepare=seed % 2 == 1)
        for question in questions(3)[:2]:
            program = compile(circuit, question)
            weights, inputs, _ = data(program, (1, 1), seed)
            exact, bound = measured(source, program, weights, inputs)
            found = MEASURING[name](shots).run(
                program, weights, np.repeat(inputs, rows, axis=0), rng=np.random.default_rng(seed)
            )
            assert found.shape == (rows, program.num_outputs)
            assert (np.abs(found.mean(axis=0) - exact) < 5 * bound / np.sqrt(shots * rows)).all()


def measured(executor, program, weights, inputs):
    """What measurements mean to the executor, from its exact probabilities, and a bound of their deviation."""
    if not program.reads_words:
        return executor.run(program, weights, inputs)[0], 0.5
    values, bound = np.zeros(program.num_outputs), np.zeros(program.num_outputs)
    for group in groups(program):
        chances = np.ones((1, 1)) if group.program is None else executor.run(group.program, weights, inputs)
        signs = [
            [(-1.0) ** (outcome & int(parity)).bit_count() for parity in group.parities]
            for outcome in range(chances.shape[1])
        ]
        values += (chances @ signs @ group.coefficients)[0]
        bound += np.abs(group.coefficients).sum(axis=0)
    return values, bound


@pytest.mark.parametrize("executor", NOISY, ids=lambda executor: executor.name)
def test_noise_gives_means_of_mixed_states_and_their_derivatives(executor):
    for seed in range(4):
        circuit = random_circuit(3, 10, seed)
        expect, probabilities, _ = questions(3)
        with pytest.raises(kg.KetgradError, match="a mixed state is no vector"):
            kg.state(circuit, executor=executor)
        program = compile(circuit, probabilities)
        weights, inputs, _ = data(program, (1, 4), seed)
        chances = executor.run(program, weights, inputs)
        assert (chances > -1e-12).all()
        np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-12)
        f = kg.expectation(circuit, expect.observables, executor=executor)
        values, *derivatives = f.vjp(weights[0], inputs, np.ones((4, 3)))
        sizes = [sum(abs(complex(c)) for _, _, c in observable.terms) for observable in expect.observables]
        assert (np.abs(values) <= np.array(sizes) + 1e-12).all()
        shifted = kg.expectation(circuit, expect.observables, executor=executor, gradient=kg.ParameterShift())
        for found, wanted in zip(
            derivatives, shifted.vjp(weights[0], inputs, np.ones((4, 3)))[1:], strict=True
        ):
            np.testing.assert_allclose(found, wanted, atol=1e-9)


TURNS = {  # a gate that turns |0> into an eigenstate, the Pauli word that tells, and its value without noise
    "X": (kg.ry(kg.w[0], 0), "X0", 1), "Y": (kg.rx(kg.w[0], 0), "Y0", -1), "Z": (kg.rx(2 * kg.w[0], 0), "Z0", -1),
}  # fmt: skip


@pytest.mark.parametrize("executor", NOISY, ids=lambda executor: executor.name)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", TURNS)
def test_noise_weakens_what_is_certain_and_turns_nothing_round(name, sign, executor):
    """The transpose of a mixed state is one too, and so is one whose qubits are read from the wrong end."""
    gate, word, value = TURNS[name]
    circuit, weights = kg.Circuit([gate, kg.cx(0, 2)], 3), [sign * np.pi / 2]
    f = kg.expectation(kg.Circuit([gate], 3), kg.Pauli(word), executor=executor)
    wanted = value if name == "Z" else value * sign
    assert 0.5 < wanted * f(weights)[0] < 1 + 1e-12
    if name == "Z":  # |101>
        z = kg.expectation(circuit, [kg.Pauli("Z0"), kg.Pauli("Z1"), kg.Pauli("Z2")], executor=executor)
        assert (np.sign(z(weights)) == [-1, 1, -1]).all()
        chances = kg.probabilities(circuit, [1, 0], executor=executor)(weights)
        assert chances.argmax() == 1 and chances[1] > 0.5


class Least:
    """What an executor needs at least: a name, abilities and `run`."""

    def __init__(self, *abilities):
        self.name, self.abilities = "least", frozenset(abilities)

    def run(self, program, weights, inputs, **options):
        return get("reference").run(program, weights, inputs)


def test_a_name_abilities_and_run_make_an_executor():
    circuit, word = kg.Circuit([kg.ry(kg.w[0], 0)], 2), kg.Pauli("Z0")
    exact = kg.expectation(circuit, word, executor=Least("exact"))
    value, slope, _ = exact.vjp([0.3], None)
    assert value[0] == pytest.approx(np.cos(0.3)) and slope[0] == pytest.approx(-np.sin(0.3))
    assert (
        exact.plan.engine == "least"
        and exact.plan.memory == 64
        and "has no adjoint method" in str(exact.plan)
    )
    drawn = kg.expectation(circuit, word, executor=Least("exact"), shots=10_000, seed=0)
    assert abs(drawn([0.3])[0] - np.cos(0.3)) < 5 * np.sin(0.3) / 100 and drawn.executor.name == "sampled"
    assert kg.samples(circuit, shots=3, executor=Least("exact"))([np.pi]).tolist() == [[1, 0]] * 3
    noisy = kg.expectation(circuit, word, executor=Least("shots", "remote"))
    assert noisy.plan.shots is None and noisy.plan.memory == 0
    assert "a number that the executor does not say in each execution" in " ".join(str(noisy.plan).split())
    with pytest.raises(kg.KetgradError, match=r"'least': it measures, and has no `with_shots`"):
        kg.expectation(circuit, word, executor=Least("shots"), shots=5)
    with pytest.raises(kg.KetgradError, match="a mixed state is no vector, so the executor 'least' cannot"):
        kg.state(circuit, executor=Least("exact", "noise"))


def test_shots_of_a_noisy_or_remote_simulator_are_noisy_or_remote():
    assert Depolarised().with_shots(3).abilities == {"shots", "noise"}
    f = kg.expectation(kg.Circuit([kg.h(0)]), kg.Pauli("Z0"), executor=Least("exact", "remote"), shots=5)
    assert f.executor.abilities == {"shots", "remote"} and f.plan.is_remote and f.plan.memory == 0
    assert f.plan.shots == 5 and get("sampled").abilities == {"shots"}


CAN = {  # what the executors of the package can beyond the protocol
    "native": {has_short_way, keeps_states, locates, runs_in_parts}, "reference": set(), "sampled": set(),
}  # fmt: skip


@pytest.mark.parametrize("name", CAN)
def test_what_an_executor_can_beyond_the_protocol_is_asked_of_its_class(name):
    for can in (has_short_way, keeps_states, locates, runs_in_parts):
        assert can(get(name)) is (can in CAN[name]) and can(Least()) is False


def test_counts_are_made_of_dictionaries_of_any_width():
    found = counted([{2**64 - 1: 1, 0: 2}, {5: 4}])
    assert found.outcomes.dtype == np.uint64 and found.outcomes.tolist() == [0, 5, 2**64 - 1]
    assert found.numbers.tolist() == [[2, 0, 1], [0, 4, 0]]
    wide = counted([{2**64: 1}])
    assert wide.outcomes.dtype == object and wide.outcomes.tolist() == [2**64]
    assert counted([]).numbers.shape == (0, 0) and counted([{}]).outcomes.dtype == np.uint64
    for wrong, kind in (({0: 1}, TypeError), ([3], TypeError), ([{"01": 1}], TypeError), ([{0: 0.5}], TypeError),
                        ([{-1: 1}], ValueError), ([{0: -1}], ValueError)):  # fmt: skip
        with pytest.raises(kind, match="`rows`"):
            counted(wrong)


def test_shots_alone_are_no_half():
    class Measuring(Least):
        shots = 5

    assert get(Measuring("shots")).shots == 5


def test_half_of_what_an_executor_says_is_refused():
    class Half(Least):
        shots = 5

        def describe(self, program):
            return Execution("half", 0)

    with pytest.raises(
        kg.KetgradError, match=r"shots, with_shots and describe together.*but Half has no with_shots"
    ):
        get(Half("shots"))
    for wrong, message in (
        (3, "name, abilities, shots and counts, but is int"),
        (Least, "an instance, but is the class Least"),
        (object(), "name, abilities and run"),
    ):
        with pytest.raises(TypeError, match=f"`executor` must be.*{message}"):
            get(wrong)


class Altered(Least):
    """The reference, whose answers are changed on the way."""

    def __init__(self, change, *more):
        super().__init__("exact", *more)
        self.change = change

    def run(self, program, weights, inputs, **options):
        return self.change(super().run(program, weights, inputs))

    def vjp(self, program, weights, inputs, cotangent, **options):
        return self.change(get("reference").vjp(program, weights, inputs, cotangent, **options))


CHANGES = {
    "one row": lambda values: values[:1],
    "no axis of outputs": lambda values: values[:, 0],
    "an output too many": lambda values: np.hstack([values, values]),
    "on its side": np.transpose,
    "complex": lambda values: values + 0j,
    "text": lambda values: values.astype(str),
    "nothing": lambda values: None,
    "rows of two lengths": lambda values: [[1.0], [1.0, 2.0], [1.0]],
}


@pytest.mark.parametrize("case", CHANGES)
def test_values_of_another_shape_than_was_asked_for_are_refused_with_the_name(case):
    """They would have been handed on, or broadcast over the batch."""
    circuit, rows = kg.Circuit([kg.ry(kg.w[0], 0)]), np.full((3, 1), 0.3)
    f = kg.expectation(circuit, kg.Pauli("Z0"), executor=Altered(CHANGES[case]))
    for call in (f, f.vjp, f.jacobian):
        with pytest.raises(
            kg.KetgradError, match=r"`run` of the executor 'least' must give float64 of shape"
        ):
            call(rows)


def test_numbers_of_another_kind_are_those_that_were_asked_for():
    circuit, rows = kg.Circuit([kg.ry(kg.w[0], 0)]), np.zeros((3, 1))
    for change in (
        np.ndarray.tolist,
        lambda values: values.astype(np.float32),
        lambda values: values.astype(int),
    ):
        for dtype, kind in ((np.complex128, np.float64), (np.complex64, np.float32)):
            f = kg.expectation(circuit, kg.Pauli("Z0"), executor=Altered(change), dtype=dtype)
            assert f(rows).dtype == kind and f(rows).tolist() == [[1.0]] * 3


def test_derivatives_are_looked_at_too():
    circuit, rows = kg.Circuit([kg.ry(kg.w[0], 0)]), np.full((3, 1), 0.3)
    for change, message in (
        (list, "must give a tuple"),
        (lambda found: found[:2], "must give a tuple"),
        (lambda found: (found[0], found[1][:2], found[2]), r"float64 of shape \(3, 1\) here.*shape \(2, 1\)"),
        (lambda found: (found[0][:1], *found[1:]), r"float64 of shape \(3, 1\) here.*shape \(1, 1\)"),
        (lambda found: (*found[:2], found[2] + 1j), r"float64 of shape \(\d, 0\) here.*complex128"),
    ):
        f = kg.expectation(circuit, kg.Pauli("Z0"), executor=Altered(change, "adjoint"))
        for call in (f.vjp, f.jacobian):
            with pytest.raises(kg.KetgradError, match=f"`vjp` of the executor 'least' .*{message}"):
                call(rows)


@pytest.mark.parametrize("encoded", [kg.x[0], kg.arccos(kg.x[0])], ids=["x", "arccos"])
def test_second_derivatives_are_looked_at_too(encoded):
    class Second(Altered):
        def jvp(self, *arguments, **options):
            return self.change(get("reference").jvp(*arguments, **options))

        def hvp(self, *arguments, **options):
            return self.change(get("reference").hvp(*arguments, **options))

    circuit, rows = (
        kg.Circuit([kg.ry(kg.w[0], 0), kg.ry(encoded, 0)]),
        (np.full((3, 1), 0.3), np.full((3, 1), 0.4)),
    )
    f, exact = (
        kg.expectation(circuit, kg.Pauli("Z0"), executor=executor)
        for executor in (
            Second(lambda found: tuple(one.tolist() for one in found), "adjoint", "second"),
            "native",
        )
    )
    for mine, theirs in zip(f.hvp(*rows, None, *rows), exact.hvp(*rows, None, *rows), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)
    for change in (list, lambda found: found[:-1], lambda found: (*found[:-1], found[-1][:2])):
        f = kg.expectation(circuit, kg.Pauli("Z0"), executor=Second(change, "adjoint", "second"))
        with pytest.raises(kg.KetgradError, match="`jvp` of the executor 'least' must give"):
            f.jvp(*rows, *rows)
        for call in (lambda: f.hvp(*rows, None, *rows), lambda: f.hessian(*rows)):  # noqa: B023
            with pytest.raises(kg.KetgradError, match="`hvp` of the executor 'least' must give"):
                call()


@pytest.mark.parametrize("given", [[[0, 1]], [[0.5] * 4], [[0, 1, 0, -1]], None], ids=repr)
def test_outcomes_of_an_executor_that_measures_are_looked_at(given):
    class Measuring(Least):
        def run(self, program, weights, inputs, **options):
            return given

    f = kg.Function(kg.Circuit([kg.h(0)]), Samples(4), Measuring("shots"))
    with pytest.raises(
        kg.KetgradError, match=r"'least' must give outcomes from 0 on, integers of shape \(1, 4\)"
    ):
        f()


PROMISES = {  # abilities that are refused where the executor is named, not where a gradient needs them
    "none": (frozenset(), "must name one of 'exact' and 'shots'.*but names neither"),
    "exact shots": (frozenset({"exact", "shots"}), "must name one of 'exact' and 'shots'.*but names both"),
    "misspelt": (frozenset({"exat"}), "names 'exat'. Did you mean 'exact'?"),
    "no word": (frozenset({"shots", 3}), "names '3'. Known: adjoint, exact, gpu"),
    "a tuple": (("shots",), r"must be a frozenset of words, but is \('shots',\)"),
    "one text": ("shots", "must be a frozenset of words, but is 'shots'"),
    "no vjp": (frozenset({"shots", "adjoint"}), "names the ability 'adjoint', but has no vjp"),
    "no jvp": (frozenset({"shots", "second"}), "names the ability 'second', but has no jvp"),
}


@pytest.mark.parametrize("kind", [FakeDevice, Least], ids=["device", "executor"])
@pytest.mark.parametrize("case", PROMISES)
def test_an_ability_that_is_none_or_has_nothing_behind_it_is_refused(case, kind):
    abilities, message = PROMISES[case]
    if kind is FakeDevice and "one of" in message:
        message = "must have the ability 'shots', and not 'exact'"
    executor = FakeDevice(abilities=abilities) if kind is FakeDevice else Least()
    if kind is Least:
        executor.abilities = abilities
    with pytest.raises(kg.KetgradError, match=message):
        kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"), executor=executor)


def test_an_executor_with_half_of_the_second_derivatives_is_refused():
    class Half(Least):
        def jvp(self):
            """Nothing."""

    with pytest.raises(TypeError, match="names the ability 'second', but has no hvp"):
        get(Half("exact", "second"))


def test_shots_that_an_executor_does_not_take_and_a_description_that_is_none_are_refused():
    """An executor that stays exact would give values without noise where estimates were asked for."""

    class Saying(Least):
        def __init__(self, made, said):
            super().__init__("exact")
            self.shots, self.made, self.said = None, made, said

        def with_shots(self, shots):
            return self if self.made is None else self.made

        def describe(self, program):
            return self.said

    circuit, word = kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0")
    for made in (None, 5, get("sampled"), get("native")):
        with pytest.raises(
            kg.KetgradError, match=r"`with_shots` of the executor 'least' must give.*'shots' and 7 shots"
        ):
            kg.expectation(circuit, word, executor=Saying(made, None), shots=7)
    with pytest.raises(
        TypeError, match=r"`describe` of the executor 'least' must give a kg.executors.Execution.*None"
    ):
        print(kg.expectation(circuit, word, executor=Saying(None, None)).plan)


def test_an_object_that_runs_and_counts_is_not_guessed_at():
    class Both(FakeDevice):
        def run(self, circuit):
            raise AssertionError

    with pytest.raises(TypeError, match="must have run, or counts as a device, but Both has both"):
        get(Both())


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["complex128", "complex64"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", EXACT)
def test_values_and_gradients_equal_the_reference(name, n, dtype):
    executor, reference, tolerance = get(name), get("reference"), TOLERANCE[dtype]
    real = np.float64 if dtype == np.complex128 else np.float32
    adjoint = "adjoint" in executor.abilities
    for seed in range(6):
        circuit = random_circuit(n, 12, seed, prepare=seed % 2 == 1)
        for question in questions(n):
            program = compile(circuit, question)
            for rows in BATCHES:
                weights, inputs, cotangent = data(program, rows, seed)
                expected = reference.vjp(program, weights, inputs, cotangent)
                given = (weights.astype(real), inputs.astype(real))
                cot = cotangent.astype(dtype if np.iscomplexobj(cotangent) else real)
                values = executor.run(program, *given, dtype=dtype)
                results = executor.vjp(program, *given, cot, dtype=dtype) if adjoint else (values,)
                scale = 1 + np.abs(expected[1]).max(initial=0) + np.abs(expected[2]).max(initial=0)
                np.testing.assert_allclose(values, expected[0], atol=tolerance * 10)
                for result, wanted in zip(results, expected[: len(results)], strict=True):
                    assert result.shape == wanted.shape
                    np.testing.assert_allclose(result, wanted, atol=tolerance * scale * 10)
                assert values.dtype == (dtype if isinstance(question, State) else real)


def test_the_reference_gradient_equals_differences_of_its_values():
    """The reference is the definition of the others, so its own gradient is held against its values."""
    reference, step = get("reference"), 1e-6
    for seed in range(4):
        circuit = random_circuit(3, 10, seed, prepare=seed % 2 == 1)
        for question in questions(3):
            program = compile(circuit, question)
            weights, inputs, cotangent = data(program, (1, 1), seed)

            def loss(w, x, program=program, cotangent=cotangent):
                return np.sum(np.conj(cotangent) * reference.run(program, w, x)).real

            _, dweights, dinputs = reference.vjp(program, weights, inputs, cotangent)
            for e, got in zip(np.eye(program.num_weights), dweights[0], strict=True):
                wanted = (loss(weights + step * e, inputs) - loss(weights - step * e, inputs)) / (2 * step)
                assert abs(wanted - got) < 1e-7 * (1 + abs(wanted))
            for e, got in zip(np.eye(program.num_inputs), dinputs[0], strict=True):
                wanted = (loss(weights, inputs + step * e) - loss(weights, inputs - step * e)) / (2 * step)
                assert abs(wanted - got) < 1e-7 * (1 + abs(wanted))


def test_an_unknown_executor_is_refused_with_the_near_match():
    with pytest.raises(kg.KetgradError, match="Did you mean 'native'"):
        get("nativ")
