"""What the default models reach on scikit-learn's bundled sets: 5-fold mean and deviation, seconds per fit.

python benchmarks/defaults.py [SET ...]; one thread. The linear model is the yardstick: logistic regression (C = 1) or
ridge (alpha = 1) after standardisation. Accuracy, or R^2 for diabetes. The defaults of regularisation and of the number
of qubits were chosen on the first five sets, so their scores are a little optimistic; digits took no part in it.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
from sklearn import datasets
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ketgrad as kg

SETS = ("iris", "wine", "breast_cancer", "moons", "diabetes", "digits")


def contestants(regression: bool) -> dict:
    """The linear yardstick, the default models, and the variational model without entanglers."""
    variational = kg.VariationalRegressor if regression else kg.VariationalClassifier
    kernel = kg.KernelRegressor if regression else kg.KernelClassifier
    linear = Ridge() if regression else LogisticRegression(max_iter=1000)
    return {
        "linear": make_pipeline(StandardScaler(), linear),
        "variational": variational(random_state=0, threads=1),
        "without entanglers": variational(random_state=0, threads=1, entangle=False),
        "fidelity kernel": kernel(threads=1),
        "projected kernel": kernel(threads=1, kernel="projected"),
    }


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features and targets of a bundled set."""
    if name == "moons":
        return datasets.make_moons(300, noise=0.2, random_state=0)
    return getattr(datasets, f"load_{name}")(return_X_y=True)


def main() -> None:
    """Print one line per set and model."""
    warnings.filterwarnings("ignore", message=".*are constant and tell nothing", category=UserWarning)
    for name in sys.argv[1:] or SETS:
        features, targets = load(name)
        regression = name == "diabetes"
        folds = (KFold if regression else StratifiedKFold)(5, shuffle=True, random_state=0)
        for label, model in contestants(regression).items():
            scores, seconds = [], 0.0
            for train, test in folds.split(features, targets):
                began = time.process_time()
                model.fit(features[train], targets[train])
                seconds += (time.process_time() - began) / 5
                scores.append(model.score(features[test], targets[test]))
            print(
                f"{name:14} {label:19} {np.mean(scores):.3f} +- {np.std(scores):.3f} {seconds:6.2f} s per fit"
            )


if __name__ == "__main__":
    main()
