"""Standard errors of directions: how often 95 % intervals cover those of planted networks.

`TensorFeatures` and its `standard_errors`, 20 groups, on planted networks under standard normal
inputs: few columns and many, strong and weak signals, ReLU and tanh. Directions are matched to the
planted ones, and their signs aligned. The claim is the share of all entries of all directions that
intervals cover. For information, the ratio of errors made to errors stated, root mean squares, and
seconds of the fit and of the standard errors.
"""

import sys
import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.harness import Report, main, timed
from spectral_estimators import TensorFeatures
from spectral_nn.datasets import planted_network, sample_network
from spectral_nn.tensors import match_components

Floats = NDArray[np.float64]

FIRST_SEED = 100  # the draws 0..99 are for trying things out
LEVEL = 0.95
WITHIN = (0.92, 0.98)


@dataclass(frozen=True)
class Ground:
    """A kind of planted network, and how much is seen of it."""

    activation: str
    d: int
    k: int
    n: int
    noise: float

    @property
    def name(self) -> str:
        """What rows call it."""
        return f"{self.activation} d={self.d} k={self.k} n={self.n:.0e}, noise {self.noise:g}"


GROUNDS = (
    Ground("relu", 10, 3, 20_000, 0.05),
    Ground("relu", 10, 3, 20_000, 1.0),
    Ground("relu", 30, 4, 40_000, 0.05),
    Ground("tanh", 10, 3, 20_000, 0.05),
)


@dataclass(frozen=True, eq=False)
class Draw:
    """What one fit says of its directions, entry by entry, and the truth.

    Attributes
    ----------
    covered : (k, d) whether the interval holds the planted entry.
    missed, stated : (k, d) errors made and standard errors.
    seconds : of the fit, and of the standard errors.
    """

    covered: NDArray[np.bool_]
    missed: Floats
    stated: Floats
    seconds: tuple[float, float]


def run(
    grounds: tuple[Ground, ...] = GROUNDS, n_draws: int = 200, first: int = FIRST_SEED
) -> Report:
    """Draw, fit and cover."""
    report = Report(
        "directions_coverage",
        {
            "draws": f"{n_draws} a line, teacher and data of seeds {first}..{first + n_draws - 1}",
            "networks": "planted, mixed signs; noise in deviations of the signal",
            "intervals": f"{LEVEL:.0%}, standard_errors(X, y), 20 groups",
        },
    )
    low, high = WITHIN
    for ground in grounds:
        draws = [draw(ground, seed) for seed in range(first, first + n_draws)]
        covered = np.array([each.covered.mean() for each in draws])
        at_least = {"must": low, "higher_is_better": True}
        report.add(f"{ground.name}: covered at least", covered.mean(), **at_least)
        report.add(f"{ground.name}: covered at most", covered.mean(), must=high)
        report.add(
            f"{ground.name}: chance, one standard error", covered.std() / np.sqrt(len(draws))
        )
        made, stated = (
            np.sqrt(np.mean([np.mean(getattr(each, what) ** 2) for each in draws]))
            for what in ("missed", "stated")
        )
        report.add(f"{ground.name}: errors made over errors stated", made / stated)
        fit, errors = np.median([each.seconds for each in draws], axis=0)
        report.add(f"{ground.name}: fit, median", fit, unit="s")
        report.add(f"{ground.name}: standard errors, median", errors, unit="s")
    return report


def draw(ground: Ground, seed: int) -> Draw:
    """One planted network, its fit, and the intervals."""
    rng = np.random.default_rng(seed)
    teacher = planted_network(ground.d, ground.k, activation=ground.activation, rng=rng)
    X, y = sample_network(teacher, ground.n, noise=ground.noise, rng=rng)
    features = TensorFeatures(ground.k, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of starts that disagree: what is said then is measured, too
        _, fit = timed(partial(features.fit, X, y))
        found, errors = timed(partial(features.standard_errors, X, y))
    true = (teacher.coefs[0] / np.linalg.norm(teacher.coefs[0], axis=0)).T
    true = true[match_components(features.components_, true, cost="cosine")]
    true = true * np.sign(np.sum(true * features.components_, axis=1))[:, None]
    low, high = found.intervals(LEVEL)
    covered = (low <= true) & (true <= high)
    return Draw(covered, features.components_ - true, found.errors, (fit, errors))


if __name__ == "__main__":
    if "--tune" in sys.argv:  # on draws that are not reported
        report = run(n_draws=20, first=0)
        print(*(f"{row.claim}: {row.measured:.4g}" for row in report.rows), sep="\n")
    else:
        main(run)
