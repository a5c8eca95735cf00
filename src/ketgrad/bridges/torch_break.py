"""Where torch.compile stops before the call of a circuit and goes on behind it.

A module of its own, imported when torch.compile first comes by: the compiler takes seconds to load.
"""

from __future__ import annotations

from typing import Any

import torch

from ketgrad.bridges.torch import apply

outside_of_graphs: Any = torch.compiler.disable(apply)
