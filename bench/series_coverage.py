"""Standard errors: how often 95 % intervals cover the planted parameters.

Three models of three states, 5,000 rows a draw: symbols of an alphabet of six, Gaussians, and the
same Gaussians whose noise has Student's t with 5 degrees of freedom, so that the model is wrong. EM
starts from the truth, on flat priors, so that states keep their names: what is measured is the
intervals, not the search for the best optimum. Under a wrong model the truth is what the same fit
finds in 200 times as many rows.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import Report, main
from spectral_estimators import CategoricalHMM, GaussianHMM

FIRST_SEED = 100  # the draws 0..99 are for trying things out
N_ROWS = 5_000
LEVEL = 0.95
KINDS = ("robust", "hessian", "opg")
WITHIN = (0.93, 0.97)
LEAST_UNDER_T = 0.90  # of standard deviations, by robust intervals

TRANSMAT = np.array([[0.90, 0.07, 0.03], [0.05, 0.85, 0.10], [0.08, 0.12, 0.80]])
PROBS = np.array(
    [
        [0.50, 0.25, 0.10, 0.05, 0.05, 0.05],
        [0.05, 0.10, 0.45, 0.30, 0.05, 0.05],
        [0.10, 0.02, 0.03, 0.10, 0.30, 0.45],
    ]
)
MEANS = np.array([[-2.0], [0.0], [2.5]])
DEVIATIONS = np.array([1.0, 0.7, 1.3])

Noise = Callable[[np.random.Generator, int], NDArray[np.float64]]
Draw = tuple[NDArray[Any], Any, dict[str, NDArray[np.float64]]]


def normal(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Noise of the model, of variance 1."""
    return rng.standard_normal(n)


def student(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Noise with heavier tails, of variance 1."""
    return rng.standard_t(5, n) / np.sqrt(5 / 3)


def run(n_draws: int = 500, n_rows: int = N_ROWS) -> Report:
    """Draw, fit and cover; bounds hold for every block of parameters."""
    report = Report(
        "series_coverage",
        {
            "draws": f"{n_draws}, seeds from {FIRST_SEED} on, {n_rows} rows each",
            "models": "3 states; 6 symbols; Gaussians in one dimension, with normal noise and t5's",
            "fit": "EM in float64 from the truth, flat priors, tol 1e-9 nats a row",
            "intervals": f"{LEVEL:.0%}, default blocks",
            "chance": f"standard error of one parameter's coverage: {_chance(n_draws):.3f}",
            "seconds": "of the processor, one thread, of one call",
        },
    )
    seeds = range(FIRST_SEED, FIRST_SEED + n_draws)
    nearest = best_gaussian(200 * n_rows, student)
    problems: dict[str, Callable[[int], Draw]] = {
        "symbols": lambda seed: fit_symbols(seed, n_rows),
        "Gaussian": lambda seed: fit_gaussian(seed, n_rows, normal),
        "t5 noise": lambda seed: fit_gaussian(seed, n_rows, student, nearest),
    }
    for name, draw in problems.items():
        found, seconds = cover([draw(seed) for seed in seeds])
        for (kind, attribute), hits in found.items():
            claim = f"{name}: {kind}, {attribute}"
            for words, bound in _bounds(name, kind, attribute).items():
                report.add(f"{claim}, {words}", hits.mean(), **bound)
            report.add(f"{claim}, least covered of all", hits.mean(axis=0).min())
        for kind in KINDS:
            report.add(f"{name}: {kind}, time", seconds[kind], unit="s")
    return report


def cover(
    draws: list[Draw],
) -> tuple[dict[tuple[str, str], NDArray[np.bool_]], dict[str, float]]:
    """Which intervals of each kind and attribute cover, draws first; the mean seconds of a call."""
    hits: dict[tuple[str, str], list[NDArray[np.bool_]]] = {}
    seconds = dict.fromkeys(KINDS, 0.0)
    for X, model, truth in draws:
        for kind in KINDS:
            begin = time.process_time()
            ends = model.standard_errors(X, kind=kind).intervals(LEVEL)
            seconds[kind] += (time.process_time() - begin) / len(draws)
            for attribute, value in truth.items():
                low, high = ends[attribute]
                hits.setdefault((kind, attribute), []).append((low <= value) & (value <= high))
    return {which: np.array(each) for which, each in hits.items()}, seconds


def fit_symbols(seed: int, n_rows: int) -> Draw:
    """A draw of symbols, the model fitted to it, and the truth."""
    rng = np.random.default_rng(seed)
    states = _walk(n_rows, rng)
    X = (rng.random((n_rows, 1)) > PROBS.cumsum(axis=1)[states, :-1]).sum(axis=1)
    model = CategoricalHMM(3, n_features=6, emissionprob_prior=1.0, **_climbing(n_rows))
    model.emissionprob_ = PROBS
    return X, _fitted(model, X), {"transmat_": TRANSMAT, "emissionprob_": PROBS}


def fit_gaussian(
    seed: int, n_rows: int, noise: Noise, truth: dict[str, NDArray[np.float64]] | None = None
) -> Draw:
    """A draw of numbers, the model fitted to it, and the truth: the planted one by default."""
    rng = np.random.default_rng(seed)
    states = _walk(n_rows, rng)
    X = MEANS[states] + (DEVIATIONS[states] * noise(rng, n_rows))[:, None]
    model = GaussianHMM(3, covars_prior=0.0, **_climbing(n_rows))
    variances = DEVIATIONS[:, None] ** 2
    model.means_, model.covars_ = MEANS, variances
    # Intervals are symmetric in logarithms: of variances they say what they say of deviations.
    planted = {"transmat_": TRANSMAT, "means_": MEANS, "covars_": variances[:, :, None]}
    return X, _fitted(model, X), truth or planted


def best_gaussian(n_rows: int, noise: Noise) -> dict[str, NDArray[np.float64]]:
    """What a fit finds in many rows: the Gaussian model that is nearest to another law."""
    _, model, planted = fit_gaussian(FIRST_SEED - 1, n_rows, noise)
    return {name: getattr(model, name) for name in planted}


def _climbing(n_rows: int) -> dict[str, Any]:
    return {"init_params": "", "n_iter": 2000, "tol": 1e-9 * n_rows, "dtype": "float64"}


def _fitted(model: Any, X: NDArray[Any]) -> Any:
    model.startprob_, model.transmat_ = np.full(3, 1 / 3), TRANSMAT
    return model.fit(X)


def _walk(n_rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """States of the chain."""
    cumulative = TRANSMAT.cumsum(axis=1)
    states = np.empty(n_rows, dtype=np.int64)
    state = int(rng.integers(3))
    for t, u in enumerate(rng.random(n_rows)):
        states[t] = state
        state = min(int(np.searchsorted(cumulative[state], u, side="right")), 2)
    return states


def _bounds(problem: str, kind: str, attribute: str) -> dict[str, dict[str, Any]]:
    """What is claimed of robust intervals; the other kinds are for information."""
    if kind != "robust" or (problem == "t5 noise" and attribute != "covars_"):
        return {"covered": {}}
    if problem == "t5 noise":
        return {"covered": {"must": LEAST_UNDER_T, "higher_is_better": True}}
    low, high = WITHIN
    return {
        "covered at least": {"must": low, "higher_is_better": True},
        "covered at most": {"must": high},
    }


def _chance(n_draws: int) -> float:
    return float(np.sqrt(LEVEL * (1 - LEVEL) / n_draws))


if __name__ == "__main__":
    main(run)
