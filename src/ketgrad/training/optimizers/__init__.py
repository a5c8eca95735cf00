"""Optimisers: frozen values with one method, `run(search, start, rng)`, that say what they need of a loss.

An optimiser asks `search` for values and gradients and tells it when a step is done; `search` keeps the best point and
the history and decides when to stop.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.tables import Table
from ketgrad.training.run import Run

# One row for each: it is then on `kg` and `kg.optimize`, in saved files, in the tests and in the documentation.
OPTIMIZERS = Table(
    {
        "Adam": "ketgrad.training.optimizers.adam:Adam",
        "LBFGSB": "ketgrad.training.optimizers.scipy:LBFGSB",
        "SPSA": "ketgrad.training.optimizers.spsa:SPSA",
        "COBYLA": "ketgrad.training.optimizers.scipy:COBYLA",
    }
)


class Optimizer(Protocol):
    """What `minimise` needs of an optimiser.

    uses_gradients: whether it calls `search.value_and_gradient`; False if it asks for values alone. It may be left out
    (then True is assumed where the cost of a fit is told); no gradient is computed before it is asked for.
    needs_exact_loss: None, or why a loss must have the same value whenever it is asked, as a clause: such an optimiser
    is refused for losses with noise. May be left out, too.
    """

    uses_gradients: ClassVar[bool]
    needs_exact_loss: ClassVar[str | None]

    def run(self, search: Run, start: np.ndarray, rng: np.random.Generator) -> None:
        """Search from `start`, a flat array, until `search` ends it or the method itself does."""
        ...


def optimizer_named(optimizer: Any) -> Optimizer:
    """The optimiser of that name, with its defaults; one that is given passes unchanged.

    Names are those of `OPTIMIZERS`, also in lower case. Raises `KetgradValueError` with all names for another one,
    and `KetgradTypeError` for what is neither a name nor has a method `run(search, start, rng)`.

    >>> optimizer_named("adam"), optimizer_named(kg.SPSA(perturbation=0.2)).perturbation
    (Adam(learning_rate=0.05, beta1=0.9, beta2=0.999, epsilon=1e-08), 0.2)
    """
    if isinstance(optimizer, str):
        names = {name.lower(): name for name in OPTIMIZERS}
        name = optimizer if optimizer in OPTIMIZERS else names.get(optimizer)
        if name is None:
            raise KetgradValueError(
                f"There is no optimiser {optimizer!r}. The names are {', '.join(map(repr, names))}."
            )
        return OPTIMIZERS[name]()
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "run", None)):
        raise KetgradTypeError(
            "`optimizer` must be an optimiser such as kg.Adam(0.05), a name such as 'adam', or None, but is "
            f"{shown(optimizer)}."
        )
    return optimizer


def uses_gradients(optimizer: Optimizer) -> bool:
    """Whether an optimiser asks for gradients, as far as it says so.

    >>> uses_gradients(kg.Adam()), uses_gradients(kg.COBYLA())
    (True, False)
    """
    return bool(getattr(optimizer, "uses_gradients", True))
