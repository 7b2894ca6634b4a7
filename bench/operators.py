"""A planted, well-conditioned chain: the error of observable operators falls as n^(-1/2).

The figure is the slope of the mean log L1 error of the probabilities of all words of five symbols
against log n, for the moments of three symbols in a row (Hsu, Kakade, Zhang 2009) and for those of
frequent substrings.  Nothing is chosen on these draws: the rank is the true number of states.
"""

import itertools
import math

import numpy as np

from bench.harness import Report, main
from spectral_estimators import ObservableOperatorModel
from spectral_nn.data import Sequences
from spectral_nn.datasets import planted_hmm, sample_hmm
from spectral_nn.models.chains.inference import log_likelihoods

N_COMPONENTS, N_SYMBOLS, STAY, CONCENTRATION = 3, 6, 0.6, 0.2
LENGTH, N_STEPS = 5, 100
FIRST_SEED = 100  # the draws 0..99 are for trying things out
KINDS = ("symbols", "factors")


def run(
    sizes: tuple[int, ...] = (10_000, 30_000, 100_000, 300_000, 1_000_000), n_draws: int = 10
) -> Report:
    """Fit every draw at every size, on nested data: fewer sequences begin the more."""
    report = Report(
        "operators",
        {
            "model": f"K={N_COMPONENTS}, d={N_SYMBOLS}, stay={STAY}, emissions "
            f"Dirichlet({CONCENTRATION}), stationary, sequences of {N_STEPS} symbols",
            "seeds": f"model and data {FIRST_SEED}..{FIRST_SEED + n_draws - 1}",
            "sizes": list(sizes),
            "error": f"sum over all {N_SYMBOLS**LENGTH} words of {LENGTH} symbols of "
            "|P(word) by the model - P(word) by the chain|",
            "ours": f"ObservableOperatorModel({N_COMPONENTS}, hankel=...)",
        },
    )
    words = np.array(list(itertools.product(range(N_SYMBOLS), repeat=LENGTH)))
    all_words = Sequences.from_lengths(words.ravel(), np.full(len(words), LENGTH))
    logs: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    for seed in range(FIRST_SEED, FIRST_SEED + n_draws):
        rng = np.random.default_rng(seed)
        true = planted_hmm(N_COMPONENTS, N_SYMBOLS, stay=STAY, concentration=CONCENTRATION, rng=rng)
        codes, _ = sample_hmm(true, N_STEPS, rng, max(sizes) // N_STEPS)
        wanted = np.exp(log_likelihoods(true, all_words))
        for kind in KINDS:
            errors = []
            for size in sizes:
                model = ObservableOperatorModel(
                    N_COMPONENTS, hankel=kind, n_features=N_SYMBOLS, random_state=seed
                ).fit(codes[: size // N_STEPS, :, None])
                errors.append(np.abs(np.exp(model.score_samples(all_words)) - wanted).sum())
            logs[kind].append([math.log(error) for error in errors])
            shown = " ".join(f"{error:.4f}" for error in errors)
            print(f"  seed {seed}, {kind}: {shown}", flush=True)
    for kind, rows in logs.items():
        mean = np.mean(rows, axis=0)
        slope = float(np.polyfit(np.log(sizes), mean, 1)[0])
        each = [float(np.polyfit(np.log(sizes), row, 1)[0]) for row in rows]
        report.details[kind] = {
            "mean log error": mean.tolist(),
            "log error of each draw": rows,
            "slope of each draw": each,
        }
        report.add(f"{kind}: slope of log L1 error of words against log n", slope)
        report.add(f"{kind}: distance of the slope from -1/2", abs(slope + 0.5), must=0.1)
        report.add(f"{kind}: L1 error at n={max(sizes)}, geometric mean", math.exp(mean[-1]))
    return report


if __name__ == "__main__":
    main(run)
