"""Real text, K=30, N=400,000: held-out bits against the best of 5 random starts run to convergence.

The rival is plain Baum-Welch without priors (:func:`bench.ours.baum_welch`; the same update as
hmmlearn's, which would take most of an hour here), each start run until an iteration gains less
than 1e-6 nats a token, and the best of them by training likelihood. A random start draws every row
from a flat Dirichlet distribution.
"""

import statistics
import time

import numpy as np

from bench import ours
from bench.harness import Report, main
from bench.scoring import SMOOTHING_SAID, Split, held_out_bits, split_text
from spectral_nn.models.chains.parameters import HMMParameters

N_COMPONENTS = 30
TOL = 1e-6


def run(
    texts: tuple[str, ...] = ("python manual", "scipy docstrings"),
    n_train: int = 400_000,
    n_seeds: int = 5,
    n_starts: int = 5,
    n_iter: int = 1000,
) -> Report:
    """Fit both sides on every text."""
    report = Report(
        "text_k30",
        {
            "rival": f"plain Baum-Welch, float64, best on training data of {n_starts} random "
            f"starts (seeds 0..{n_starts - 1}), until an iteration gains < {TOL:g} nats a token "
            f"or {n_iter} iterations",
            "ours": f"CategoricalHMM(n_components={N_COMPONENTS}), random_state 0..{n_seeds - 1}",
            "scoring": SMOOTHING_SAID,
            "held out": "the 100,000 characters after the training part, or to the text's end",
        },
    )
    ours.warm_up()
    for name in texts:
        split = split_text(name, n_train, 100_000)
        bits, seconds = [], []
        for seed in range(n_seeds):
            parameters, elapsed, _ = ours.fit(
                split.train, split.offsets, N_COMPONENTS, split.n_symbols, seed=seed
            )
            bits.append(held_out_bits(parameters, split.test))
            seconds.append(elapsed)
        starts = [_converge(split, seed, n_iter) for seed in range(n_starts)]
        best = max(starts, key=lambda start: start["training log likelihood"])
        report.details[name] = {
            "train": split.train.size,
            "test": split.test.size,
            "ours, bits of each seed": bits,
            "ours, seconds of each seed": seconds,
            "random starts": starts,
        }
        label = f"{name}, N={split.train.size}"
        report.add(f"{label}: ours, mean", statistics.mean(bits), unit="bits")
        report.add(f"{label}: best of {n_starts} random starts", best["bits"], unit="bits")
        report.add(f"{label}: ours, mean time", statistics.mean(seconds), unit="s")
        report.add(
            f"{label}: one random start to convergence, mean time",
            statistics.mean(start["seconds"] for start in starts),
            unit="s",
        )
        report.add(
            f"{label}: mean of {n_seeds} seeds less the best start's",
            statistics.mean(bits) - best["bits"],
            must=0.01,
            reach=0.0,
            unit="bits",
        )
    return report


def _converge(split: Split, seed: int, n_iter: int) -> dict[str, float]:
    """One random start, run to convergence and scored."""
    rng = np.random.default_rng(seed)
    start = HMMParameters.categorical(
        rng.dirichlet(np.ones(N_COMPONENTS)),
        rng.dirichlet(np.ones(N_COMPONENTS), size=N_COMPONENTS),
        rng.dirichlet(np.ones(split.n_symbols), size=N_COMPONENTS),
    )
    begin = time.perf_counter()
    parameters, history = ours.baum_welch(start, split.train, split.offsets, tol=TOL, n_iter=n_iter)
    return {
        "seed": seed,
        "seconds": time.perf_counter() - begin,
        "iterations": len(history),
        "training log likelihood": history[-1],
        "bits": held_out_bits(parameters, split.test),
    }


if __name__ == "__main__":
    main(run)
