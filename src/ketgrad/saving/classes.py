"""The classes that a file may name, and what is written of each: whatever stands in a table is known by that.

A name in a file is kept for ever. Nothing else can be built by reading a file.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from ketgrad.executors.table import EXECUTORS
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.functions.gradients.table import RULES
from ketgrad.models import MODELS
from ketgrad.programs.questions import QUESTIONS
from ketgrad.training.optimizers import OPTIMIZERS

FIELDS = "fields"  # written: the fields of a dataclass that its constructor takes
SETTINGS = "settings"  # written: the same of an executor, but for its name and abilities
PARAMETERS = "parameters"  # written: the parameters of an estimator, and what it learned
SAME_FOR_ALL = ("name", "abilities")  # of an executor

# name in the file (kept for ever) -> (module, what is written of an instance)
CLASSES: Mapping[str, tuple[str, str]] = {
    "Function": ("ketgrad.functions.function", FIELDS),
    **{kind.__name__: (kind.__module__, FIELDS) for kind in QUESTIONS},
    **{name: (module, SETTINGS) for module, name in EXECUTORS.values()},
    **{name: (module, FIELDS) for name, module in RULES.items()},
    **{name: (row.partition(":")[0], FIELDS) for name, row in OPTIMIZERS.rows.items()},
    "Fit": ("ketgrad.training.run", FIELDS),
    "FidelityKernel": ("ketgrad.kernels.fidelity", FIELDS),
    "ProjectedKernel": ("ketgrad.kernels.projected", FIELDS),
    "Scaling": ("ketgrad.models.fitting.scaling", FIELDS),
    "Summary": ("ketgrad.models.fitting.summary", FIELDS),
    **{name: (row.partition(":")[0], PARAMETERS) for name, row in MODELS.rows.items()},
    "SVC": ("sklearn.svm", PARAMETERS),
    "SVR": ("sklearn.svm", PARAMETERS),
    "Pipeline": ("sklearn.pipeline", PARAMETERS),
    "PCA": ("sklearn.decomposition", PARAMETERS),
    "SimpleImputer": ("sklearn.impute", PARAMETERS),
    "StandardScaler": ("sklearn.preprocessing", PARAMETERS),
    "MinMaxScaler": ("sklearn.preprocessing", PARAMETERS),
    "MaxAbsScaler": ("sklearn.preprocessing", PARAMETERS),
    "RobustScaler": ("sklearn.preprocessing", PARAMETERS),
    "PowerTransformer": ("sklearn.preprocessing", PARAMETERS),
    "QuantileTransformer": ("sklearn.preprocessing", PARAMETERS),
    "Normalizer": ("sklearn.preprocessing", PARAMETERS),
}
ESTIMATORS = frozenset(name for name, (_, written) in CLASSES.items() if written == PARAMETERS)
NAMES = {(module, name.rpartition(".")[2]): name for name, (module, _) in CLASSES.items()}


def class_named(name: object) -> tuple[type, str]:
    """The class of that name in a file, and what is written of it.

    >>> class_named("Adam")[0] is kg.Adam
    True
    """
    if not isinstance(name, str) or name not in CLASSES:
        raise KetgradValueError(
            f"The file names the class {str(name)[:40]!r}, which no ketgrad file may build."
        )
    module, written = CLASSES[name]
    return getattr(importlib.import_module(module), name.rpartition(".")[2]), written


def name_of(kind: type) -> str | None:
    """The name of a class in files; None if files know none.

    A class of another library may be defined in a private module of its package.

    >>> name_of(type(kg.SPSA())), name_of(type(kg.gradients.SPSA())), name_of(dict)
    ('SPSA', 'gradients.SPSA', None)
    """
    if name := NAMES.get((kind.__module__, kind.__name__)):
        return name
    for name, (module, _) in CLASSES.items():
        package = module.partition(".")[0]
        if name == kind.__name__ and package != "ketgrad" and kind.__module__.startswith(f"{package}."):
            return name if getattr(importlib.import_module(module), name, None) is kind else None
    return None


def written_fields(kind: type, written: str) -> tuple[str, ...]:
    """The fields of an instance that a file holds, where it is no estimator.

    >>> written_fields(type(kg.executors.get("native")), SETTINGS)
    ('instruction_set',)
    """
    if not is_dataclass(kind):
        return ()
    names = (field.name for field in fields(kind) if field.init)
    return tuple(name for name in names if written != SETTINGS or name not in SAME_FOR_ALL)
