"""Spoken digits, a hidden Markov model for each: a grid search, and what it gets right held out.

Ours is ``GridSearchCV`` around ``HMMClassifier``. Its rivals are sequentia's ``HMMClassifier`` and
a plain loop over hmmlearn's ``GaussianHMM``, for which the search is done here, on the same grid
and the same folds: they are not charged for the overhead of a search. All models are diagonal, with
the same prior of variances and the same tolerance; classes are as frequent as in training. A rival
takes its own start, once. A full run takes about 10 minutes.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from bench import ours_series
from bench.harness import Report, main
from bench.rivals import hmmlearn_series, sequentia
from bench.series_data import digits, digits_said
from spectral_estimators import GaussianHMM, HMMClassifier

GRID = (3, 5)
N_FOLDS = 3
N_ITER = 100
SECONDS = 1 / 8  # of the fastest rival

Recordings = list[NDArray[np.float64]]
Predict = Callable[[Recordings], NDArray[Any]]
RIVALS = {"sequentia": sequentia.classifier, "hmmlearn, a loop": hmmlearn_series.classifier}


class Found(NamedTuple):
    """What a search found: the number of states, its accuracy in the folds, and the classifier."""

    n_components: int
    accuracy: float
    predict: Predict


def run(grid: tuple[int, ...] = GRID, n_train: int | None = None) -> Report:
    """Search with all sides, and predict what is held out; ``n_train`` recordings, to try it."""
    series, (said, said_held_out) = digits(), digits_said()
    recordings = np.split(series.rows, np.cumsum(series.lengths)[:-1])[:n_train]
    said = said[:n_train]
    assert series.test_rows is not None
    assert series.test_lengths is not None
    held_out = np.split(series.test_rows, np.cumsum(series.test_lengths)[:-1])
    folds = list(StratifiedKFold(N_FOLDS).split(np.zeros(said.size), said))
    report = Report(
        "series_classify",
        {
            "data": f"{said.size} recordings for training, {len(held_out)} held out",
            "grid": f"n_components in {grid}, {N_FOLDS} folds, then a fit to all",
            "models": f"diagonal, covars_prior={hmmlearn_series.PRIOR}, n_iter={N_ITER}, "
            f"tol={hmmlearn_series.TOL} nats, random_state=0, frequencies as priors of classes",
            "rivals": 'implementation="scaling", min_covar=0.001 at the start alone; GMMHMM of one '
            "component inside sequentia; the search is a loop on the folds of ours",
            "ours": "GaussianHMM with its other defaults, min_covar=0",
            "seconds": "of the processor, one thread: search, last fit and prediction",
        },
    )
    ours_series.warm_up()
    few = np.arange(said.size)[:20]
    for look in _searches(recordings[:20], said[few], (1,), [(few, few)]).values():
        look().predict(recordings[:20])  # imports and compiled code are `startup.py`'s
    accuracies, seconds = {}, {}
    for name, look in _searches(recordings, said, grid, folds).items():
        begin = time.process_time()
        found = look()
        right = found.predict(held_out) == said_held_out
        seconds[name] = time.process_time() - begin
        accuracies[name] = float(right.mean())
        report.add(f"{name}: states chosen", found.n_components)
        report.add(f"{name}: accuracy in the folds", found.accuracy, higher_is_better=True)
        report.add(f"{name}: accuracy held out", accuracies[name], higher_is_better=True)
        report.add(f"{name}: time", seconds[name], unit="s")
    report.add(
        "accuracy of ours less the best rival's",
        accuracies["ours"] - max(accuracies[name] for name in RIVALS),
        must=0.0,
        higher_is_better=True,
    )
    report.add(
        "time of ours over the fastest rival's",
        seconds["ours"] / min(seconds[name] for name in RIVALS),
        must=SECONDS,
        unit="x",
    )
    return report


def _searches(*problem: Any) -> dict[str, Callable[[], Found]]:
    """The search of each side, ready to run."""
    rivals = {name: partial(search_loop, fit, *problem) for name, fit in RIVALS.items()}
    return {"ours": partial(search, *problem), **rivals}


def search(recordings: Recordings, said: NDArray[Any], grid: Sequence[int], folds: Any) -> Found:
    """Search with scikit-learn's tools and our classifier."""
    settings = hmmlearn_series.covariance_settings("diag", recordings[0].shape[1])
    model = GaussianHMM(
        random_state=0, n_iter=N_ITER, tol=hmmlearn_series.TOL, **settings | {"min_covar": 0}
    )
    searched = GridSearchCV(
        HMMClassifier(model), {"estimator__n_components": list(grid)}, cv=folds, error_score="raise"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that n_iter did not suffice
        searched.fit(recordings, said)
    chosen = searched.best_params_["estimator__n_components"]
    return Found(chosen, searched.best_score_, searched.predict)


def search_loop(
    classifier: Callable[..., Predict],
    recordings: Recordings,
    said: NDArray[Any],
    grid: Sequence[int],
    folds: Any,
) -> Found:
    """The same search with the classifier of a rival."""

    def fit(chosen: NDArray[np.int64], n_components: int) -> Predict:
        mine = [recordings[i] for i in chosen]
        return classifier(mine, said[chosen], n_components, seed=0, n_iter=N_ITER)

    def accuracy(n_components: int) -> float:
        each = [
            np.mean(fit(train, n_components)([recordings[i] for i in test]) == said[test])
            for train, test in folds
        ]
        return float(np.mean(each))

    accuracies = {n_components: accuracy(n_components) for n_components in grid}
    best = max(accuracies, key=lambda n_components: accuracies[n_components])
    return Found(best, accuracies[best], fit(np.arange(said.size), best))


if __name__ == "__main__":
    main(run)
