"""Real text, K=10, N=100,000: time and held-out bits against hmmlearn's best of 10 restarts.

hmmlearn runs 10 restarts of at most 100 iterations with ``implementation="scaling"``, the faster of
its two, and keeps the one with the highest training likelihood. Ours is the estimator with its
defaults, once a seed. Both sides are scored alike (:mod:`bench.scoring`), on texts that no setting
was chosen on.
"""

import statistics

from bench import ours
from bench.harness import Report, main
from bench.rivals import hmmlearn
from bench.scoring import SMOOTHING_SAID, held_out_bits, split_text

N_COMPONENTS = 10


def run(
    sizes: tuple[tuple[str, int], ...] = (
        ("python manual", 100_000),
        ("english news", 100_000),
        ("data set descriptions", 30_000),
    ),
    n_seeds: int = 5,
    n_init: int = 10,
    n_iter: int = 100,
) -> Report:
    """Fit both sides on every text; the bounds hold for the texts of 100,000 characters."""
    report = Report(
        "text_k10",
        {
            "rival": f"hmmlearn scaling, float64, best on training data of {n_init} restarts x at "
            f"most {n_iter} iterations, tol at its default 0.01, random_state 0..{n_init - 1}",
            "ours": f"CategoricalHMM(n_components={N_COMPONENTS}), random_state 0..{n_seeds - 1}",
            "scoring": SMOOTHING_SAID,
            "held out": "the 50,000 characters after the training part, or to the end of the text",
        },
    )
    ours.warm_up()
    for name, n_train in sizes:
        _compare(report, name, n_train, n_seeds, n_init, n_iter)
    return report


def _compare(
    report: Report, name: str, n_train: int, n_seeds: int, n_init: int, n_iter: int
) -> None:
    """Add the rows of one text."""
    split = split_text(name, n_train, 50_000)
    data = (split.train, split.offsets, N_COMPONENTS, split.n_symbols)
    bits, seconds = [], []
    for seed in range(n_seeds):
        parameters, elapsed, _ = ours.fit(*data, seed=seed)
        bits.append(held_out_bits(parameters, split.test))
        seconds.append(elapsed)
    rival, rival_seconds, scores = hmmlearn.fit(*data, n_init=n_init, n_iter=n_iter, seed=0)
    rival_bits = held_out_bits(rival, split.test)
    report.details[name] = {
        "train": split.train.size,
        "test": split.test.size,
        "ours, bits of each seed": bits,
        "ours, seconds of each seed": seconds,
        "hmmlearn, bits": rival_bits,
        "hmmlearn, seconds of all restarts": rival_seconds,
        "hmmlearn, training log likelihood of each restart": scores,
    }
    label = f"{name}, N={split.train.size}"
    report.add(f"{label}: ours, mean", statistics.mean(bits), unit="bits")
    report.add(f"{label}: hmmlearn best of {n_init}", rival_bits, unit="bits")
    report.add(f"{label}: ours, mean time", statistics.mean(seconds), unit="s")
    bounded = n_train >= 100_000
    report.add(
        f"{label}: time of hmmlearn over ours",
        rival_seconds / statistics.mean(seconds),
        must=25.0 if bounded else None,
        reach=100.0 if bounded else None,
        unit="x",
        higher_is_better=True,
    )
    report.add(
        f"{label}: mean of {n_seeds} seeds less hmmlearn's",
        statistics.mean(bits) - rival_bits,
        must=0.0 if bounded else None,
        unit="bits",
    )
    report.add(
        f"{label}: worst seed less hmmlearn's", max(bits) - rival_bits, reach=0.0, unit="bits"
    )


if __name__ == "__main__":
    main(run)
