"""Every kind of question: facts that fit together, one judge of what is asked, and programs that executors answer."""

import pickle

import numpy as np
import pytest
from programs import random_circuit, random_observable

import ketgrad as kg
from ketgrad.executors import get
from ketgrad.executors.state_vectors import READOUTS
from ketgrad.programs.lowering import compile
from ketgrad.programs.question import ComposedQuestion, Question
from ketgrad.programs.questions import QUESTIONS, Expect, Probabilities, Samples, State, Variance, unpacked

EXAMPLES: dict[type[Question], Question] = {
    Expect: Expect((kg.Pauli("Z0"), kg.Pauli("0.5 X0 Y2 - 2"))),
    Probabilities: Probabilities((2, 0)),
    State: State(),
    Samples: Samples(7),
    Variance: Variance((kg.Pauli("Z0"), kg.Pauli("0.5 X0 Y2 + Z0 - 2"))),
}
every = pytest.mark.parametrize("kind", QUESTIONS, ids=lambda kind: kind.__name__)
CIRCUIT = random_circuit(3, 10, 3)


@every
def test_a_kind_has_an_example_and_says_every_fact(kind):
    question = EXAMPLES[kind]
    question.check(3)
    assert question.text() and question.num_outputs(3) >= 1 and kind.outputs
    assert pickle.loads(pickle.dumps(question)) == question
    assert hash(question) == hash(EXAMPLES[kind])
    assert not (kind.is_drawn and kind.differentiable) and not (kind.is_complex and kind.measurable)
    assert question.table_qubits(3) in (0, int(np.log2(question.num_outputs(3))))


@every
def test_its_program_asks_what_its_base_asks(kind):
    question = EXAMPLES[kind]
    program = compile(CIRCUIT, question)
    assert program.question == question.base == question.base.base
    assert program.num_outputs == question.base.num_outputs(3)
    assert (question.base is question) != isinstance(question, ComposedQuestion)
    for name, array in question.arrays(3)._asdict().items():
        np.testing.assert_array_equal(getattr(program, name), array)
        np.testing.assert_array_equal(getattr(compile(CIRCUIT, State()).asking(question), name), array)
    assert program.reads_words is bool(question.base.observables)
    assert question.base.sees_everything is not (program.reads_words or len(program.measured) > 0)
    assert question.sees_everything is question.base.sees_everything


@every
def test_an_exact_executor_answers_it_or_refuses_it_in_words(kind):
    program = compile(CIRCUIT, EXAMPLES[kind])
    rows = np.full((2, program.num_weights), 0.3), np.full((2, program.num_inputs), 0.4)
    for name in ("reference", "native"):
        if program.question.is_drawn:
            with pytest.raises(TypeError, match="is exact and draws no samples"):
                get(name).run(program, *rows)
            continue
        assert type(program.question) in READOUTS
        found = get(name).run(program, *rows)
        assert found.shape == (2, program.num_outputs)
        assert np.iscomplexobj(found) is program.question.is_complex
        bound = program.value_size * (1 + 1e-12)
        assert (np.abs(found) <= bound).all()


@pytest.mark.parametrize("kind", [kind for kind in QUESTIONS if issubclass(kind, ComposedQuestion)])
def test_the_chain_rule_of_a_composed_question_is_that_of_its_values(kind):
    """Its derivative, the transpose, and how that changes: against differences of its values."""
    question, rng, step = EXAMPLES[kind], np.random.default_rng(0), 1e-6
    base, change, other = rng.normal(size=(3, 5, question.base.num_outputs(3)))
    cotangent = rng.normal(size=(5, question.num_outputs(3)))
    slope = (question.values(base + step * change) - question.values(base - step * change)) / (2 * step)
    found = question.tangents(base, change)
    np.testing.assert_allclose(found, slope, atol=1e-8)
    pulled = question.pulled_back(base, cotangent)
    np.testing.assert_allclose((pulled * change).sum(axis=1), (cotangent * found).sum(axis=1), atol=1e-12)
    ahead, behind = (question.pulled_back(base + sign * step * other, cotangent) for sign in (1, -1))
    np.testing.assert_allclose(
        question.pulled_back_change(base, other, cotangent), (ahead - behind) / (2 * step), atol=1e-8
    )


WRONG = {
    "no sum": (
        Expect(("Z0",)),
        TypeError,
        r"`observables` must be a Pauli sum, but is str. Write kg.Pauli\('Z0'\)",
    ),
    "outside": (Expect((kg.Pauli("Z0"), kg.Pauli("X3"))), IndexError, r"`observables\[1\]` reads qubit 3"),
    "imaginary": (Expect((kg.Pauli("1j Z0"),)), ValueError, "`observables` must be Hermitian"),
    "too large": (Expect((kg.Pauli("Z0") * 2.0**501,)), ValueError, r"sizes add up to 3e\+150 at most"),
    "no qubit": (Probabilities(()), ValueError, "at least one qubit"),
    "qubit outside": (
        Probabilities((0, 3)),
        IndexError,
        r"`qubits\[1\]` is 3, but the circuit has qubits 0 to 2",
    ),
    "negative": (Probabilities((-1,)), IndexError, r"`qubits\[0\]` is -1"),
    "no shots": (Samples(0), ValueError, r"`shots` must be an integer from 1 to 2\^53, but is 0"),
    "twice": (Probabilities((2, 0, 2)), ValueError, "names qubit 2 twice"),
}


@pytest.mark.parametrize("case", WRONG)
def test_there_is_one_judge_of_a_question_on_every_way(case):
    question, error, words = WRONG[case]
    function = kg.Circuit(CIRCUIT.ops, 3)
    ways = (
        lambda: question.check(3),
        lambda: compile(function, question),
        lambda: compile(function, State()).asking(question),
        lambda: kg.Function(function, question, "native"),
    )
    for way in ways:
        with pytest.raises(error, match=words) as refusal:
            way()
        assert isinstance(refusal.value, kg.KetgradError)


def test_rounding_is_judged_once_relative_to_the_largest_coefficient():
    """A deviation from Hermitian of 1e-13 of the size passes the function, the program and the executors."""
    nearly = kg.Pauli("1000 Z0") + kg.Pauli("1e-10j X0")
    circuit = kg.Circuit([kg.ry(kg.w[0], 0)])
    for executor in ("native", "reference"):
        np.testing.assert_allclose(
            kg.expectation(circuit, nearly, executor=executor)([0.3]), 1000 * np.cos(0.3), rtol=1e-12
        )
    np.testing.assert_allclose(kg.variance(circuit, nearly)([0.3]), 1e6 * np.sin(0.3) ** 2, rtol=1e-9)
    assert kg.ProjectedKernel(kg.Circuit([kg.ry(kg.x[0], 0)]), observables=nearly)([[0.1]]).shape == (1, 1)


def test_the_variance_of_random_sums_reads_the_words_of_the_squares_without_the_identity():
    for seed in range(5):
        observable = random_observable(3, 5, seed) + 7
        first, second = Variance((observable,)).base.observables
        assert all(x | z for x, z, _ in first.terms)
        np.testing.assert_allclose(second.matrix(3), np.linalg.matrix_power(first.matrix(3), 2), atol=1e-12)


def test_outcomes_are_unpacked_with_qubit_0_first():
    outcomes = np.array([[5, 2], [0, 7]], np.uint64)
    wanted = [[[1, 0, 1], [0, 1, 0]], [[0, 0, 0], [1, 1, 1]]]
    assert unpacked(outcomes, 3).tolist() == wanted and unpacked(outcomes, 3).dtype == np.uint8


def test_anything_else_is_no_question():
    *first, last = (kind.__name__ for kind in QUESTIONS)
    with pytest.raises(TypeError, match=f"`question` must be an {', '.join(first)} or {last}, but is str"):
        compile(CIRCUIT, "Z0")  # type: ignore[arg-type]
