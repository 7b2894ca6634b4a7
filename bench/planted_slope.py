"""A planted, well-conditioned model: the error of the pure method of moments falls as N^(-1/2).

``init="tensor", n_iter=0``: parameters read off the decomposition, then fitted to the trigrams.
The figure is the slope of the mean log error against log N, for emissions and transitions.
"""

import math

import numpy as np
from numpy.typing import NDArray

from bench import ours
from bench.harness import Report, main
from spectral_nn.datasets import planted_hmm, sample_hmm
from spectral_nn.metrics import parameter_errors
from spectral_nn.models.chains.parameters import HMMParameters

N_COMPONENTS, N_SYMBOLS, STAY, CONCENTRATION = 4, 20, 0.7, 0.1
FIRST_SEED = 100  # the draws 0..99 are for trying things out


def run(
    sizes: tuple[int, ...] = (30_000, 100_000, 300_000, 1_000_000, 3_000_000), n_draws: int = 10
) -> Report:
    """Fit every draw at every size, on nested data: a shorter text begins a longer one."""
    report = Report(
        "planted_slope",
        {
            "model": f"K={N_COMPONENTS}, d={N_SYMBOLS}, stay={STAY}, emissions "
            f"Dirichlet({CONCENTRATION}), one sequence",
            "seeds": f"model and data {FIRST_SEED}..{FIRST_SEED + n_draws - 1}, the fit's "
            "random_state the same",
            "sizes": list(sizes),
            "ours": 'CategoricalHMM(init="tensor", n_iter=0)',
        },
    )
    logs: dict[str, list[list[float]]] = {"emissionprob": [], "transmat": []}
    for seed in range(FIRST_SEED, FIRST_SEED + n_draws):
        rng = np.random.default_rng(seed)
        true = planted_hmm(N_COMPONENTS, N_SYMBOLS, stay=STAY, concentration=CONCENTRATION, rng=rng)
        codes = sample_hmm(true, max(sizes), rng)[0].ravel()
        draws = [_errors(codes[:size], true, seed) for size in sizes]
        for name, rows in logs.items():
            rows.append([math.log(draw[name]) for draw in draws])
    for name, rows in logs.items():
        mean = np.mean(rows, axis=0)
        slope = float(np.polyfit(np.log(sizes), mean, 1)[0])
        report.details[name] = {"mean log error": mean.tolist(), "log error of each draw": rows}
        report.add(f"{name}: slope of log error against log N", slope)
        report.add(f"{name}: distance of the slope from -1/2", abs(slope + 0.5), must=0.1)
    return report


def _errors(codes: NDArray[np.int32], true: HMMParameters, seed: int) -> dict[str, float]:
    """Errors of one fit by moments alone."""
    parameters, _, _ = ours.fit(
        codes,
        np.array([0, codes.size]),
        N_COMPONENTS,
        N_SYMBOLS,
        seed=seed,
        init="tensor",
        n_iter=0,
    )
    return parameter_errors(parameters, true)


if __name__ == "__main__":
    main(run)
