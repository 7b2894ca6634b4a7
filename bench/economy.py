"""What choosing a start costs: a whole default fit beside one climb; and default BLAS threads.

A climb is EM from one random start (``init="random"``), with the same tolerance, until it
converges; where the fit is limited to ten steps, so is the climb. The mean of several seeds counts,
for climbs and for fits. Times of default BLAS threads are those of fresh processes on all cores,
in turn with and without ``OPENBLAS_NUM_THREADS=1``.
"""

import json
import os
import re
import statistics
import subprocess
import sys
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from bench import ours
from bench.harness import Report, main
from bench.scoring import split_text
from bench.texts import docstring_text
from spectral_estimators import CategoricalHMM
from spectral_nn.datasets import planted_hmm, sample_hmm

TO_CONVERGENCE = 1000
LARGE = 60.0  # seconds

Data = tuple[NDArray[np.int32], int]


def planted(n_components: int, n_symbols: int, n_tokens: int, stay: float) -> Data:
    """One sequence of a planted model, and the size of its alphabet."""
    rng = np.random.default_rng(100)
    true = planted_hmm(n_components, n_symbols, stay=stay, rng=rng)
    return sample_hmm(true, n_tokens, rng)[0].ravel().astype(np.int32), n_symbols


def characters(name: str, n_tokens: int) -> Data:
    """The beginning of a text."""
    split = split_text(name, n_tokens, 30_000)
    return split.train, split.n_symbols


def words(n_tokens: int) -> Data:
    """Words, numbers and marks of SciPy's docstrings, the commonest first."""
    text = docstring_text("scipy").lower()
    tokens = re.findall(r"[a-z]+|[0-9]+|[^\sa-z0-9]", text)[:n_tokens]
    number = {word: i for i, (word, _) in enumerate(Counter(tokens).most_common())}
    return np.array([number[word] for word in tokens], dtype=np.int32), len(number)


CASES = {
    "planted, K=200, d=1,000, N=1e5, ten steps": (
        200,
        lambda: planted(200, 1000, 100_000, 0.5),
        10,
    ),
    "planted, K=20, d=50,000, N=1e6": (20, lambda: planted(20, 50_000, 10**6, 0.5), 100),
    "words, K=45, N=230,000": (45, lambda: words(230_000), 100),
    "python manual, K=10, N=1e5": (10, lambda: characters("python manual", 100_000), 100),
    "python manual, K=30, N=4e5": (30, lambda: characters("python manual", 400_000), 100),
    "planted and sticky, K=10, d=50, N=3e5": (10, lambda: planted(10, 50, 300_000, 0.95), 100),
    "planted, K=5, d=20, N=2,000": (5, lambda: planted(5, 20, 2000, 0.7), 100),
}
N_LARGE = 3  # the first of them have a limit in seconds

FITS = {
    "MLPRegressor": "MLPRegressor(random_state=0).fit(X, X[:, 0].clip(0) + X[:, 1] ** 2)",
    "MLPClassifier": "MLPClassifier(random_state=0).fit(X, X[:, 0] * X[:, 1] > 0)",
    "MLPRegressor, one unit": "MLPRegressor(random_state=0).fit(X, y)",
    "TensorFeatures": "TensorFeatures(4, random_state=0).fit(X, y)",
    "CategoricalHMM, K=5": "CategoricalHMM(5, random_state=0).fit(S)",
    "CategoricalHMM, K=30": "CategoricalHMM(30, random_state=0).fit(S)",
}
SCRIPT = """
import os, sys, time, warnings
os.sched_setaffinity(0, range(os.cpu_count()))
warnings.simplefilter("ignore")
import numpy as np
from spectral_estimators import CategoricalHMM, MLPClassifier, MLPRegressor, TensorFeatures
rng = np.random.default_rng(0)
X = rng.standard_normal((2000, 10))
y = np.maximum(X[:, 0] - X[:, 1], 0) + 0.1 * rng.standard_normal(2000)
S = (rng.integers(0, 4, 20_000).cumsum() // 3 % 12)
{fit}
begin = time.perf_counter()
{fit}
print(time.perf_counter() - begin)
"""


def run(n_fits: int = 3, n_climbs: int = 5, n_large: int = 2, rounds: int = 3) -> Report:
    """Measure all cases."""
    report = Report(
        "economy",
        {
            "ours": f"CategoricalHMM(K), random_state 0..{n_fits - 1}; of the {N_LARGE} largest "
            f"cases 0..{n_large - 1}, for fits and climbs",
            "a climb": f'the same with init="random", random_state 0..{n_climbs - 1}, until it '
            f"converges (n_iter={TO_CONVERGENCE}); n_iter=10 where the case says ten steps",
            "BLAS threads": f"second fit of a fresh process, least of {rounds}, all cores",
        },
    )
    ours.warm_up()
    for i, (name, (n_components, data, n_iter)) in enumerate(CASES.items()):
        codes, n_symbols = data()
        fit_to = (codes, np.array([0, codes.size]), n_components, n_symbols)
        limit = n_iter if n_iter < 100 else TO_CONVERGENCE
        n_seeds = (n_large, n_large) if i < N_LARGE else (n_climbs, n_fits)
        climbs = [
            ours.fit(*fit_to, seed=seed, init="random", n_iter=limit) for seed in range(n_seeds[0])
        ]
        fits = [ours.fit(*fit_to, seed=seed, n_iter=n_iter) for seed in range(n_seeds[1])]
        seconds, climbing = ([one[1] for one in side] for side in (fits, climbs))
        reached = [[_objective(one[2], codes.size) for one in side] for side in (fits, climbs)]
        report.details[name] = {
            "fits, seconds": seconds,
            "climbs, seconds": climbing,
            "fits, objective a token": reached[0],
            "climbs, objective a token": reached[1],
            "climbs, steps": [len(one[2].monitor_.history) for one in climbs],
            "winners": [one[2].report_.winner for one in fits],
        }
        large = LARGE if i < N_LARGE else None
        mean, climb = statistics.mean(seconds), statistics.mean(climbing)
        report.add(f"{name}: seconds", mean, must=large, unit="s")
        report.add(f"{name}: one climb", climb, unit="s")
        report.add(f"{name}: over one climb", mean / climb, must=4.0, unit="x")
    for name, fit in FITS.items():
        ambient, alone = _in_turn(fit, rounds)
        report.details[name] = {"default threads": ambient, "one thread": alone}
        gain = min(ambient) / min(alone)
        report.add(f"{name}: default BLAS threads over one", gain, must=1.1, unit="x")
    return report


def _objective(model: CategoricalHMM, n_tokens: int) -> float:
    return model.monitor_.history[-1] / n_tokens


def _in_turn(fit: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of a fit with default BLAS threads, and with one."""
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    bound = free | {"OPENBLAS_NUM_THREADS": "1"}
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for side, environment in zip(seconds, (free, bound), strict=True):
            command = [sys.executable, "-c", SCRIPT.format(fit=fit)]
            done = subprocess.run(command, env=environment, capture_output=True, check=True)
            side.append(float(json.loads(done.stdout)))
    return seconds


if __name__ == "__main__":
    main(run)
