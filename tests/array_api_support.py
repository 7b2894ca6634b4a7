"""What every estimator does with arrays of which library, declared once.

`tests/estimators/test_array_api.py` (and `tests/gpu` for CuPy) run a test for each declaration,
and ``python -m tests.array_api_support`` writes them as a table to docs/array_api.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

NAMESPACES = ("numpy", "torch", "cupy", "array_api_strict")
THERE, HOST, NUMPY, NO = "there", "host", "numpy", "no"
WORDS = {
    THERE: "yes",
    HOST: "yes, computed on the host",
    NUMPY: "NumPy result",
    NO: "no",
}


class Declared(NamedTuple):
    """How an estimator's method treats arrays that are not NumPy's."""

    estimator: str
    operation: str
    how: str
    note: str = ""


DECLARED = (
    Declared("CategoricalHMM", "fit", THERE, "E-steps there; counts of n-grams on the host"),
    Declared("CategoricalHMM", "score", NUMPY, "a float, from the exact recursion on the host"),
    Declared("CategoricalHMM", "predict", HOST),
    Declared("CategoricalHMM", "predict_proba", HOST),
    Declared("CategoricalHMM", "predict_next", HOST),
    Declared("ObservableOperatorModel", "score", NUMPY, "a float; all is computed on the host"),
    Declared("ObservableOperatorModel", "score_samples", HOST),
    Declared("ObservableOperatorModel", "predict_next", HOST),
    Declared("MLPRegressor", "fit", THERE, "vectors of L-BFGS on the host"),
    Declared("MLPRegressor", "predict", THERE),
    Declared("MLPRegressor", "partial_fit", THERE, "vectors of Adam on the host"),
    Declared("MLPClassifier", "fit", THERE, "labels may be NumPy's; vectors of L-BFGS on the host"),
    Declared("MLPClassifier", "predict", HOST, "strings come back in NumPy"),
    Declared("MLPClassifier", "predict_proba", HOST),
    Declared("EquilibriumMLPRegressor", "fit", THERE, "norm of W and steps on the host"),
    Declared("EquilibriumMLPRegressor", "predict", THERE),
    Declared("EquilibriumMLPClassifier", "fit", THERE, "norm of W and steps on the host"),
    Declared("EquilibriumMLPClassifier", "predict", HOST, "strings come back in NumPy"),
    Declared("EquilibriumMLPClassifier", "predict_proba", THERE),
    Declared("EquilibriumPropagationClassifier", "fit", THERE, "steps of Adam on the host"),
    Declared("EquilibriumPropagationClassifier", "predict", HOST, "strings come back in NumPy"),
    Declared("EquilibriumPropagationClassifier", "predict_proba", THERE),
    Declared("TensorFeatures", "fit", THERE),
    Declared("TensorFeatures", "partial_fit", THERE),
    Declared("TensorFeatures", "transform", THERE),
)


def page() -> str:
    """Write the declarations as a page."""
    lines = [
        "# Arrays of other libraries",
        "",
        "Generated from the declarations that the tests run (`tests/array_api_support.py`) by",
        "`python -m tests.array_api_support`; do not edit.",
        "",
        "*yes*: computed in the library and on the device of X, and the result stays there. *yes,",
        "computed on the host*: the result is handed back to where X lives. Columns are tested",
        "with PyTorch on the CPU, array-api-strict on its second device (which forbids silent",
        "copies), and CuPy where there is a GPU (`make test-gpu`).",
        "",
        f"| estimator | operation | {' | '.join(NAMESPACES)} | note |",
        f"|---|---|{'---|' * len(NAMESPACES)}---|",
    ]
    for estimator, operation, how, note in DECLARED:
        cells = ["yes", *[WORDS[how]] * (len(NAMESPACES) - 1)]
        lines.append(f"| `{estimator}` | `{operation}` | {' | '.join(cells)} | {note} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path("docs/array_api.md").write_text(page())
