"""Sobol' indices and active subspaces in closed form, against simulation with the same network.

Planted networks under standard normal inputs. The rivals are Jansen's estimators of first-order and
total indices (Comput. Phys. Commun. 117, 1999) and the mean product of gradients, on 1e6 rows each,
with the standard errors of these means: the claim is that closed forms are right, so that 997 in
1,000 distances are below three standard errors, and that they take milliseconds.
"""

import statistics
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.harness import Report, main, race, timed
from spectral_nn.datasets import planted_network
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.dense import Network
from spectral_nn.models.network.sensitivity import active_subspace, sobol_indices

Floats = NDArray[np.float64]

FIRST_SEED = 100  # the draws 0..99 are for trying things out
KINDS = ("relu", "squared_relu", "tanh", "softplus")
D, K = 10, 10
LARGE_D, LARGE_K = 100, 30
N_ROWS = 1_000_000
BLOCK = 50_000
WITHIN = 3.0  # standard errors


def run(n_draws: int = 20, n_rows: int = N_ROWS) -> Report:
    """Both sides on the same networks."""
    report = Report(
        "sensitivity",
        {
            "networks": f"planted, d={D}, k={K}; for seconds d={LARGE_D}, k={LARGE_K}",
            "seeds": f"{FIRST_SEED}..{FIRST_SEED + n_draws - 1}",
            "simulation": f"{n_rows:.0e} rows a mean: {D + 2} times as many runs for all indices",
        },
    )
    for activation in KINDS:
        draws = [
            distances(activation, seed, n_rows) for seed in range(FIRST_SEED, FIRST_SEED + n_draws)
        ]
        for what in ("first", "total", "subspace"):
            z = np.concatenate([draw[what].ravel() for draw in draws])
            claim = f"{activation}, {what}: share within {WITHIN:g} errors of simulation"
            bound = {"must": 0.98, "reach": 0.995}
            report.add(claim, np.mean(np.abs(z) < WITHIN), higher_is_better=True, **bound)
            report.add(f"{activation}, {what}: root mean square distance", _rms(z), unit="errors")
        simulated = statistics.median(float(draw["seconds"]) for draw in draws)
        report.add(f"{activation}: simulation of all indices, d={D}", simulated, unit="s")
        for what, seconds in _seconds(activation).items():
            report.add(
                f"{activation}: {what}, d={LARGE_D}, k={LARGE_K}", seconds, must=0.05, unit="s"
            )
    return report


def distances(activation: str, seed: int, n_rows: int) -> dict[str, Floats]:
    """From simulation to closed form, in standard errors of the former; and its seconds."""
    rng = np.random.default_rng(seed)
    network = planted_network(D, K, activation=activation, rng=rng)
    parts = (network.coefs, network.intercepts, activation)
    exact, subspace = sobol_indices(*parts), active_subspace(*parts)
    (means, errors), seconds = timed(partial(_jansen, network, n_rows, rng))
    truth = exact.variance * np.stack([1 - exact.first[0], exact.total[0]])
    first, total = (means - truth) / errors
    products, spread = _gradients(network, n_rows, rng)
    some = spread > 1e-12  # of a linear network gradients are constant
    z = (products - subspace.matrix[0])[some] / spread[some]
    return {"first": first, "total": total, "subspace": z, "seconds": np.array(seconds)}


def _jansen(network: Network, n_rows: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    r"""Means of :math:`(f(B) - f(C_i))^2 / 2` and :math:`(f(A) - f(C_i))^2 / 2`, and their errors.

    C_i is A with column i of B: unbiased for ``Var f - Var E[f | x_i]`` and ``E Var[f | x_-i]``.
    """
    sums = np.zeros((2, 2, D))
    for _ in range(n_rows // BLOCK):
        A, B = rng.standard_normal((2, BLOCK, D))
        f = np.stack([network.decision(B)[:, 0], network.decision(A)[:, 0]])
        for column in range(D):
            C = A.copy()
            C[:, column] = B[:, column]
            halves = (f - network.decision(C)[:, 0]) ** 2 / 2
            sums[0, :, column] += halves.sum(axis=1)
            sums[1, :, column] += (halves**2).sum(axis=1)
    return _mean_and_error(sums, n_rows)


def _gradients(network: Network, n_rows: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Mean products of gradients, upper triangle, and their standard errors, (D, D)."""
    (W, A), (b, _), activation = network.coefs, network.intercepts, ACTIVATIONS[network.activation]
    sums = np.zeros((2, D, D))
    for _ in range(n_rows // BLOCK):
        Z = rng.standard_normal((BLOCK, D)) @ W + b
        g = (activation.derivative(Z, activation.value(Z)) * A[:, 0]) @ W.T
        sums += np.stack([g.T @ g, (g**2).T @ g**2])
    return _mean_and_error(sums, n_rows)


def _mean_and_error(sums: Floats, n_rows: int) -> tuple[Floats, Floats]:
    """Of sums of numbers and of their squares."""
    mean, square = sums / n_rows
    return mean, np.sqrt(np.maximum(square - mean**2, 0) / n_rows)


def _seconds(activation: str) -> dict[str, float]:
    """Median seconds of a large network."""
    network = planted_network(
        LARGE_D, LARGE_K, activation=activation, rng=np.random.default_rng(FIRST_SEED)
    )
    parts = (network.coefs, network.intercepts, activation)
    times = race(
        {
            "all Sobol' indices": lambda: sobol_indices(*parts),
            "active subspace": lambda: active_subspace(*parts),
        }
    )
    return {name: found["median"] for name, found in times.items()}


def _rms(z: Floats) -> float:
    return float(np.sqrt(np.mean(z**2)))


if __name__ == "__main__":
    main(run)
