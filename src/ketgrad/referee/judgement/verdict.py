"""From the pairs to the verdict: on each quantum model, and on the best of them."""

from __future__ import annotations

from collections.abc import Sequence

from ketgrad.referee.judgement.pairs import best_of, find, kind_of
from ketgrad.referee.judgement.verdict_sentence import entanglement_sentence, reasons_of, sentence_of
from ketgrad.referee.results import Model, ModelVerdict, PairedDifference, Protocol, Verdict


def judge(models: Sequence[Model], pairs: Sequence[PairedDifference], protocol: Protocol) -> Verdict:
    """The verdict: on each quantum model, and on the best of them."""
    quantum = [model for model in models if model.family == "quantum"]
    best_classical = best_of([model for model in models if model.family == "classical"], protocol)
    best_quantum = best_of(quantum, protocol)
    if best_quantum is None or best_classical is None:
        return _no_contest(best_quantum, best_classical)
    verdicts = tuple(_judge_one(model, best_classical, models, pairs, protocol) for model in quantum)
    main = next(item for item in verdicts if item.model == best_quantum.name)
    against = find(pairs, best_quantum.name, "best classical")
    return Verdict(
        kind=main.kind,
        sentence=main.sentence,
        reasons=reasons_of(best_quantum, best_classical, against, models, pairs, protocol),
        entanglement=main.entanglement,
        entanglement_kind=main.entanglement_kind,
        best_quantum=best_quantum.name,
        best_classical=best_classical.name,
        minimal_detectable_difference=against.detectable if against else None,
        models=verdicts,
    )


def _no_contest(best_quantum: Model | None, best_classical: Model | None) -> Verdict:
    missing = "quantum" if best_quantum is None else "classical"
    return Verdict(
        kind="undecided",
        sentence=f"Nothing can be said: no {missing} model has a score.",
        reasons=(),
        entanglement="Whether entanglement helps was not tested.",
        entanglement_kind="not tested",
        best_quantum=best_quantum.name if best_quantum else None,
        best_classical=best_classical.name if best_classical else None,
        minimal_detectable_difference=None,
        models=(),
    )


def _judge_one(
    model: Model,
    rival: Model,
    models: Sequence[Model],
    pairs: Sequence[PairedDifference],
    protocol: Protocol,
) -> ModelVerdict:
    against = find(pairs, model.name, "best classical")
    kind = "undecided" if against is None else kind_of(against)
    entanglement, entanglement_kind = entanglement_sentence(model, pairs, protocol)
    sentence = sentence_of(kind, model, rival, against, protocol)
    if kind == "better" and entanglement_kind != "helps":
        sentence += (
            " This is not shown to be due to entanglement: " + entanglement[0].lower() + entanglement[1:]
        )
    return ModelVerdict(
        model=model.name,
        against=rival.name,
        kind=kind,
        sentence=sentence,
        entanglement=entanglement,
        entanglement_kind=entanglement_kind,
    )
