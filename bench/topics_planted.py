"""Topics of a known model: how far the topics found are from it, and the time of it.

Ten topics of 2,000 words, documents of 100 words. The error is the mean over matched topics of the
L1 distance of probabilities, without the pseudo-counts of the prior. The ceiling is ours from the
true topics; the control ours from random ones.
"""

import statistics
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import LatentDirichletAllocation as ScikitLDA

from bench.harness import Report, main
from spectral_estimators import LatentDirichletAllocation

FIRST_SEED = 100  # the draws 0..99 are for trying things out
K, WORDS, LENGTH = 10, 2000, 100
_OF_TOPICS, _OF_DOCUMENTS = 0.05, 0.1  # Dirichlet parameters
BOUNDS = {2000: (0.20, 0.12), 20_000: (0.07, 0.04)}

Figures = dict[str, float]


def run(sizes: tuple[int, ...] = tuple(BOUNDS), n_seeds: int = 5) -> Report:
    """Fit all sides to every draw."""
    seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
    report = Report(
        "topics_planted",
        {
            "model": f"{K} topics, Dirichlet({_OF_TOPICS:g}) over {WORDS} words; documents of "
            f"{LENGTH} words, Dirichlet({_OF_DOCUMENTS:g}) over topics",
            "seeds": f"{seeds[0]}..{seeds[-1]}, of models, documents and fits",
            "ours": "LatentDirichletAllocation(10); moments alone: max_iter=0",
            "rival": "scikit-learn, batch, 10 passes, its default",
            "seconds": "of the processor, one thread",
        },
    )
    topics, X = planted(500, 0)
    _fit(LatentDirichletAllocation(K, max_iter=2), X, topics)  # compiles
    for n in sizes:
        found = [_fit_all(n, seed) for seed in seeds]
        report.details[f"n={n}"] = found
        _add(report, n, found)
    return report


def planted(n: int, seed: int) -> tuple[NDArray[np.float64], sparse.csr_array]:
    """Topics (K, V), and documents (n, V)."""
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(WORDS, _OF_TOPICS), K)
    shares = rng.dirichlet(np.full(K, _OF_DOCUMENTS), n) @ topics
    return topics, sparse.csr_array(rng.multinomial(LENGTH, shares).astype(float))


def _fit_all(n: int, seed: int) -> dict[str, Figures]:
    topics, X = planted(n, seed)
    sides: dict[str, Any] = {
        "moments alone": LatentDirichletAllocation(K, max_iter=0, random_state=seed),
        "ours": LatentDirichletAllocation(K, random_state=seed),
        "ours, from the truth": LatentDirichletAllocation(K, init=topics, random_state=seed),
        "ours, init random": LatentDirichletAllocation(K, init="random", random_state=seed),
        "ours, batch": LatentDirichletAllocation(K, learning_method="batch", random_state=seed),
        "ours, batch, init random": LatentDirichletAllocation(
            K, learning_method="batch", init="random", random_state=seed
        ),
        "scikit-learn": ScikitLDA(K, random_state=seed),
    }
    return {side: _fit(model, X, topics) for side, model in sides.items()}


def _fit(model: Any, X: sparse.csr_array, topics: NDArray[np.float64]) -> Figures:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # moments of few documents
        begin = time.process_time()
        model.fit(X)
        seconds = time.process_time() - begin
    counts = model.components_ - 1 / K
    found = counts / counts.sum(axis=1, keepdims=True)
    distance = np.abs(found[:, None] - topics).sum(axis=2)
    matched = distance[linear_sum_assignment(distance)]
    return {"error": float(matched.mean()), "worst": float(matched.max()), "seconds": seconds}


def _add(report: Report, n: int, found: list[dict[str, Figures]]) -> None:
    label = f"n={n:,}"
    raw, refined = BOUNDS.get(n, (None, None))
    bounds = {"moments alone": {"must": raw}, "ours": {"must": refined}}
    for side in found[0]:
        errors = [fit[side]["error"] for fit in found]
        claim = f"{label}: L1 error of a topic, worst draw, {side}"
        report.add(claim, max(errors), **bounds.get(side, {}))
        merged = sum(fit[side]["worst"] > 1 for fit in found)
        report.add(f"{label}: draws with a topic missed, {side}", merged, unit=f"of {len(found)}")
        seconds = statistics.mean(fit[side]["seconds"] for fit in found)
        report.add(f"{label}: CPU time, {side}", seconds, unit="s")
    beyond = max(fit["ours"]["error"] / fit["ours, from the truth"]["error"] for fit in found)
    claim = f"{label}: error over that from the true topics, worst draw"
    report.add(claim, beyond, reach=1.05, unit="x")
    times = {side: statistics.mean(fit[side]["seconds"] for fit in found) for side in found[0]}
    for side, must, reach in (("moments alone", 1 / 50, 1 / 100), ("ours", 1 / 4, 1 / 10)):
        ratio = times[side] / times["scikit-learn"]
        kept = {"must": must, "reach": reach} if n >= 20_000 else {}
        report.add(f"{label}: time of {side} over scikit-learn", ratio, unit="x", **kept)


if __name__ == "__main__":
    main(run)
