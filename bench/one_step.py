"""One exact EM step against hmmlearn's: the largest difference of any parameter.

Sequences of unequal length, among them one of a single token, under random models.
"""

import numpy as np

from bench import ours
from bench.harness import Report, main
from bench.rivals import hmmlearn
from spectral_nn.datasets import planted_hmm, sample_hmm

LENGTHS = (1, 2, 50, 400, 1000)


def run(n_draws: int = 20, n_components: int = 5, n_symbols: int = 12) -> Report:
    """Compare one step of both sides on every draw."""
    report = Report(
        "one_step",
        {
            "model": f"K={n_components}, d={n_symbols}; sequences of {LENGTHS} tokens",
            "seeds": f"0..{n_draws - 1}",
            "rival": "hmmlearn scaling, n_iter=1 from the same parameters",
        },
    )
    worst = dict.fromkeys(("startprob", "transmat", "emissionprob"), 0.0)
    offsets = np.cumsum((0, *LENGTHS))
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        true, start = (
            planted_hmm(n_components, n_symbols, rng=rng, concentration=1.0) for _ in "ab"
        )
        codes = sample_hmm(true, int(offsets[-1]), rng)[0].ravel()
        step = ours.exact_em_step(start, codes, offsets)
        rival, _, _ = hmmlearn.fit(
            codes, offsets, n_components, n_symbols, n_init=1, n_iter=1, seed=seed, start=start
        )
        for name in worst:
            difference = np.abs(getattr(step, name) - getattr(rival, name)).max()
            worst[name] = max(worst[name], float(difference))
    for name, difference in worst.items():
        report.add(f"{name}: largest difference after one step", difference, must=5e-15)
    return report


if __name__ == "__main__":
    main(run)
