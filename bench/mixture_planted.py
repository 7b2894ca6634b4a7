"""Planted Gaussian mixtures: how far fitted means are from those that made the rows.

Twenty components in fifty columns, 20,000 rows. Means are drawn from a Gaussian, so that two are
as far apart as is said in the mean, in units of the deviation within a component.
"""

import statistics
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from bench.harness import Report, main
from bench.mixture_scoring import SAID, fit_in_turn, mean_error, time_ratio
from spectral_estimators import GaussianMixture, RankError

FIRST_SEED = 100  # the draws 0..99 are for trying things out


class Case(NamedTuple):
    """A planted mixture.

    Attributes
    ----------
    covariance : str
        Type that both sides fit.
    distance : float
        Between two means, root mean square.
    spread : float
        Deviations of columns are ``exp(uniform(-spread, spread))``.
    """

    covariance: str
    distance: float
    spread: float = 0.0


CASES = {
    "spherical, distance 4": Case("spherical", 4.0),
    "spherical, distance 6": Case("spherical", 6.0),
    "spherical, distance 10": Case("spherical", 10.0),
    "diagonal, distance 6": Case("diag", 6.0, 0.5),
    "tied, distance 6": Case("tied", 6.0, 0.5),
}


def run(
    names: tuple[str, ...] = tuple(CASES),
    n_seeds: int = 5,
    n_rows: int = 20_000,
    n_components: int = 20,
    n_columns: int = 50,
) -> Report:
    """Fit all sides to every planted mixture; the bounds hold for the mean of the seeds."""
    report = Report(
        "mixture_planted",
        SAID
        | {
            "data": f"k={n_components}, d={n_columns}, n={n_rows}, weights of Dirichlet(5), seeds "
            f"{FIRST_SEED}..{FIRST_SEED + n_seeds - 1}",
            "error": "root mean square distance of means, matched",
        },
    )
    warnings.simplefilter("ignore", ConvergenceWarning)
    GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).standard_normal((99, 3)))
    for name in names:
        _one(report, name, n_seeds, n_rows, n_components, n_columns)
    return report


def _one(report: Report, name: str, n_seeds: int, n: int, K: int, p: int) -> None:
    case = CASES[name]
    errors: dict[str, list[float]] = {"ours": [], "default": [], "ten": []}
    alone: list[float | None] = []
    ratios, details = [], []
    for seed in range(FIRST_SEED, FIRST_SEED + n_seeds):
        X, means = draw(case, seed, n, K, p)
        fits = fit_in_turn(X, K, case.covariance, [seed])
        for side, found in fits.items():
            errors[side].append(mean_error(found.models[0].means_, means))
        alone.append(_moments_alone(X, means, case.covariance))
        ratios.append(time_ratio(fits))
        details.append({side: found.details() for side, found in fits.items()})
    report.details[name] = {"errors": errors, "moments alone": alone, "fits": details}
    mean = {side: statistics.mean(values) for side, values in errors.items()}
    for side, said in (
        ("ours", "ours"),
        ("default", "k-means start"),
        ("ten", "n_init=10"),
    ):
        report.add(f"{name}: {said}, error of the means", mean[side])
    told = [error for error in alone if error is not None]
    if told:
        said = f"ours, max_iter=0, error of the means, where not refused ({len(told)} of {n_seeds})"
        report.add(f"{name}: {said}", statistics.mean(told))
    ratio = mean["ours"] / mean["default"]
    report.add(f"{name}: error over that from a k-means start", ratio, must=0.5, reach=0.2)
    report.add(
        f"{name}: time over n_init=10",
        statistics.mean(ratios),
        must=1 / 3,
        reach=1 / 10,
        unit="x",
    )


def _moments_alone(
    X: NDArray[np.float64], means: NDArray[np.float64], covariance: str
) -> float | None:
    """Error of means without EM; None where moments are refused for want of rank."""
    try:
        model = GaussianMixture(len(means), covariance_type=covariance, max_iter=0).fit(X)
    except RankError:
        return None
    return mean_error(model.means_, means)


def draw(
    case: Case, seed: int, n: int, K: int, p: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows of a planted mixture, and its means."""
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((K, p)) * case.distance / np.sqrt(2 * p)
    deviations = np.exp(rng.uniform(-case.spread, case.spread, p))
    labels = rng.choice(K, n, p=rng.dirichlet(np.full(K, 5.0)))
    return means[labels] + deviations * rng.standard_normal((n, p)), means


if __name__ == "__main__":
    main(run)
