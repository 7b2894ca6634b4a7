"""A default fit to words, K=45, 200,000 of them: seconds, and bits against the default before it.

The default before was a race of decompositions, classes of symbols and random starts
(``init="tensor"``) at a prior of one pseudo-count a state. It runs here as it was, and at the prior
that the default has now, which tells what smoothing does from what the start does.
"""

import statistics

from bench import ours
from bench.harness import Report, main
from bench.words_data import portuguese, split
from bench.words_fits import Tagger, emission_prior, fit

N_COMPONENTS = 45
N_WORDS = 200_000
NOW, BEFORE, SAME_PRIOR = "default", "tensor, one pseudo-count", "tensor"


def run(n_splits: int = 3) -> Report:
    """Fit all three to every split."""
    report = Report(
        "words_default",
        {
            NOW: f"CategoricalHMM({N_COMPONENTS}), random_state 0",
            BEFORE: f'CategoricalHMM({N_COMPONENTS}, init="tensor"), random_state 0, '
            "emissionprob_prior 1 + f(v), f the smoothed frequency of word v",
            SAME_PRIOR: "the same, with the default emissionprob_prior",
            "data": f"Portuguese (bench/words_data.py), {N_WORDS} words; 10 % of all sentences are "
            f"held out, splits 0..{n_splits - 1}; words that training did not show are missing",
        },
    )
    ours.warm_up()
    corpus = portuguese()
    fit(split(corpus, 0, n_train=10_000), 5)
    fits: dict[str, list[Tagger]] = {NOW: [], BEFORE: [], SAME_PRIOR: []}
    for seed in range(n_splits):
        one = split(corpus, seed, n_train=N_WORDS)
        flat = emission_prior(one, N_COMPONENTS, 1.0)
        fits[NOW].append(fit(one, N_COMPONENTS))
        fits[BEFORE].append(fit(one, N_COMPONENTS, init="tensor", emissionprob_prior=flat))
        fits[SAME_PRIOR].append(fit(one, N_COMPONENTS, init="tensor"))
    for name, taggers in fits.items():
        report.details[name] = [tagger.details() for tagger in taggers]
        report.add(f"{name}: bits, mean", _bits(taggers), unit="bits")
        report.add(f"{name}: seconds, mean", _seconds(taggers), unit="s")
    report.add("seconds of the default, mean", _seconds(fits[NOW]), must=20.0, reach=10.0, unit="s")
    report.add(
        "bits of the default less those of the one before, mean",
        _bits(fits[NOW]) - _bits(fits[BEFORE]),
        must=0.0,
        unit="bits",
    )
    report.add(
        "bits of the default less tensor's, mean", _bits(fits[NOW]) - _bits(fits[SAME_PRIOR])
    )
    return report


def _bits(taggers: list[Tagger]) -> float:
    return statistics.mean(tagger.score.bits for tagger in taggers)


def _seconds(taggers: list[Tagger]) -> float:
    return statistics.mean(tagger.seconds for tagger in taggers)


if __name__ == "__main__":
    main(run)
