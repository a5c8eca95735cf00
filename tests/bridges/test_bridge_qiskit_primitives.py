"""Qiskit's V2 primitives on ketgrad answer as qiskit's own do, and the gradients are derivatives of them."""

import copy
import pickle
import threading

import numpy as np
import pytest
from counting import Counting
from devices import FakeDevice
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import AnnotatedOperation, ControlModifier, Parameter, ParameterVector, PowerModifier
from qiskit.circuit import library as lib
from qiskit.primitives import StatevectorEstimator, StatevectorSampler
from qiskit.quantum_info import Pauli, SparseObservable, SparsePauliOp, Statevector
from qiskit_machine_learning.primitives import QMLSampler

import ketgrad as kg

RNG = np.random.default_rng
A, B, C = Parameter("a"), Parameter("b"), Parameter("c")


def asymmetric(num_qubits, seed):
    """A circuit that prepares a state that tells all qubits apart, phases included."""
    rng, circuit = RNG(seed), QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.u(*rng.uniform(0.2, 1.4, 3), qubit)
    for qubit in range(num_qubits - 1):
        circuit.crx(rng.uniform(0.3, 1.2), qubit, qubit + 1)
    return circuit


# -- the estimator


def ansatz(num_qubits=3):
    """A parametrised circuit whose parameters are not in the order of their use."""
    theta, circuit = ParameterVector("theta", 2 * num_qubits), asymmetric(num_qubits, 2)
    for qubit in range(num_qubits):
        circuit.ry(theta[2 * num_qubits - 1 - qubit] + 0.1, qubit)
        circuit.rx(2 * theta[qubit], qubit)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    return circuit


H3 = SparsePauliOp(["ZXI", "IYZ", "XII", "III"], [0.5, -0.7, 0.3, 0.2])
ROWS = RNG(0).uniform(-3, 3, (5, 6))
SHAPES = [
    ("ZII", ROWS[0]),
    (H3, ROWS[0]),
    (H3, ROWS),
    ([["XYZ"], [H3], ["IIZ"]], ROWS),
    ([H3, "ZZZ", "XII", {"IYI": 0.3, "ZII": 1.0}, Pauli("YYY")], ROWS),
    ([H3, "ZZZ"], ROWS[:1]),
    (
        ["XII", "IXI", "IIX"] * 7,
        RNG(1).uniform(-3, 3, (21, 6)),
    ),  # far fewer pairs than rows times observables
    ([[H3, "ZZZ"]], RNG(2).uniform(-3, 3, (4, 3, 1, 6))),
    (np.empty((0,), dtype=object), ROWS[:1]),
]


@pytest.mark.parametrize(("observables", "values"), SHAPES, ids=range(len(SHAPES)))
def test_the_estimator_broadcasts_and_answers_as_qiskit_does(observables, values):
    pub = (ansatz(), observables, values)
    ours = kg.qiskit.Estimator().run([pub]).result()[0]
    theirs = StatevectorEstimator().run([pub]).result()[0]
    assert ours.data.evs.shape == theirs.data.evs.shape == ours.data.stds.shape == ours.data.shape
    np.testing.assert_allclose(ours.data.evs, theirs.data.evs, atol=1e-12)
    assert not ours.data.stds.any()


def test_projectors_are_observables_too():
    sparse = SparseObservable("0+r")
    expanded = SparsePauliOp.from_sparse_observable(sparse)
    ours = kg.qiskit.Estimator().run([(ansatz(), [sparse], ROWS)]).result()[0].data.evs
    theirs = StatevectorEstimator().run([(ansatz(), [expanded], ROWS)]).result()[0].data.evs
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_parameter_values_may_be_given_by_name_in_parts():
    circuit = ansatz()
    names = [parameter.name for parameter in circuit.parameters]
    values = {names[1]: ROWS[:, 0], tuple(names[:1] + names[2:]): ROWS[:, 1:]}
    ours, theirs = (
        estimator.run([(circuit, "ZZI", values)]).result()[0].data.evs
        for estimator in (kg.qiskit.Estimator(), StatevectorEstimator())
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_many_pubs_in_one_job_keep_their_order_and_metadata():
    plain, other = asymmetric(3, 1), ansatz()
    other.metadata = {"name": "other"}
    pubs = [
        (other, "ZII", ROWS),
        (plain, H3),
        (other, "ZII", ROWS[:2]),
        (other, H3, ROWS[3], 0.1),
        (plain, "XYZ"),
    ]
    ours = kg.qiskit.Estimator(seed=1).run(pubs).result()
    theirs = StatevectorEstimator(seed=1).run(pubs).result()
    assert ours.metadata == theirs.metadata == {"version": 2}
    for k, (mine, wanted) in enumerate(zip(ours, theirs, strict=True)):
        np.testing.assert_allclose(mine.data.evs, wanted.data.evs, atol=1e-12 if k != 3 else 0.7)
        assert wanted.metadata.items() <= mine.metadata.items()
    assert ours[3].metadata["shots"] == 100
    assert ours[3].data.stds > 0


def test_precision_is_the_standard_error_of_a_pauli_word():
    circuit, exact = ansatz(), kg.qiskit.Estimator()
    observables = ["XII", "ZZZ"]
    values = np.repeat(ROWS[:1, None], 400, axis=0)
    noisy = (
        kg.qiskit.Estimator(default_precision=0.05, seed=3).run([(circuit, observables, values)]).result()[0]
    )
    truth = exact.run([(circuit, observables, values)]).result()[0].data.evs
    deviation = (noisy.data.evs - truth).std(axis=0)
    np.testing.assert_allclose(deviation, 0.05 * np.sqrt(1 - truth[0] ** 2), rtol=0.12)
    np.testing.assert_allclose(noisy.data.stds.mean(axis=0), deviation, rtol=0.12)
    assert abs((noisy.data.evs - truth).mean()) < 0.01
    assert noisy.metadata["target_precision"] == 0.05
    assert noisy.metadata["shots"] == 400


def test_sums_are_measured_group_by_group_with_their_standard_error():
    circuit = ansatz()
    values = np.repeat(ROWS[:1], 500, axis=0)
    noisy = kg.qiskit.Estimator(seed=5).run([(circuit, H3, values)], precision=0.1).result()[0].data
    truth = kg.qiskit.Estimator().run([(circuit, H3, ROWS[0])]).result()[0].data.evs
    assert abs(noisy.evs.mean() - truth) < 5 * noisy.stds[0] / np.sqrt(500)
    assert noisy.evs.std() == pytest.approx(noisy.stds.mean(), rel=0.12)


def test_a_value_asked_for_again_is_another_experiment():
    pub = (ansatz(), ["ZZZ", "XII"] * 300, ROWS[0], 0.1)
    values = kg.qiskit.Estimator(seed=1).run([pub]).result()[0].data
    for k in range(2):
        assert values.evs[k::2].std() == pytest.approx(values.stds[k::2].mean(), rel=0.15)
    exact = kg.qiskit.Estimator().run([pub[:3]]).result()[0].data.evs
    assert np.ptp(exact[::2]) == 0.0


def test_a_seed_fixes_the_shots_of_every_run():
    pub = (ansatz(), ["XII", "ZZZ"], ROWS[:, None], 0.1)

    def values(seed):
        return kg.qiskit.Estimator(seed=seed).run([pub, pub]).result()[1].data.evs

    np.testing.assert_array_equal(values(7), values(7))
    assert (values(7) != values(8)).any()
    assert (values(None) != values(None)).any()
    moving = kg.qiskit.Estimator(seed=np.random.default_rng(1))
    first, second = (moving.run([pub]).result()[0].data.evs for _ in range(2))
    assert (first != second).any()


def test_an_integer_seed_repeats_in_every_run_as_with_qiskits_own_and_a_generator_goes_on():
    measured = ansatz()
    measured.measure_all()
    for estimator, sampler in (
        (kg.qiskit.Estimator, kg.qiskit.Sampler),
        (StatevectorEstimator, StatevectorSampler),
    ):
        for seed, repeats in ((5, True), (np.random.default_rng(5), False)):
            one, other = estimator(seed=seed), sampler(seed=seed)
            drawn = [
                (
                    one.run([(ansatz(), "XII", ROWS[0])], precision=0.1).result()[0].data.evs.tolist(),
                    other.run([(measured, ROWS[0])], shots=40).result()[0].data.meas.array.tolist(),
                )
                for _ in range(2)
            ]
            assert (drawn[0][0] == drawn[1][0]) is (drawn[0][1] == drawn[1][1]) is repeats


def test_all_parameter_sets_of_a_circuit_are_one_native_call():
    counting, circuit = Counting(), ansatz()
    kg.qiskit.Estimator(executor=counting).run([(circuit, [[H3], ["ZZZ"]], ROWS)]).result()
    assert counting.runs == [5]
    kg.qiskit.Estimator(executor=counting).run([(circuit, H3, row) for row in ROWS]).result()
    assert counting.runs == [5, 5]
    circuit.measure_all()
    kg.qiskit.Sampler(executor=counting).run([(circuit, ROWS)]).result()
    assert counting.runs == [5, 5, 5]


def test_circuits_are_recognised_by_what_they_hold():
    from ketgrad.bridges.qiskit.cache import KEPT, Conversions

    convert, circuit = Conversions(kg.qiskit.from_qiskit), ansatz()
    first = convert(circuit)
    assert convert(circuit.copy()) is first
    nested = QuantumCircuit(3)
    nested.append(circuit.to_instruction(), [0, 1, 2])
    assert convert(nested) is convert(nested.copy()) is not first
    changed = circuit.copy()
    changed.data[0] = changed.data[0].replace(operation=lib.UGate(0.1, 0.2, 0.3))
    differs = [changed, circuit.assign_parameters(ROWS[0]), circuit.compose(lib.CXGate(ctrl_state=0), [0, 1])]
    phase = circuit.copy()
    phase.global_phase = 0.5
    for other in [*differs, phase]:
        assert convert(other).circuit != first.circuit
    measured = circuit.copy()
    measured.measure_all()
    assert convert(measured).measured
    for k in range(KEPT):
        convert(QuantumCircuit(1, global_phase=k / 1000))
    assert convert(circuit) is not first  # the oldest was forgotten
    custom = [QuantumCircuit(1), QuantumCircuit(1)]
    for k, one in enumerate(custom):
        inner = QuantumCircuit(1, name="same")
        inner.rx(k + 1.0, 0)
        one.append(inner.to_gate(), [0])
    assert convert(custom[0]).circuit != convert(custom[1]).circuit


def test_a_circuit_seen_before_is_not_compiled_again():
    from ketgrad.bridges.qiskit.estimator import expectation_function
    from ketgrad.bridges.qiskit.sampler import samples_function

    estimator, sampler, circuit = kg.qiskit.Estimator(), kg.qiskit.Sampler(), ansatz()
    measured = circuit.measure_all(inplace=False)
    estimator.run([(circuit, H3, ROWS)]).result()
    sampler.run([(measured, ROWS)]).result()
    before = [function.cache_info().misses for function in (expectation_function, samples_function)]
    estimator.run([(circuit.copy(), H3, ROWS[0]), (circuit, [H3], ROWS)]).result()
    sampler.run([(measured.copy(), ROWS[0])]).result()
    assert before == [function.cache_info().misses for function in (expectation_function, samples_function)]


def test_primitives_can_be_copied_and_pickled():
    pub = (ansatz(), H3, ROWS)
    for estimator in (kg.qiskit.Estimator(default_precision=0.1, seed=3), kg.qiskit.Estimator(threads=1)):
        values = estimator.run([pub]).result()[0].data.evs
        for other in (copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))):
            np.testing.assert_array_equal(other.run([pub]).result()[0].data.evs, values)


def test_a_circuit_may_change_after_run_has_returned():
    circuit = QuantumCircuit(1)
    circuit.x(0)
    estimator = kg.qiskit.Estimator()
    job = estimator.run([(circuit, "Z")])
    circuit.x(0)
    assert job.result()[0].data.evs == -1
    assert estimator.run([(circuit, "Z")]).result()[0].data.evs == 1


def test_an_estimator_serves_many_threads():
    estimator, circuit, found = kg.qiskit.Estimator(), ansatz(), {}

    def work(k):
        found[k] = estimator.run([(circuit, H3, ROWS[k])]).result()[0].data.evs

    threads = [threading.Thread(target=work, args=(k,)) for k in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = estimator.run([(circuit, H3, ROWS)]).result()[0].data.evs
    np.testing.assert_allclose([float(found[k]) for k in range(5)], expected, atol=1e-14)


def test_single_precision_and_other_executors_are_available():
    pub = (ansatz(), H3, ROWS)
    exact = kg.qiskit.Estimator(executor="reference", threads=1).run([pub]).result()[0].data.evs
    single = kg.qiskit.Estimator(dtype=np.complex64).run([pub]).result()[0].data.evs
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, exact, atol=1e-5)
    assert np.abs(single - exact).max() > 1e-12


def test_what_the_primitives_cannot_do_is_refused():
    measured = ansatz()
    measured.measure_all()
    cases = [
        (lambda: kg.qiskit.Estimator().run([(measured, H3, ROWS)]), "measures qubit 0"),
        (
            lambda: kg.qiskit.Estimator(default_precision=-1),
            "`precision` must be 0, for exact values, or at least",
        ),
        (lambda: kg.qiskit.Estimator().run([(ansatz(), H3, ROWS, 1e-9)]), "at least 1e-07"),
        (lambda: kg.qiskit.Estimator().run([], precision=np.inf), "`precision` must be 0"),
        (lambda: kg.qiskit.Estimator(executor=FakeDevice()), "`executor` must be exact.*'fake' is not"),
        (lambda: kg.qiskit.Sampler(executor=FakeDevice()), "`executor` must be exact.*'fake' is not"),
        (lambda: kg.qiskit.Estimator(executor="sampled"), "`executor` must be exact"),
        (lambda: kg.qiskit.Estimator().run([(ansatz(), H3, ROWS * np.nan)]), r"of 'theta\[0\]'"),
        (lambda: kg.qiskit.Estimator().run([(ansatz(), H3, ROWS[:, :3])]), "3|6"),
        (lambda: kg.qiskit.Estimator(seed=-1), "`seed` must not be negative"),
        (lambda: kg.qiskit.Sampler(default_shots=0), "`shots` must be an integer from 1"),
        (lambda: kg.qiskit.Sampler().run([measured], shots=0), "`shots` must be an integer from 1"),
        (lambda: kg.qiskit.EstimatorGradient(executor="sampled"), "adjoint"),
        (lambda: kg.qiskit.EstimatorGradient().run([ansatz()], [H3], ROWS), "must have one length"),
        (lambda: kg.qiskit.EstimatorGradient().run([measured], [H3], ROWS[:1]), "measures qubit 0"),
        (
            lambda: kg.qiskit.SamplerGradient().run([ansatz()], ROWS[:1]),
            "one classical register, but measures into none",
        ),
        (lambda: kg.qiskit.SamplerGradient().run([registers()], ROWS[:1, :3]), "measures into one, two"),
        (lambda: kg.qiskit.SamplerGradient().run([measured], ROWS), "must have one length"),
        (lambda: kg.qiskit.EstimatorGradient().run([ansatz()], [H3], ROWS[:1], [[A]]), "'a' is none"),
    ]
    for action, match in cases:
        with pytest.raises(ValueError, match=match):
            action()


# -- the sampler


def registers():
    """Two classical registers, written crosswise, with a bit that nothing writes."""
    one, two = ClassicalRegister(3, "one"), ClassicalRegister(9, "two")
    circuit = QuantumCircuit(QuantumRegister(3, "q"), one, two)
    theta = ParameterVector("t", 3)
    for qubit in range(3):
        circuit.ry(theta[qubit], qubit)
    circuit.cx(0, 2)
    circuit.measure(0, one[2])
    circuit.measure(2, one[0])
    circuit.measure(1, two[8])
    return circuit


def test_bits_of_all_registers_are_where_qiskit_puts_them():
    values = np.array([[np.pi, 0, 0], [0, np.pi, 0], [0, 0, np.pi], [np.pi, np.pi, 0]]).reshape(2, 2, 3)
    pub = (registers(), values)
    ours = kg.qiskit.Sampler().run([pub], shots=20).result()[0]
    theirs = StatevectorSampler().run([pub], shots=20).result()[0]
    assert ours.metadata == theirs.metadata == {"shots": 20, "circuit_metadata": {}}
    assert sorted(ours.data) == sorted(theirs.data) == ["one", "two"]
    for name in ours.data:
        mine, wanted = ours.data[name], theirs.data[name]
        assert (mine.shape, mine.num_shots, mine.num_bits) == (
            wanted.shape,
            wanted.num_shots,
            wanted.num_bits,
        )
        np.testing.assert_array_equal(mine.array, wanted.array)
    np.testing.assert_array_equal(ours.join_data().array, theirs.join_data().array)


def test_frequencies_are_those_of_the_state():
    circuit = asymmetric(3, 4)
    chances = Statevector(circuit).probabilities()
    circuit.measure_all()
    counts = kg.qiskit.Sampler(seed=2).run([circuit], shots=40000).result()[0].data.meas.get_int_counts()
    found = np.array([counts.get(k, 0) for k in range(8)]) / 40000
    assert (np.abs(found - chances) < 5 * np.sqrt(chances * (1 - chances) / 40000) + 1e-9).all()


def test_a_seed_fixes_the_bits_and_pubs_are_independent():
    circuit = asymmetric(3, 4)
    circuit.measure_all()

    def bits(seed, k):
        return (
            kg.qiskit.Sampler(seed=seed)
            .run([circuit, (circuit, None, 50)], shots=50)
            .result()[k]
            .data.meas.array
        )

    np.testing.assert_array_equal(bits(3, 0), bits(3, 0))
    assert (bits(3, 0) != bits(3, 1)).any()
    assert (bits(3, 0) != bits(4, 0)).any()
    assert (bits(None, 0) != bits(None, 0)).any()


def test_a_circuit_without_bits_gives_an_empty_result_and_a_warning():
    with pytest.warns(UserWarning, match="no classical register"):
        result = kg.qiskit.Sampler().run([asymmetric(2, 1)]).result()[0]
    assert not list(result.data)
    circuit = registers()
    none = kg.qiskit.Sampler().run([(circuit, np.zeros((0, 3)))], shots=5).result()[0].data
    assert none.one.array.shape == (0, 5, 1)
    unmeasured = QuantumCircuit(1, 2)
    unmeasured.x(0)
    assert kg.qiskit.Sampler().run([unmeasured], shots=5).result()[0].data.c.get_counts() == {"00": 5}


# -- exact probabilities


def test_without_shots_the_sampler_gives_the_probabilities_of_qiskit_machine_learnings():
    values = RNG(4).uniform(-3, 3, (2, 3, 3))
    for rows in (values, values[0], values[0, 0]):
        for circuit in (registers(), _all_measured()):
            ours = kg.qiskit.Sampler(default_shots=None).run([(circuit, rows)]).result()[0]
            theirs = QMLSampler().run([(circuit, rows)]).result()[0]
            assert ours.metadata == {"shots": None, "circuit_metadata": {}}
            for name in theirs.data:
                mine, wanted = ours.data[name], theirs.data[name]
                assert (mine.shape, mine.num_shots) == (wanted.shape, None) == (rows.shape[:-1], None)
                for index in np.ndindex(rows.shape[:-1]):
                    one, other = mine[index], wanted[index] if index else wanted
                    compare_chances(one.get_probabilities(), other.get_probabilities())
                    compare_chances(mine.get_probabilities(index), other.get_probabilities())
                    counts = one.get_counts()
                    compare_chances(
                        {key: count / 2**53 for key, count in counts.items()}, other.get_probabilities()
                    )
                    assert one.get_int_counts() == {int(key, 2): count for key, count in counts.items()}
            summed = ours.join_data().get_counts()
            assert sum(summed.values()) == pytest.approx(rows[..., 0].size * 2**53, rel=1e-15)


def compare_chances(ours, theirs):
    """Both name bits; theirs leaves out those that nothing measures, which are 0."""
    short = {key.replace("0", "", len(key) - len(next(iter(theirs)))): chance for key, chance in ours.items()}
    if len(next(iter(ours))) == len(next(iter(theirs))):
        short = ours
    for key in {*short, *theirs}:
        assert short.get(key, 0) == pytest.approx(theirs.get(key, 0), abs=1e-12)


def _all_measured():
    circuit = QuantumCircuit(3)
    theta = ParameterVector("t", 3)
    for qubit in range(3):
        circuit.rx(theta[qubit], qubit)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def test_exact_bits_are_where_qiskit_puts_its_shots():
    values = np.array([[np.pi, 0, 0], [0, np.pi, 0], [0, 0, np.pi], [np.pi, np.pi, 0]]).reshape(2, 2, 3)
    exact = kg.qiskit.Sampler(default_shots=None).run([(registers(), values)]).result()[0]
    theirs = StatevectorSampler().run([(registers(), values)], shots=8).result()[0]
    for index in np.ndindex(2, 2):
        for names in (None, ["one"], ["two", "one"]):
            (bits,) = exact.join_data(names)[index].get_counts()
            assert bits == next(iter(theirs.join_data(names).get_counts(index)))
        (bits,) = exact.data.two.slice_bits([8, 0, 8])[index].get_counts()
        assert bits == next(iter(theirs.data.two.slice_bits([8, 0, 8]).get_counts(index)))
    assert (exact.data.one.ndim, exact.data.one.size, exact.data.two.num_bits) == (2, 4, 9)
    for action, match in (
        (lambda: exact.join_data(["three"]), "`names` must name registers of the result, which are one, two"),
        (lambda: exact.data.one.slice_bits(3), "`indices` must be from 0 to 2, but one is 3"),
    ):
        with pytest.raises(ValueError, match=match):
            action()


def test_a_sampler_without_shots_draws_them_where_a_run_or_a_pub_names_them():
    circuit = asymmetric(3, 4)
    circuit.measure_all()
    sampler = kg.qiskit.Sampler(default_shots=None, seed=1)
    exact, drawn = sampler.run([circuit, (circuit, None, 50)]).result()
    assert exact.data.meas.num_shots is None and drawn.data.meas.num_shots == 50
    assert sampler.run([circuit], shots=30).result()[0].data.meas.num_shots == 30
    bare = QuantumCircuit(2, 3)
    bare.x(0)
    assert sampler.run([bare]).result()[0].data.c.get_probabilities() == {"000": 1.0}
    none = sampler.run([(registers(), np.zeros((0, 3)))]).result()[0].data
    assert none.one.shape == (0,) and none.one.get_counts() == {}


# -- circuits that need values to be read

EXPRESSIONS = [
    A.sin(),
    A * A * B,
    (A + 2) ** -1,
    A.exp(),
    2**A,
    abs(A),
    A.arccos() + B,
    A**3,
    (A * B) ** 2,
    A.sign(),
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_angles_of_any_form_have_values_in_the_primitives(expression):
    circuit = QuantumCircuit(2, global_phase=expression)
    circuit.rx(B, 0)
    circuit.ry(expression, 1)
    circuit.crz(2 * expression + C, 0, 1)
    circuit.h(0)
    values = RNG(1).uniform(0.1, 1, (7, circuit.num_parameters))
    counting = Counting()
    pubs = [(circuit, [["XZ"], ["YI"]], values), (circuit, "ZZ", values[0])]
    ours = kg.qiskit.Estimator(executor=counting).run(pubs).result()
    for mine, wanted in zip(ours, StatevectorEstimator().run(pubs).result(), strict=True):
        np.testing.assert_allclose(mine.data.evs, wanted.data.evs, atol=1e-12)
    assert counting.runs == [7, 1]
    circuit.measure_all()
    exact = kg.qiskit.Sampler(default_shots=None).run([(circuit, values)]).result()[0].data.meas
    theirs = QMLSampler().run([(circuit, values)]).result()[0].data.meas
    for k in range(7):
        compare_chances(exact[k].get_probabilities(), theirs[k].get_probabilities())
    with pytest.raises(ValueError, match="polynomial of degree 2"):
        kg.qiskit.SamplerGradient().run([circuit], values[:1])


def needs_values():
    """Circuits that cannot be read before their parameters have values."""
    vector = QuantumCircuit(2)
    vector.append(lib.RVGate(A, B, 0.3), [1])
    vector.cx(1, 0)
    yield vector
    power = QuantumCircuit(2)
    power.append(AnnotatedOperation(lib.RXGate(A * 3), [PowerModifier(0.5), ControlModifier(1, 0)]), [0, 1])
    power.ry(B, 0)
    yield power


@pytest.mark.parametrize("circuit", list(needs_values()), ids=["matrix of a parameter", "fractional power"])
def test_what_cannot_be_read_before_its_parameters_have_values_is_read_after(circuit):
    values = RNG(2).uniform(0.2, 2, (5, 2))
    pub = (circuit, [["XZ"], ["YI"]], values)
    ours, theirs = (
        one.run([pub]).result()[0].data for one in (kg.qiskit.Estimator(), StatevectorEstimator())
    )
    np.testing.assert_allclose(ours.evs, theirs.evs, atol=1e-12)
    noisy = kg.qiskit.Estimator(seed=1).run([pub], precision=0.01).result()[0].data
    np.testing.assert_allclose(noisy.evs, theirs.evs, atol=0.06)
    assert noisy.stds.shape == ours.evs.shape and noisy.stds.any()
    measured = circuit.measure_all(inplace=False)
    for shots in (None, 4000):
        bits = kg.qiskit.Sampler(default_shots=shots, seed=1).run([(measured, values)]).result()[0].data.meas
        for k in range(5):
            wanted = QMLSampler().run([(measured, values[k])]).result()[0].data.meas.get_probabilities()
            counts = bits.get_counts(k)
            for key, chance in wanted.items():
                found = counts.get(key, 0) / sum(counts.values())
                assert found == pytest.approx(chance, abs=0.05 if shots else 1e-12)
    with pytest.raises(ValueError, match=r"'rv' has no definition|'rx' is raised"):
        kg.qiskit.EstimatorGradient().run([circuit], [SparsePauliOp("ZZ")], values[:1])
    with pytest.raises(ValueError, match="measures qubit 0"):
        kg.qiskit.Estimator().run([(measured, "ZZ", values)])


@pytest.mark.filterwarnings("ignore:splu converted|spsolve is more")
def test_an_evolution_is_the_exponential_in_the_estimator_and_its_gradient():
    operator = SparsePauliOp(["XXI", "ZIY", "IZZ", "YII"], [0.3, 0.5, -0.4, 0.7])
    circuit = asymmetric(3, 1)
    circuit.append(lib.PauliEvolutionGate(operator, A * B), [2, 0, 1])
    values = RNG(3).uniform(-1, 1, (4, 2))
    pub = (circuit, ["XIZ", "YYI", "ZII", "IXX"], values)
    ours, theirs = (
        one.run([pub]).result()[0].data.evs for one in (kg.qiskit.Estimator(), StatevectorEstimator())
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    gradient = kg.qiskit.EstimatorGradient().run([circuit], [SparsePauliOp("XIZ")], values[:1]).result()
    step = 1e-6 * np.eye(2)
    shifted = [
        StatevectorEstimator().run([(circuit, "XIZ", values[0] + s * step)]).result()[0].data.evs
        for s in (1, -1)
    ]
    np.testing.assert_allclose(gradient.gradients[0], (shifted[0] - shifted[1]) / 2e-6, atol=1e-7)


def test_an_expression_without_a_real_value_is_refused_with_its_parameters():
    circuit = QuantumCircuit(1)
    circuit.rx(A.log(), 0)
    for value in (0.0, -1.0):
        with pytest.raises(ValueError, match=r"The expression log\(a\) is an angle.*but is none at a ="):
            kg.qiskit.Estimator().run([(circuit, "Z", [[value]])]).result()


HUGE = [2.0**54, 1e26, 1e35, 1e100, 1e300]


@pytest.mark.filterwarnings("ignore:.*angles count modulo")
@pytest.mark.parametrize("size", HUGE)
def test_constants_of_any_size_are_refused_before_they_are_wrong(size):
    """By from_qiskit, or by what runs its circuit: a constant has the bounds of data."""

    def alone(gate):
        circuit = QuantumCircuit(gate.num_qubits)
        circuit.append(gate, range(gate.num_qubits))
        return circuit

    circuits = [
        alone(lib.RXGate(size)),
        alone(lib.RXGate(-size)),
        alone(lib.U3Gate(0.1, size, 0.2)),
        alone(lib.CRXGate(size)),
        alone(lib.PauliEvolutionGate(SparsePauliOp(["X"], [size]), 0.5)),
        alone(lib.PauliEvolutionGate(SparsePauliOp(["X", "Z"], [size, 1]), 2.0)),
        alone(lib.PauliEvolutionGate(SparsePauliOp(["X", "Z"], [1, 1]), size)),
    ]
    for circuit in circuits:
        label = "Z" * circuit.num_qubits
        measured = circuit.measure_all(inplace=False)
        for action in (
            lambda c=circuit, z=label: kg.qiskit.Estimator().run([(c, z)]).result(),
            lambda c=circuit, z=label: kg.qiskit.Estimator().run([(c, z)], precision=0.1).result(),
            lambda c=circuit, z=label: kg.qiskit.EstimatorGradient().run([c], [Pauli(z)], [[]]).result(),
            lambda c=measured: kg.qiskit.Sampler().run([c]).result(),
            lambda c=measured: kg.qiskit.Sampler(default_shots=None).run([c]).result(),
        ):
            with pytest.raises(kg.KetgradError, match="must lie within"):
                action()
    free = QuantumCircuit(1)
    free.rx(A**3, 0)
    with pytest.raises(kg.KetgradError, match=r"must lie within|finite real number"):
        kg.qiskit.Estimator().run([(free, "Z", [size])]).result()


@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_coefficients_that_are_not_finite_are_refused():
    for size in (np.inf, -np.inf, np.nan):
        for operator in (SparsePauliOp(["ZX", "II"], [size, 1]), SparseObservable.from_list([("Z0", size)])):
            for action in (
                lambda op=operator: kg.qiskit.from_sparse_pauli_op(op),
                lambda op=operator: (
                    kg.qiskit.EstimatorGradient().run([QuantumCircuit(2)], [op], [[]]).result()
                ),
            ):
                with pytest.raises(kg.KetgradError, match="must be finite"):
                    action()
    with pytest.raises(kg.KetgradError, match="add up"):
        kg.qiskit.Estimator().run([(QuantumCircuit(1), SparsePauliOp(["Z"], [1e300]))]).result()


# -- gradients


def test_gradients_take_as_many_values_as_the_circuit_has_parameters_and_observables_of_its_size():
    measured = ansatz()
    measured.measure_all()
    h = SparsePauliOp("ZII")
    runs = {
        "estimator": lambda rows, op=h: kg.qiskit.EstimatorGradient().run(
            [ansatz()] * len(rows), [op] * len(rows), rows
        ),
        "sampler": lambda rows: kg.qiskit.SamplerGradient().run([measured] * len(rows), rows),
    }
    for run in runs.values():
        for rows in (
            [[0.1] * 7],
            [[0.1] * 5],
            [[]],
            [0.1],
            [[0.1] * 6, [0.1] * 7],
            [[[0.1] * 6]],
            np.zeros((2, 9)),
        ):
            with pytest.raises(ValueError, match=r"Each entry of `parameter_values` must have shape \(6,\)"):
                run(rows)
        with pytest.raises(TypeError, match="must hold real numbers"):
            run([["a"] * 6])
        with pytest.raises(ValueError, match="finite"):
            run([[0.1] * 5 + [np.nan]]).result()
    for operator in (SparsePauliOp("ZZ"), Pauli("ZIII"), "ZIII", SparseObservable("Z")):
        with pytest.raises(ValueError, match="`observables` must act on the 3 qubits of the circuit"):
            runs["estimator"]([[0.1] * 6], operator)


def test_the_gradient_is_the_derivative_by_each_parameter():
    circuit, step = ansatz(), 1e-6
    job = kg.qiskit.EstimatorGradient().run(
        [circuit] * 3,
        [H3, H3, SparsePauliOp("ZZZ")],
        ROWS[:3],
        [None, list(circuit.parameters)[4:1:-1], None],
    )
    estimator = StatevectorEstimator()
    gradients = job.result().gradients
    assert [len(g) for g in gradients] == [6, 3, 6]
    for k, (observable, columns) in enumerate(((H3, range(6)), (H3, (4, 3, 2)), ("ZZZ", range(6)))):
        shifted = ROWS[k] + step * np.eye(6)[list(columns)][:, None] * np.array([1, -1])[:, None]
        values = estimator.run([(circuit, observable, shifted)]).result()[0].data.evs
        np.testing.assert_allclose(gradients[k], (values[:, 0] - values[:, 1]) / (2 * step), atol=1e-8)


def test_the_gradient_takes_one_native_call_for_a_circuit_and_an_observable():
    counting, circuit = Counting(), ansatz()
    kg.qiskit.EstimatorGradient(executor=counting).run([circuit] * 5, [H3] * 5, ROWS).result()
    assert (counting.runs, counting.derivatives) == ([], [5])


def test_the_gradient_of_a_sampler_is_the_derivative_of_each_outcome():
    circuit, bits, step = ansatz(), ClassicalRegister(4, "c"), 1e-6
    circuit.add_register(bits)
    for bit, qubit in ((0, 2), (3, 0), (1, 2)):  # bit 2 is never written, and two bits read qubit 2
        circuit.measure(qubit, bits[bit])
    chosen = list(circuit.parameters)[4:1:-1]
    job = kg.qiskit.SamplerGradient().run([circuit] * 2, ROWS[:2], [None, chosen])
    unmeasured = circuit.remove_final_measurements(inplace=False)

    def chances(row):
        state = Statevector(unmeasured.assign_parameters(row)).probabilities([2, 0])
        return {(k & 1) * 0b0011 + (k >> 1) * 0b1000: chance for k, chance in enumerate(state)}

    for k, columns in enumerate((range(6), (4, 3, 2))):
        gradients = job.result().gradients[k]
        assert len(gradients) == len(columns)
        for found, column in zip(gradients, columns, strict=True):
            above, below = (chances(ROWS[k] + sign * step * np.eye(6)[column]) for sign in (1, -1))
            assert found.keys() == above.keys()
            for outcome, value in found.items():
                assert value == pytest.approx((above[outcome] - below[outcome]) / (2 * step), abs=1e-8)


def test_parameters_that_drop_out_of_a_circuit_are_accepted():
    circuit = QuantumCircuit(1)
    circuit.ry(A, 0)
    circuit.rz(B - B + 0.1, 0)
    circuit.rx(C * B, 0)
    circuit.data.pop()
    circuit.rz(0 * C + A, 0)
    values = RNG(0).uniform(-1, 1, (2, circuit.num_parameters))
    ours = kg.qiskit.Estimator().run([(circuit, "X", values)]).result()[0].data.evs
    np.testing.assert_allclose(
        ours, StatevectorEstimator().run([(circuit, "X", values)]).result()[0].data.evs
    )
    assert (
        len(kg.qiskit.EstimatorGradient().run([circuit], [SparsePauliOp("X")], values[:1]).result().gradients)
        == 1
    )


def test_an_expression_that_is_a_negative_number_is_read_though_qiskit_cannot_hash_it():
    angle = Parameter("a")
    circuit = QuantumCircuit(1, global_phase=-(angle * 0 + 0.3))
    circuit.ry(-(angle * 0 + 0.3), 0)
    circuit.rx(angle, 0)
    (result,) = kg.qiskit.Estimator().run([(circuit, "Z", [0.4])]).result()
    np.testing.assert_allclose(result.data.evs, np.cos(0.3) * np.cos(0.4), atol=1e-12)
    slopes = kg.qiskit.EstimatorGradient().run([circuit], [SparsePauliOp("Z")], [[0.4]]).result().gradients[0]
    np.testing.assert_allclose(slopes, [-np.cos(0.3) * np.sin(0.4)], atol=1e-12)
