"""The last part of ``make demo``: shallow networks, by moments and by backpropagation.

A network of ten ReLUs is planted, and everybody gets 30,000 noisy rows of it: our estimator once,
started from moments; our estimator and scikit-learn's from five random starts each, of which the
one with the least training loss counts.  Same width, same solver, same number of iterations, one
thread.  Then two tables of real data, where moments are no help.
"""

import statistics
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

from bench.harness import environment, timed
from bench.rivals import sklearn_mlp
from bench.tables import load_tables
from examples import demo_pictures
from examples.live_line import LiveLine
from spectral_estimators import MLPRegressor
from spectral_estimators.datasets import planted_network, sample_network
from spectral_estimators.metrics import direction_angles

N_FEATURES, N_COMPONENTS, N_ROWS, NOISE = 30, 10, 30_000, 0.05
N_TEST = 20_000
NETWORKS = range(3)
RESTARTS = range(5)
MAX_ITER, ALPHA = 200, 1e-4
SUCCESS = 0.999  # R² on noise-free rows

TABLES = ("concrete", "diabetes")
TABLE_WIDTH, TABLE_MAX_ITER = 20, 100
SPLITS = range(20)

TENSOR, RANDOM, RIVAL = 'ours, init="tensor"', 'ours, init="random"', "scikit-learn"


@dataclass(frozen=True)
class Planted:
    """Rows of a known network: noisy ones to learn from, others without noise to judge by."""

    coef: NDArray[np.float64]
    X: NDArray[np.float64]
    y: NDArray[np.float64]
    X_test: NDArray[np.float64]
    y_test: NDArray[np.float64]
    noise_loss: float  # the training loss of the planted network itself

    @classmethod
    def draw(cls, seed: int) -> "Planted":
        """A network, its rows, and its test rows, all from one seed."""
        rng = np.random.default_rng(seed)
        network = planted_network(N_FEATURES, N_COMPONENTS, rng=rng)
        X, y = sample_network(network, N_ROWS, noise=NOISE, rng=rng)
        X_test, y_test = sample_network(network, N_TEST, noise=0.0, rng=rng)
        noise_loss = float(np.mean((y - network.decision(X).ravel()) ** 2) / 2)
        return cls(np.asarray(network.coefs[0]), X, y, X_test, y_test, noise_loss)


@dataclass(frozen=True)
class Fit:
    """One fit of one side, judged."""

    model: Any
    seconds: float
    loss: float
    r2: float
    angles: NDArray[np.float64]

    @property
    def succeeded(self) -> bool:
        """Whether the planted network was found."""
        return self.r2 > SUCCESS


def fit(side: str, data: Planted, seed: int) -> Fit:
    """One fit, timed from the rows to the weights."""
    if side == RIVAL:
        *_, seconds, model = sklearn_mlp.fit(
            data.X, data.y, (N_COMPONENTS,), "relu", "lbfgs", MAX_ITER, seed, alpha=ALPHA
        )
    else:
        init = "tensor" if side == TENSOR else "random"
        model = MLPRegressor(
            hidden_layer_sizes=(N_COMPONENTS,),
            activation="relu",
            init=init,
            max_iter=MAX_ITER,
            alpha=ALPHA,
            random_state=seed,
        )
        _, seconds = _quietly(partial(model.fit, data.X, data.y))
    r2 = r2_score(data.y_test, model.predict(data.X_test))
    angles = direction_angles(model.coefs_[0], data.coef)
    return Fit(model, seconds, float(model.loss_), float(r2), angles)


def recover(seed: int, line: LiveLine) -> tuple[Planted, dict[str, list[Fit]]]:
    """All fits of all sides to one planted network."""
    data = Planted.draw(seed)
    fits: dict[str, list[Fit]] = {}
    for side in (TENSOR, RANDOM, RIVAL):
        fits[side] = []
        for start in RESTARTS if side != TENSOR else RESTARTS[:1]:
            line.show(f"  network {seed}: {side}, start {start + 1}")
            fits[side].append(fit(side, data, start))
        spent = _seconds(fits[side])
        starts = "" if side == TENSOR else f", {len(fits[side])} starts"
        line.end(f"  network {seed}, {side}{starts}: {spent:.2f} s, R² {best(fits[side]).r2:.5f}")
    return data, fits


def best(fits: Sequence[Fit]) -> Fit:
    """The fit that one would keep: of the least training loss."""
    return min(fits, key=lambda one: one.loss)


def print_recovery(outcomes: Sequence[dict[str, list[Fit]]]) -> None:
    """Print what every side made of every network, and what a single start is worth."""
    print(
        f"\nA planted network: {N_COMPONENTS} ReLUs of {N_FEATURES} inputs, {N_ROWS:,} rows, "
        f"{NOISE:.0%} noise\n"
        f"\n{'':<43}{'seconds':>9}{'test R²':>11}{'largest angle':>16}{'found':>8}"
    )
    for i, fits in enumerate(outcomes):
        for side, tries in fits.items():
            one = best(tries)
            name = side if side == TENSOR else f"{side}, best of {len(tries)}"
            print(
                f"{f'network {i}' if side == TENSOR else '':<12}{name:<31}"
                f"{_seconds(tries):>9.2f}{one.r2:>11.5f}"
                f"{one.angles.max():>15.2f}°{_yes(one.succeeded):>8}"
            )
    pooled = {side: [t for fits in outcomes for t in fits[side]] for side in outcomes[0]}
    tensor = _seconds(pooled[TENSOR])
    print("\nSingle starts that found the network")
    for side, tries in pooled.items():
        ratio = _seconds(tries) / tensor
        print(
            f"  {side:<22}{sum(t.succeeded for t in tries):>2} of {len(tries)}"
            + ("" if side == TENSOR else f"; {len(RESTARTS)} take {ratio:.0f} times as long")
        )


def _seconds(fits: Sequence[Fit]) -> float:
    return sum(one.seconds for one in fits)


def compare_on_tables(line: LiveLine) -> dict[str, dict[str, list[float]]]:
    """Held-out R² of every side on every split of real tables."""
    outcome = {}
    for name, table in load_tables(TABLES).items():
        scores: dict[str, list[float]] = {}
        for seed in SPLITS:
            X, X_test, y, y_test = train_test_split(
                table.X, table.y, test_size=0.25, random_state=seed
            )
            centre, scale = X.mean(axis=0), X.std(axis=0)
            X, X_test = (X - centre) / scale, (X_test - centre) / scale
            y, y_test = (y - y.mean()) / y.std(), (y_test - y.mean()) / y.std()
            for side, model in _table_models(seed).items():
                line.show(f"  {name}, split {seed + 1} of {len(SPLITS)}: {side}")
                _quietly(partial(model.fit, X, y))
                scores.setdefault(side, []).append(r2_score(y_test, model.predict(X_test)))
        n, d = table.X.shape
        outcome[f"{name} (n={n:,}, d={d})"] = scores
        line.end(f"  {name}: {len(SPLITS)} splits")
    return outcome


def print_tables(outcome: dict[str, dict[str, list[float]]]) -> None:
    """Print means over splits, and how far apart the sides are beside the spread."""
    names = list(outcome)
    print(
        f"\nReal data: {TABLE_WIDTH} ReLUs, held-out R², mean ± standard deviation of "
        f"{len(SPLITS)} splits\n"
        f"\n{'':<26}" + "".join(f"{name:>25}" for name in names)
    )
    for side in outcome[names[0]]:
        cells = [_mean_and_spread(outcome[name][side]) for name in names]
        print(f"{side:<26}" + "".join(f"{cell:>25}" for cell in cells))
    print()
    print(
        "Ahead of our random start on how many splits, by how much on average; the difference of\n"
        "scikit-learn's random start is chance\n"
    )
    print(f"{'':<26}{TENSOR:>25}{RIVAL:>25}{'so moments are':>19}")
    for name in names:
        gaps = {
            side: np.subtract(outcome[name][side], outcome[name][RANDOM])
            for side in (TENSOR, RIVAL)
        }
        cells = [f"{(gap > 0).sum()} of {gap.size}, {gap.mean():+.3f}" for gap in gaps.values()]
        print(f"{name:<26}" + "".join(f"{cell:>25}" for cell in cells) + f"{_verdict(gaps):>19}")


def print_settings() -> None:
    """Print all that is needed to run this again."""
    versions = environment()["versions"]
    print(
        f"""
ours          hidden_layer_sizes={N_COMPONENTS}, solver="lbfgs", max_iter={MAX_ITER}, else defaults
scikit-learn  the same; random_state 0..{RESTARTS[-1]} on both sides, best by training loss
test R²       on {N_TEST:,} fresh rows without noise; found: above {SUCCESS}
angle         of each true unit to the learned one that it is matched to
real data     max_iter={TABLE_MAX_ITER} on all sides; inputs and target standardised by the \
training part
versions      scikit-learn {versions["scikit-learn"]}, scipy {versions["scipy"]}"""
    )


def main(line: LiveLine) -> dict[str, Figure]:
    """Run both comparisons, print their tables, draw the pictures."""
    _quietly(
        partial(MLPRegressor(hidden_layer_sizes=(2,), random_state=0).fit, *_small())
    )  # loads what is loaded late
    runs = [recover(seed, line) for seed in NETWORKS]
    scores = compare_on_tables(line)
    outcomes = [fits for _, fits in runs]
    print_recovery(outcomes)
    print_tables(scores)
    print_settings()
    data, fits = runs[0]
    curves = {
        _in_picture(TENSOR): (fits[TENSOR][0].model.loss_times_, fits[TENSOR][0].model.loss_curve_),
        _in_picture(RANDOM, len(RESTARTS)): [
            (one.model.loss_times_, one.model.loss_curve_) for one in fits[RANDOM]
        ],
        # keeps no curve with this solver: the ends of its fits
        _in_picture(RIVAL, len(RESTARTS)): [([one.seconds], [one.loss]) for one in fits[RIVAL]],
    }
    angles = [
        {_in_picture(side, len(tries)): best(tries).angles for side, tries in outcome.items()}
        for outcome in outcomes
    ]
    return {
        "network_loss": demo_pictures.network_loss(curves, data.noise_loss),
        "network_recovery": demo_pictures.network_recovery(angles),
    }


def _in_picture(side: str, starts: int = 1) -> str:
    """The name of a side where no table stands beside it."""
    name = side.replace("ours", "spectral-nn")
    return name if starts == 1 else f"{name}, best of {starts}"


def _table_models(seed: int) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "hidden_layer_sizes": (TABLE_WIDTH,),
        "activation": "relu",
        "max_iter": TABLE_MAX_ITER,
        "alpha": ALPHA,
        "random_state": seed,
    }
    return {
        TENSOR: MLPRegressor(init="tensor", **settings),
        RANDOM: MLPRegressor(init="random", **settings),
        RIVAL: sklearn_mlp.MLPRegressor(solver="lbfgs", **settings),
        "linear regression": LinearRegression(),
    }


def _small() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    X = np.random.default_rng(0).standard_normal((500, 3))
    return X, np.maximum(X[:, 0], 0) - np.maximum(X[:, 1] + X[:, 2], 0)


def _quietly(call: Callable[[], Any]) -> tuple[Any, float]:
    """Time a call without its warnings: few rows, iterations used up; both are meant here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return timed(call)


def _verdict(gaps: dict[str, NDArray[np.float64]]) -> str:
    """Whether moments differ by more than twice the standard error, and more than chance does."""
    mine = gaps[TENSOR]
    error = mine.std(ddof=1) / np.sqrt(mine.size)
    if abs(mine.mean()) <= max(2 * error, abs(gaps[RIVAL].mean())):
        return "as good"
    return "better" if mine.mean() > 0 else "worse"


def _mean_and_spread(scores: Sequence[float]) -> str:
    return f"{statistics.mean(scores):.3f} ± {statistics.stdev(scores):.3f}"


def _yes(found: bool) -> str:
    return "yes" if found else "no"
