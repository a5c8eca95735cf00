"""Where torch.compile stops before the call of a circuit and goes on behind it.

A module of its own, imported when torch.compile first comes by: the compiler takes seconds to load.
"""

from __future__ import annotations

from typing import Any

import torch

from ketgrad.bridges.torch.calls import checked_call, refuse_graph

REASON = (
    "a circuit of ketgrad runs outside of PyTorch, where no graph can hold it: compile without fullgraph=True"
)

_break: Any = torch.compiler.disable(checked_call, reason=REASON)


def outside_of_graphs(*arguments: Any) -> Any:
    """The values, behind a graph break; `KetgradValueError` where the graph is exported as a whole."""
    if torch.compiler.is_exporting():
        raise refuse_graph("torch.export")
    return _break(*arguments)
