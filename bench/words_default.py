"""A default fit to words, K=45, 200,000 of them: seconds, and bits against the default before it.

The default before (a race of decompositions, classes of symbols and random starts, at a prior of
one pseudo-count a state; commit 2cf1ff5) is no more. On the same splits it reached `BEFORE`. Random
starts, at its prior and at that which the default has now, tell what smoothing does.
"""

import statistics
from typing import Any

from bench import ours
from bench.harness import Report, main
from bench.words_data import portuguese, split
from bench.words_fits import Tagger, emission_prior, fit

N_COMPONENTS = 45
N_WORDS = 200_000
BEFORE = {"bits": 8.621, "seconds": 39.0}  # means of splits 0..2, beside other work
NOW, FLAT, SAME_PRIOR = "default", "random, one pseudo-count", "random"
RANDOM: dict[str, Any] = {"init": "random", "n_init": 3}


def run(n_splits: int = 3) -> Report:
    """Fit all three to every split."""
    report = Report(
        "words_default",
        {
            NOW: f"CategoricalHMM({N_COMPONENTS}), random_state 0",
            SAME_PRIOR: f'CategoricalHMM({N_COMPONENTS}, init="random", n_init=3), random_state 0',
            FLAT: "the same, emissionprob_prior 1 + f(v), f the smoothed frequency of word v",
            "data": f"Portuguese (bench/words_data.py), {N_WORDS} words; 10 % of all sentences are "
            f"held out, splits 0..{n_splits - 1}; words that training did not show are missing",
        },
    )
    ours.warm_up()
    corpus = portuguese()
    fit(split(corpus, 0, n_train=10_000), 5)
    fits: dict[str, list[Tagger]] = {NOW: [], SAME_PRIOR: [], FLAT: []}
    for seed in range(n_splits):
        one = split(corpus, seed, n_train=N_WORDS)
        flat = emission_prior(one, N_COMPONENTS, 1.0)
        fits[NOW].append(fit(one, N_COMPONENTS))
        fits[SAME_PRIOR].append(fit(one, N_COMPONENTS, **RANDOM))
        fits[FLAT].append(fit(one, N_COMPONENTS, **RANDOM, emissionprob_prior=flat))
    for name, taggers in fits.items():
        report.details[name] = [tagger.details() for tagger in taggers]
        report.add(f"{name}: bits, mean", _bits(taggers), unit="bits")
        report.add(f"{name}: seconds, mean", _seconds(taggers), unit="s")
    report.add("the default before: bits, mean", BEFORE["bits"], unit="bits")
    report.add("the default before: seconds, mean", BEFORE["seconds"], unit="s")
    report.add("seconds of the default, mean", _seconds(fits[NOW]), must=20.0, reach=10.0, unit="s")
    report.add(
        "bits of the default less those of the one before, mean",
        _bits(fits[NOW]) - BEFORE["bits"],
        must=0.0,
        unit="bits",
    )
    report.add(
        "bits of the default less those of random starts, mean",
        _bits(fits[NOW]) - _bits(fits[SAME_PRIOR]),
    )
    return report


def _bits(taggers: list[Tagger]) -> float:
    return statistics.mean(tagger.score.bits for tagger in taggers)


def _seconds(taggers: list[Tagger]) -> float:
    return statistics.mean(tagger.seconds for tagger in taggers)


if __name__ == "__main__":
    main(run)
