"""The sections of the report, in their order: each is a NAME.py that computes and a NAME.jinja that words.

To add one, write the pair and put its name here. `values(facts)` answers with what the template shows beside the facts
that all sections have (None leaves the section out); its "charts" are SVG texts by name.
"""

from ketgrad.referee.report.sections import (
    cost,
    data,
    failures,
    glossary,
    limits,
    method,
    quantum_models,
    quantumness,
    ranking,
    repeat,
    verdict,
)

SECTIONS = (
    verdict,
    ranking,
    quantum_models,
    quantumness,
    cost,
    data,
    method,
    limits,
    failures,
    repeat,
    glossary,
)
