"""Missing entries: how far the means of a fit to rows with holes are off, against complete rows.

Planted models of 3, 4 and 5 states in 5, 8 and 10 columns; 30 % of the entries are NaN, at random.
Both fits are ours, with their defaults, from the same seed. The error is the root mean square over
all means of all draws, states matched to the planted ones. Where columns are independent and states
are known, 30 % fewer entries a mean make it ``sqrt(1 / .7) = 1.20`` times as large. For comparison,
holes are filled by the mean of their column, as one must for models that take no missing entries.

The bounds hold for the means of all sizes together: a ratio of 75 means alone is .07 off by chance.
A full run takes about 12 minutes, most of them for full covariances and ten columns with holes.
"""

import statistics
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench import ours_series
from bench.harness import Report, main
from bench.series_data import Law, Regime, planted, sticky
from spectral_nn.tensors import match_components

FIRST_SEED = 100  # the draws 0..99 are for trying things out
MISSING = 0.3
MUST, REACH = 1.3, 1.15
Squares = dict[str, NDArray[np.float64]]
SIDES = ("complete", "with holes", "holes filled by means")


def _draw(n_components: int, n_features: int, correlated: bool, rng: np.random.Generator) -> Law:
    """Means of standard deviation 1.5; variances about 1, their axes turned at random or not."""
    means = 1.5 * rng.standard_normal((n_components, n_features))
    deviations = rng.uniform(0.5, 1.5, size=(n_components, n_features))
    roots = deviations[:, :, None] * np.eye(n_features)
    if correlated:
        turned = rng.standard_normal((n_components, n_features, n_features))
        roots = np.linalg.qr(turned)[0] @ roots
    return sticky(n_components, 0.95), means, roots @ roots.swapaxes(1, 2)


PROBLEMS = {
    f"{covariance}, K={n_components}, {n_features} columns": Regime(
        n_components, covariance, 10_000, partial(_draw, n_components, n_features, correlated)
    )
    for covariance, correlated in (("diag", False), ("full", True))
    for n_components, n_features in ((3, 5), (4, 8), (5, 10))
}


def run(
    names: tuple[str, ...] = tuple(PROBLEMS), n_draws: int = 5, n_rows: int | None = None
) -> Report:
    """Fit every planted model with and without holes; ``n_rows`` instead of the problem's."""
    report = Report(
        "series_missing",
        {
            "data": f"{n_draws} draws of model, rows and holes, seeds from {FIRST_SEED} on; one "
            f"sequence of {n_rows or '10,000'} rows",
            "holes": f"{MISSING:.0%} of the entries, at random, NaN",
            "fits": "GaussianHMM with its defaults but covars_prior=0.01, min_covar=0; "
            "missing=nan for rows with holes",
            "error": "root mean square over all means of all draws, states matched",
            "seconds": "of the processor, one thread",
        },
    )
    ours_series.warm_up()
    squares: dict[str, list[Squares]] = {}
    for name in names:
        problem = PROBLEMS[name]
        draws = [
            errors_of_means(problem, seed, n_rows)
            for seed in range(FIRST_SEED, FIRST_SEED + n_draws)
        ]
        found = {side: np.stack([errors[side] ** 2 for errors, _ in draws]) for side in SIDES}
        squares.setdefault(problem.covariance, []).append(found)
        report.details[f"{name}: errors of each draw"] = {
            side: np.sqrt(found[side].mean(axis=(1, 2))).tolist() for side in SIDES
        }
        _add_errors(report, name, [found])
        for side in SIDES:
            seconds = statistics.mean(times[side] for _, times in draws)
            report.add(f"{name}: {side}, mean time", seconds, unit="s")
    for covariance, each in squares.items():
        _add_errors(report, f"{covariance}, all", each, must=MUST, reach=REACH)
    return report


def errors_of_means(
    problem: Regime, seed: int, n_rows: int | None = None
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    """Errors (K, p) of the means and seconds of each fit to one draw."""
    truth = problem.draw(np.random.default_rng(seed))[1]  # what `planted` draws first
    series = planted(problem, seed, n_rows)
    holes = with_holes(series.rows, seed)
    filled = np.where(np.isnan(holes), np.nanmean(holes, axis=0), holes)
    errors, seconds = {}, {}
    for side, rows in zip(SIDES, (series.rows, holes, filled), strict=True):
        model, seconds[side] = ours_series.fit(
            rows,
            series.lengths,
            problem.n_components,
            problem.covariance,
            seed=seed,
            missing=np.nan if rows is holes else None,
        )
        errors[side] = model.means_[match_components(truth, model.means_)] - truth
    return errors, seconds


def with_holes(rows: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Rows whose entries are missing at random."""
    rng = np.random.default_rng([seed, 1])  # another stream than that of the rows
    return np.where(rng.random(rows.shape) < MISSING, np.nan, rows)


def _add_errors(report: Report, name: str, problems: list[Squares], **bounds: float) -> None:
    """Add the error of each side over all problems, and what it is over that of complete rows."""
    errors = {
        side: np.sqrt(np.concatenate([found[side].ravel() for found in problems]).mean())
        for side in SIDES
    }
    for side in SIDES:
        report.add(f"{name}: {side}, error of the means", errors[side])
    complete, holes, filled = (errors[side] for side in SIDES)
    report.add(f"{name}: with holes over complete", holes / complete, **bounds)
    report.add(f"{name}: holes filled by means over complete", filled / complete)


if __name__ == "__main__":
    main(run)
