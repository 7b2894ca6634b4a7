"""The protocol of Zhong, Song, Jain, Bartlett and Dhillon (ICML 2017): angles of the weights.

Squared ReLU, k=5, weights of condition number 2, output weights +1 or -1, no biases, no noise,
standard normal inputs: d = 10, 30, 50 and n = 10,000, 30,000, 100,000. A run is a success when all
five learned directions are within one degree of the true ones, signs included. The angle of the
start is taken without signs, as that of directions.
"""

import statistics
import warnings
from functools import partial
from typing import Any

import numpy as np

from bench.harness import Report, main, timed
from spectral_estimators import MLPRegressor
from spectral_nn.datasets import sample_network
from spectral_nn.datasets.networks import orthonormal
from spectral_nn.metrics import direction_angles
from spectral_nn.models.network.dense import Network

N_COMPONENTS = 5
CONDITION = 2.0
FIRST_SEED = 100  # the draws 0..99 are for trying things out
ENOUGH = 30_000  # rows from which all runs must succeed
DEGREES = 1.0
TENSOR, RANDOM = "tensor", "random"


def draw_teacher(
    n_features: int, n_components: int, condition: float, rng: np.random.Generator
) -> Network:
    r"""Draw a network as in section 6 of *Recovery guarantees* (arXiv:1706.03175).

    .. math:: f(x) = \sum_j v_j \max(w_j^\top x, 0)^2, \qquad W = U S V^\top

    with random orthonormal U (d, k) and V (k, k), singular values evenly spaced from 1 to the
    condition number, and output weights +1 or -1 by the toss of a coin.
    """
    U = orthonormal(rng.standard_normal((n_features, n_components)))
    V = orthonormal(rng.standard_normal((n_components, n_components)))
    W = U * np.linspace(1.0, condition, n_components) @ V.T
    A = rng.choice([-1.0, 1.0], (n_components, 1))
    return Network((W, A), (np.zeros(n_components), np.zeros(1)), "squared_relu", "identity")


def run(
    dimensions: tuple[int, ...] = (10, 30, 50),
    sizes: tuple[int, ...] = (10_000, 30_000, 100_000),
    n_seeds: int = 20,
    max_iter: int = 200,
) -> Report:
    """Fit every draw from both starts; the bounds hold for shares of runs over all dimensions."""
    seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
    report = Report(
        "network_zhong",
        {
            "teacher": f"squared ReLU, k={N_COMPONENTS}, condition number 2, output weights "
            "+-1, no biases, no noise, standard normal inputs",
            "seeds": f"teacher and data {seeds[0]}..{seeds[-1]}, the fit's random_state the same",
            "ours": f"MLPRegressor(hidden_layer_sizes=({N_COMPONENTS},), "
            f'activation="squared_relu", alpha=0), max_iter=0 for the start and {max_iter} refined',
            "success": f"largest of the {N_COMPONENTS} angles below {DEGREES:g} degree, signed",
        },
    )
    shares: dict[tuple[str, int], list[bool]] = {}
    for d in dimensions:
        for n in sizes:
            draws = [_fit_both(d, n, seed, max_iter) for seed in seeds]
            report.details[f"d={d}, n={n}"] = {
                f"{figure} of each draw": [draw[figure] for draw in draws] for figure in draws[0]
            }
            _add_cell(report, f"d={d}, n={n}", draws)
            for init in (TENSOR, RANDOM):
                shares.setdefault((init, n), []).extend(_succeeded(draw, init) for draw in draws)
    for init in (TENSOR, RANDOM):
        for enough in (True, False):
            runs = [
                success
                for (side, n), successes in shares.items()
                for success in successes
                if side == init and (n >= ENOUGH) is enough
            ]
            if runs:
                bound = "must" if enough else "reach"
                report.add(
                    f"n {'>=' if enough else '<'} {ENOUGH}: runs below {DEGREES:g} degree, {init}",
                    100.0 * statistics.mean(runs),
                    **({bound: 100.0} if init == TENSOR else {}),
                    unit="%",
                    higher_is_better=True,
                )
    return report


def _add_cell(report: Report, label: str, draws: list[dict[str, Any]]) -> None:
    """Rows of one size, for information."""
    for figure in (f"{TENSOR}, start", f"{TENSOR}, refined", f"{RANDOM}, refined"):
        report.add(
            f"{label}: largest angle, {figure}, median over draws",
            statistics.median(max(draw[f"{figure}: angles"]) for draw in draws),
            unit="deg",
        )
    report.add(
        f"{label}: mean angle, {TENSOR}, start, median over draws",
        statistics.median(statistics.mean(draw[f"{TENSOR}, start: angles"]) for draw in draws),
        unit="deg",
    )


def _succeeded(draw: dict[str, Any], init: str) -> bool:
    return max(draw[f"{init}, refined: angles"]) < DEGREES


def _fit_both(d: int, n: int, seed: int, max_iter: int) -> dict[str, Any]:
    """Angles of one draw, refined from moments and from a random start, and those of the start."""
    rng = np.random.default_rng(seed)
    teacher = draw_teacher(d, N_COMPONENTS, CONDITION, rng)
    X, y = sample_network(teacher, n, noise=0.0, rng=rng)
    draw: dict[str, Any] = {}
    for init, stage in ((TENSOR, "start"), (TENSOR, "refined"), (RANDOM, "refined")):
        model = MLPRegressor(
            hidden_layer_sizes=(N_COMPONENTS,),
            activation="squared_relu",
            init=init,
            max_iter=0 if stage == "start" else max_iter,
            alpha=0.0,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # iterations used up: expected from a random start
            _, elapsed = timed(partial(model.fit, X, y))
        angles = direction_angles(model.coefs_[0], teacher.coefs[0], signed=stage == "refined")
        draw[f"{init}, {stage}: angles"] = angles.tolist()
        draw[f"{init}, {stage}: seconds"] = elapsed
        draw[f"{init}, {stage}: init"] = str(getattr(model, "init_", init))
    return draw


if __name__ == "__main__":
    main(run)
