"""A planted sticky model (K=10, d=50, staying .95, N=300,000): errors against EM from the truth.

EM started from the true parameters is the best that likelihood can do with these data; it is run by
hmmlearn, until it converges. The figure is the ratio of mean L1 errors of the rows of the emission
and the transition matrix, states matched by the Hungarian method.
"""

import statistics

import numpy as np

from bench import ours
from bench.harness import Report, main
from bench.rivals import hmmlearn
from spectral_nn.datasets import planted_hmm, sample_hmm
from spectral_nn.metrics import parameter_errors

N_COMPONENTS, N_SYMBOLS, STAY = 10, 50, 0.95
FIRST_SEED = 100  # the draws 0..99 are for trying things out


def run(n_tokens: int = 300_000, n_draws: int = 5, n_iter: int = 200) -> Report:
    """Fit both sides on every draw; the bounds hold for the mean errors over the draws."""
    report = Report(
        "planted_sticky",
        {
            "model": f"K={N_COMPONENTS}, d={N_SYMBOLS}, stay={STAY}, emissions Dirichlet(0.3), "
            f"one sequence of {n_tokens} tokens",
            "seeds": f"model and data {FIRST_SEED}..{FIRST_SEED + n_draws - 1}, the fit's "
            "random_state the same",
            "rival": f"hmmlearn scaling from the true parameters, at most {n_iter} iterations, "
            "tol at its default 0.01",
            "errors": "mean L1 distance of rows, states matched on the emissions",
        },
    )
    ours.warm_up()
    errors: dict[str, list[dict[str, float]]] = {"ours": [], "EM from the truth": []}
    seconds = []
    for seed in range(FIRST_SEED, FIRST_SEED + n_draws):
        rng = np.random.default_rng(seed)
        true = planted_hmm(N_COMPONENTS, N_SYMBOLS, stay=STAY, rng=rng)
        codes = sample_hmm(true, n_tokens, rng)[0].ravel()
        data = (codes, np.array([0, codes.size]), N_COMPONENTS, N_SYMBOLS)
        parameters, elapsed, _ = ours.fit(*data, seed=seed)
        rival, _, _ = hmmlearn.fit(*data, n_init=1, n_iter=n_iter, seed=seed, start=true)
        errors["ours"].append(parameter_errors(parameters, true))
        errors["EM from the truth"].append(parameter_errors(rival, true))
        seconds.append(elapsed)
    report.details = {"errors of each draw": errors, "ours, seconds of each draw": seconds}
    for name in ("emissionprob", "transmat"):
        mean, rival_mean = (
            statistics.mean(draw[name] for draw in errors[side])
            for side in ("ours", "EM from the truth")
        )
        report.add(f"{name}: ours, mean L1 error", mean)
        report.add(f"{name}: EM from the truth, mean L1 error", rival_mean)
        report.add(
            f"{name}: ours over EM from the truth",
            mean / rival_mean,
            must=1.2,
            reach=1.05,
            unit="x",
        )
    report.add("ours, mean time", statistics.mean(seconds), unit="s")
    return report


if __name__ == "__main__":
    main(run)
