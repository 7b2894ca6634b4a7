"""Labels of a few rows, spread over a graph of neighbours: beside scikit-learn's power iteration.

Both sides are given the same nearest neighbours. Of the rows that have labels, some are held out to
choose alpha; then all are used, and unlabelled rows are what accuracy is measured on.
"""

import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from bench.harness import Report, confine_to_one_thread, main
from bench.mnist_data import mnist
from bench.rivals import sklearn_labels
from spectral_estimators import LabelPropagation, LabelSpreading

ALPHAS = (0.2, 0.5, 0.8, 0.9, 0.95, 0.99)
HELD_OUT = 0.3  # of the labelled rows, to choose alpha
N_NEIGHBORS = 10
TO_CONVERGENCE = 10_000  # steps of power iteration; scikit-learn's default is 30 with alpha
EIGENVECTORS = {10: 100, 100: 20}  # their number, and the most restarts of Lanczos iteration
N_LARGE = 700_000
THEIRS = "scikit-learn"
BRIEFLY = "scikit-learn's default of 30 steps"

Fit = Callable[[Any, NDArray[np.int64], float | None], tuple[NDArray[np.int64], float, int]]


class Problem(NamedTuple):
    """Rows, and how many of them have a label.

    Attributes
    ----------
    load : returns rows and labels.
    n_labelled : drawn at random.
    seeds : of the draws.
    """

    load: Callable[[], tuple[NDArray, NDArray[np.int64]]]
    n_labelled: int
    seeds: tuple[int, ...]


class Outcome(NamedTuple):
    """What a side made of one draw.

    Attributes
    ----------
    accuracy : of unlabelled rows
    alpha : chosen
    last : seconds of the fit with all labels
    total : seconds of that and of those that alpha was chosen by
    n_iter : steps of the last fit
    """

    accuracy: float
    alpha: float | None
    last: float
    total: float
    n_iter: int


def spirals(n: int = 20_000) -> tuple[NDArray, NDArray[np.int64]]:
    """Two arms of a thin spiral, pi apart, with noise of 0.4."""
    rng = np.random.default_rng(100)
    arm = np.arange(n) % 2
    angle = 4 * np.pi * np.sqrt(rng.random(n)) + 1
    radius = angle * (1 - 2 * arm)
    X = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return X + 0.4 * rng.standard_normal(X.shape), arm


def _images() -> tuple[NDArray, NDArray[np.int64]]:
    data = mnist()
    return data.X_train, data.y_train


PROBLEMS = {
    "digits": Problem(lambda: load_digits(return_X_y=True), 90, (100, 101, 102)),
    "spirals": Problem(spirals, 100, (100, 101, 102)),
    "MNIST": Problem(_images, 600, (100,)),
}


def run(names: tuple[str, ...] = tuple(PROBLEMS), large: bool = True) -> Report:
    """Fit both sides to every draw of every problem, and ours to a large graph."""
    report = Report(
        "labels",
        {
            "graph": f"the {N_NEIGHBORS} nearest rows, itself among them, by NearestNeighbors for "
            "both sides; scikit-learn takes its directions, ours the mean of both",
            "ours": "conjugate gradients, tol 1e-3; float32 on MNIST, as its rows are",
            "scikit-learn": f"power iteration to tol 1e-3, max_iter {TO_CONVERGENCE}, which the "
            "default of 30 with alpha does not reach above .8; LabelPropagation at its 1000",
            "alphas": f"{ALPHAS}, by the accuracy on {HELD_OUT:.0%} of the labelled rows; "
            "of those that are as good the one in the middle",
            "labelled": {name: problem.n_labelled for name, problem in PROBLEMS.items()},
            "seconds": "of the processor, one thread",
        },
    )
    _warm_up()
    for name in names:
        _measure(report, name, PROBLEMS[name])
    if large:
        command = [sys.executable, "-m", "bench.labels", "large"]
        figures = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds, gigabytes, accuracy, n_iter = map(float, figures.split())
        label = f"{N_LARGE:,} rows, graph given"
        report.add(f"{label}: seconds of one core", seconds, must=60, unit="s")
        report.add(f"{label}: peak memory", gigabytes, must=8, unit="GiB")
        report.add(f"{label}: accuracy", 100 * accuracy, unit="%")
        report.add(f"{label}: steps", n_iter)
    return report


def _warm_up() -> None:
    """Compile what conjugate gradients need, in both precisions."""
    for dtype in (np.float32, np.float64):
        LabelPropagation().fit(np.zeros((3, 1), dtype), [0, 1, -1])


def _measure(report: Report, name: str, problem: Problem) -> None:
    """Add the rows of one problem."""
    X, y = problem.load()
    begin = time.process_time()
    finder = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(X)
    directed = sparse.csr_array(finder.kneighbors_graph(X, N_NEIGHBORS))
    neighbours = time.process_time() - begin
    begin = time.process_time()
    undirected = sparse.csr_array(directed + directed.T).astype(X.dtype)
    mean = time.process_time() - begin
    report.add(f"{name}: neighbours, the same for both sides", neighbours, unit="s")
    for method, alphas in {"spreading": ALPHAS, "propagation": (None,)}.items():
        sides: dict[str, list[Outcome]] = {"ours": [], THEIRS: []}
        if method == "spreading":
            sides[BRIEFLY] = []
        for seed in problem.seeds:
            labels = _draw(y, problem.n_labelled, seed)
            for side, outcomes in sides.items():
                graph = undirected if side == "ours" else directed
                outcomes.append(_choose(FITS[side], graph, labels, y, alphas, seed))
        _compare(report, f"{name}, {method}", sides, neighbours, mean)
    if name == "spirals":
        _show_eigenvectors(report, name, problem, undirected, y)


def _compare(
    report: Report, label: str, sides: dict[str, list[Outcome]], neighbours: float, mean: float
) -> None:
    """Add the rows of one method on one problem."""

    def average(side: str, figure: str) -> float:
        return float(np.mean([getattr(one, figure) for one in sides[side]]))

    def points_ahead(side: str) -> float:
        return 100 * (average("ours", "accuracy") - average(side, "accuracy"))

    report.add(f"{label}: accuracy of ours", 100 * average("ours", "accuracy"), unit="%")
    report.add(
        f"{label}: accuracy less scikit-learn's",
        points_ahead(THEIRS),
        must=0,
        unit="points",
        higher_is_better=True,
    )
    ours, theirs = average("ours", "total") + mean, average(THEIRS, "total")
    report.add(
        f"{label}: time, choice of alpha and fit, neighbours given",
        ours / theirs,
        must=1 / 5,
        reach=1 / 20,
        unit="x",
    )
    report.add(
        f"{label}: the same with neighbours, found once on either side",
        (ours + neighbours) / (theirs + neighbours),
        unit="x",
    )
    last = average("ours", "last") / average(THEIRS, "last")
    report.add(f"{label}: time of the last fit alone", last, unit="x")
    if BRIEFLY in sides:
        report.add(
            f"{label}: accuracy less that of {BRIEFLY}", points_ahead(BRIEFLY), unit="points"
        )
        brief = ours / average(BRIEFLY, "total")
        report.add(f"{label}: time against {BRIEFLY}", brief, unit="x")
    report.details[label] = {
        side: [one._asdict() for one in outcomes] for side, outcomes in sides.items()
    }


def _show_eigenvectors(
    report: Report, name: str, problem: Problem, graph: sparse.csr_array, y: NDArray[np.int64]
) -> None:
    """Add what a few eigenvectors of the graph come to, on one draw."""
    labels = _draw(y, problem.n_labelled, problem.seeds[0])
    for count, max_iter in EIGENVECTORS.items():
        models = {
            "propagation": LabelPropagation("precomputed"),
            "spreading, alpha .99": LabelSpreading("precomputed", alpha=0.99),
        }
        for method, model in models.items():
            model.set_params(solver="eigen", n_eigenvectors=count, max_iter=max_iter)
            seconds, found = _timed(model, graph, labels)
            label = f"{name}, {method}, {count} eigenvectors"
            report.add(f"{label}: accuracy", 100 * _hits(found, y, labels), unit="%")
            report.add(f"{label}: seconds", seconds, unit="s")


def _draw(y: NDArray[np.int64], n_labelled: int, seed: int) -> NDArray[np.int64]:
    """Labels with all but some hidden; every class keeps one at least."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    first = order[np.unique(y[order], return_index=True)[1]]
    known = np.unique(np.concatenate([first, order[:n_labelled]]))
    labels = np.full(len(y), -1)
    labels[known] = y[known]
    return labels


def _choose(
    fit: Fit,
    graph: sparse.csr_array,
    labels: NDArray[np.int64],
    y: NDArray[np.int64],
    alphas: tuple[float | None, ...],
    seed: int,
) -> Outcome:
    """Choose alpha on some of the labelled rows, and fit with all of them."""
    total = 0.0
    best = alphas[0]
    if len(alphas) > 1:
        known = np.flatnonzero(labels >= 0)
        held_out = np.random.default_rng(seed).permutation(known)[: int(HELD_OUT * len(known))]
        fewer = labels.copy()
        fewer[held_out] = -1
        hits = []
        for alpha in alphas:
            found, seconds, _ = fit(graph, fewer, alpha)
            total += seconds
            hits.append(int((found[held_out] == y[held_out]).sum()))
        equals = [alpha for alpha, hit in zip(alphas, hits, strict=True) if hit == max(hits)]
        best = equals[len(equals) // 2]
    found, last, n_iter = fit(graph, labels, best)
    return Outcome(_hits(found, y, labels), best, last, total + last, n_iter)


def _hits(found: NDArray, y: NDArray, labels: NDArray) -> float:
    """Accuracy on rows without a label."""
    return float((found == y)[labels < 0].mean())


def _fit_ours(
    graph: sparse.csr_array, y: NDArray[np.int64], alpha: float | None
) -> tuple[NDArray[np.int64], float, int]:
    model: Any = LabelPropagation("precomputed")
    if alpha is not None:
        model = LabelSpreading("precomputed", alpha=alpha)
    seconds, found = _timed(model, graph, y)
    return found, seconds, model.n_iter_


def _timed(model: Any, graph: sparse.csr_array, y: NDArray) -> tuple[float, NDArray]:
    """Seconds of a fit, and the labels of all rows; warnings are left to the details."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begin = time.process_time()
        model.fit(graph, y)
        return time.process_time() - begin, model.transduction_


def _fit_theirs(
    graph: sparse.csr_array, y: NDArray[np.int64], alpha: float | None
) -> tuple[NDArray[np.int64], float, int]:
    return sklearn_labels.fit(graph, y, alpha, 1000 if alpha is None else TO_CONVERGENCE)


def _fit_theirs_briefly(
    graph: sparse.csr_array, y: NDArray[np.int64], alpha: float | None
) -> tuple[NDArray[np.int64], float, int]:
    return sklearn_labels.fit(graph, y, alpha, 30)


FITS: dict[str, Fit] = {"ours": _fit_ours, THEIRS: _fit_theirs, BRIEFLY: _fit_theirs_briefly}


def fit_large() -> None:
    """Print seconds, GiB, accuracy and steps for points of the plane in ten regions."""
    rng = np.random.default_rng(100)
    X = rng.random((N_LARGE, 2))
    y = cKDTree(rng.random((10, 2))).query(X)[1]
    nearest = cKDTree(X).query(X, N_NEIGHBORS + 1)[1][:, 1:].astype(np.int32)
    rows = np.repeat(np.arange(N_LARGE, dtype=np.int32), N_NEIGHBORS)
    ones = np.ones(nearest.size, np.float32)
    graph = sparse.csr_array((ones, (rows, nearest.ravel())), shape=(N_LARGE, N_LARGE))
    graph = sparse.csr_array(graph + graph.T)
    del X, nearest, rows, ones
    labels = _draw(y, N_LARGE // 100, 100)
    model = LabelPropagation("precomputed")
    seconds, found = _timed(model, graph, labels)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(seconds, peak, _hits(found, y, labels), model.n_iter_)


if __name__ == "__main__":
    if sys.argv[1:] == ["large"]:
        confine_to_one_thread()
        _warm_up()
        fit_large()
    else:
        main(run)
