"""The textbook algorithm for shallow networks on its home ground, and beside it.

`spectral_nn.models.network.lift.lift` by itself, nothing refined: standard normal inputs whose
score is known, unit columns of W with cosines of at most 0.3, output weights of one sign, one bias
for all units, 5 % noise. The claims are the mean angle to the planted directions, and that it falls
as n^(-1/2). For information: the published Fourier method for the biases beside ours, seconds, and
off the home ground, with unselected directions, output weights of one sign and of both by either
whitening: where the second moment is indefinite, an error remains that rows do not remove.
"""

import sys
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.fourier_biases import fourier_biases
from bench.harness import Report, main, timed
from spectral_nn.data.rows import Rows
from spectral_nn.metrics import direction_angles
from spectral_nn.models.network.dense import Network
from spectral_nn.models.network.lift import LiftResult, lift
from spectral_nn.moments.scores import GaussianScore
from spectral_nn.runners.base import SerialRunner
from spectral_nn.tensors import match_components

Floats = NDArray[np.float64]

FIRST_SEED = 100  # the draws 0..99 are for trying things out
N_FEATURES, N_COMPONENTS, NOISE, COHERENCE = 20, 5, 0.05, 0.3
SIZES = (200_000, 400_000, 800_000, 1_600_000)
LARGE_SIZES = (400_000, 800_000, 1_600_000, 3_200_000)


@dataclass(frozen=True)
class Ground:
    """An activation with the bias of all units, and the sizes at which its slope is taken."""

    activation: str
    bias: float
    sizes: tuple[int, ...] = SIZES
    claimed: bool = True

    @property
    def name(self) -> str:
        """What rows call it."""
        return f"{self.activation} b={self.bias:g}"


GROUNDS = (
    Ground("tanh", 0.5),
    Ground("tanh", 0.0),
    Ground("logistic", 1.0, LARGE_SIZES),
    Ground("relu", 1.0),
    # the third derivative is a fortieth of the first: it takes more rows to see it
    Ground("softplus", 1.0, LARGE_SIZES, claimed=False),
)


def run(
    grounds: tuple[Ground, ...] = GROUNDS, n_draws: int = 20, first: int = FIRST_SEED
) -> Report:
    """Fit every draw at every size, on nested data: a shorter table begins a longer one."""
    report = Report(
        "network_lift",
        {
            "teacher": f"d={N_FEATURES}, k={N_COMPONENTS}, unit columns with cosines of at most "
            f"{COHERENCE:g}, output weights U(0.5, 1.5), inputs N(0, I), noise {NOISE:.0%}",
            "seeds": f"teacher, data and fit {first}..{first + n_draws - 1}",
            "sizes": {ground.name: list(ground.sizes) for ground in grounds},
            "ours": "lift(score=GaussianScore(0, I)), defaults, no refinement",
        },
    )
    for ground in grounds:
        _home(report, ground, range(first, first + n_draws))
    for activation, bias in (("tanh", 0.5), ("relu", 1.0)):
        _both_signs(report, activation, bias, range(first, first + n_draws))
    return report


def _home(report: Report, ground: Ground, seeds: range) -> None:
    """Mean angles at all sizes, their slope, and what came of the rest."""
    draws = [_draw(ground, seed) for seed in seeds]
    angles = np.array([draw["angle"] for draw in draws])
    mean = angles.mean(axis=0)
    slope = float(np.polyfit(np.log(ground.sizes), np.log(mean), 1)[0])
    n, last = ground.sizes[0], ground.sizes[-1]
    must: dict[str, Any] = {"must": 15.0} if ground.claimed else {}
    name = ground.name
    report.add(f"{name}: mean angle at n={n:.0e}", mean[0], unit="deg", **must)
    report.add(f"{name}: mean angle at n={last:.1e}", mean[-1], unit="deg", must=15.0)
    report.add(f"{name}: slope of log mean angle against log n", slope)
    must = {"must": 0.1} if ground.claimed else {}
    report.add(f"{name}: distance of the slope from -1/2", abs(slope + 0.5), **must)
    for key, what, unit in (
        ("bias", "median error of a bias", ""),
        ("published bias", "the same by the published Fourier method", ""),
        ("r2", "median noise-free R² on fresh data", ""),
        ("seconds", "median time", "s"),
    ):
        values = [draw[key][-1] for draw in draws]
        report.add(f"{name}: {what}, n={last:.1e}", float(np.median(values)), unit=unit)
    report.details[name] = {"mean angle": mean.tolist(), "draws": draws}


def _draw(ground: Ground, seed: int) -> dict[str, list[float]]:
    """Figures of one teacher at all sizes."""
    rng = np.random.default_rng(seed)
    teacher = _teacher(ground.activation, ground.bias, N_FEATURES, rng, coherence=COHERENCE)
    X, y = _sample(teacher, max(ground.sizes), rng)
    fresh = rng.standard_normal((20_000, N_FEATURES))
    found: dict[str, list[float]] = {
        key: [] for key in ("angle", "bias", "published bias", "r2", "seconds")
    }
    for n in ground.sizes:
        fit = partial(_fit, X[:n], y[:n], ground.activation, seed)
        result, seconds = timed(fit)
        f, g = (net.decision(fresh)[:, 0] for net in (teacher, result.network))
        found["angle"].append(_angle(result, teacher))
        found["bias"].append(_bias_error(result.network, teacher))
        found["r2"].append(float(1 - np.mean((f - g) ** 2) / f.var()))
        found["seconds"].append(seconds)
    score = GaussianScore(np.zeros(N_FEATURES), np.eye(N_FEATURES))
    published = partial(fourier_biases, score=score, rng=np.random.default_rng(seed))
    by_fourier = _fit(X, y, ground.activation, seed, find_biases=published)
    found["published bias"].append(_bias_error(by_fourier.network, teacher))
    return found


def _both_signs(report: Report, activation: str, bias: float, seeds: range) -> None:
    """Unselected directions, d=15: output weights of one sign and of both, at two sizes."""
    d, sizes = 15, (50_000, 800_000)
    for signs in ("one sign", "both signs"):
        angles: dict[tuple[str, int], list[float]] = {}
        definite: dict[tuple[str, int], int] = {}
        for seed in seeds:
            rng = np.random.default_rng(seed)
            teacher = _teacher(activation, bias, d, rng, mixed=signs == "both signs")
            X, y = _sample(teacher, max(sizes), rng)
            for whitening, n in product(("second", "slice"), sizes):
                result = _fit(X[:n], y[:n], activation, seed, whitening=whitening)
                angles.setdefault((whitening, n), []).append(_angle(result, teacher))
                definite[whitening, n] = definite.get((whitening, n), 0) + result.whitener.definite
        for (whitening, n), found in angles.items():
            claim = f"{activation} b={bias:g}, any W, {signs}, {whitening}, n={n:.0e}: mean angle"
            report.add(claim, float(np.mean(found)), unit="deg")
            report.details[claim] = {"angles": found, "definite": definite[whitening, n]}


def _teacher(
    activation: str,
    bias: float,
    d: int,
    rng: np.random.Generator,
    *,
    mixed: bool = False,
    coherence: float = 1.0,
) -> Network:
    """Draw directions until no two have a larger absolute cosine than `coherence`."""
    k = N_COMPONENTS
    while True:
        W = rng.standard_normal((d, k))
        W /= np.linalg.norm(W, axis=0)
        if np.abs(W.T @ W - np.eye(k)).max() <= coherence:
            break
    a = rng.uniform(0.5, 1.5, (k, 1))
    if mixed:
        a *= rng.choice([-1.0, 1.0], a.shape)
    return Network((W, a), (np.full(k, bias), np.zeros(1)), activation, "identity")


def _sample(teacher: Network, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Standard normal inputs, and outputs with noise."""
    X = rng.standard_normal((n, teacher.sizes[0]))
    f = teacher.decision(X)[:, 0]
    return X, f + NOISE * f.std() * rng.standard_normal(n)


def _fit(X: Floats, y: Floats, activation: str, seed: int, **options: Any) -> LiftResult:
    d = X.shape[1]
    score = GaussianScore(np.zeros(d), np.eye(d))
    rng = np.random.default_rng(seed)
    rows, run = Rows.of(X, y[:, None]), SerialRunner()
    return lift(rows, N_COMPONENTS, activation, score=score, rng=rng, run=run, **options)


def _angle(result: LiftResult, teacher: Network) -> float:
    return float(np.mean(direction_angles(result.network.coefs[0], teacher.coefs[0])))


def _bias_error(found: Network, teacher: Network) -> float:
    """Median absolute error; units of odd activations may have both signs turned."""
    order = match_components(teacher.coefs[0].T, found.coefs[0].T, cost="cosine")
    signs = np.ones(len(order))
    if teacher.activation in ("tanh", "logistic", "erf"):
        signs = np.sign(np.sum(found.coefs[0][:, order] * teacher.coefs[0], axis=0))
    errors = found.intercepts[0][order] * signs - teacher.intercepts[0]
    return float(np.median(np.abs(errors)))


if __name__ == "__main__":
    if "--tune" in sys.argv:  # on draws that are not reported
        report = run(n_draws=4, first=0)
        print(*(f"{row.claim}: {row.measured:.4g}" for row in report.rows), sep="\n")
    else:
        main(run)
