"""Parts of speech without labels: anchors against the best of ten random starts.

A hidden Markov model is fitted to words, and its states are compared with the tags that linguists
gave. Random starts are our EM (the update is hmmlearn's, see ``bench/one_step.py``) run to
convergence, the best of them by what all sides climb; hmmlearn's own are far slower, and fewer run.
All sides have the same emission prior, and see the same sentences.
"""

import statistics
from typing import Any, NamedTuple

from bench import ours
from bench.harness import Report, main
from bench.words_data import REPORTED, Split, spelling, split
from bench.words_fits import (
    STEPS_ON_SUPPORT,
    STEPS_RELEASED,
    TO_CONVERGENCE,
    TOL,
    Tagger,
    best_of,
    climb,
    climb_hmmlearn,
    emission_prior,
    fit,
    fit_on_random_support,
)
from spectral_nn.models.chains.options import unseen_weight

FLAT = 1.0  # pseudo-count of each state, where the prior is next to nothing

FIGURES = {"accuracy": "%", "V-measure": "%", "bits": "bits", "seconds": "s"}

ANCHORS = "anchors"
RANDOM = "random starts"
HMMLEARN_STARTS, HMMLEARN_ITER = 2, 100
HMMLEARN = f"hmmlearn, {HMMLEARN_STARTS} starts of {HMMLEARN_ITER} steps"
SPELLING = "anchors and spelling"
DEFAULT = "default fit"
SUPPORT = "random support"
UNSMOOTHED = "random starts, one pseudo-count"


class Problem(NamedTuple):
    """A text, and how far ahead of random starts anchors have to be.

    Attributes
    ----------
    n_components : number of states, K.
    must, reach : points of many-to-one accuracy and of V-measure; None for information.
    n_iter : most EM steps of a random start.
    small : whether hmmlearn, and a control, have time for it.
    """

    n_components: int
    must: tuple[float, float] | None
    reach: tuple[float, float]
    n_iter: int = TO_CONVERGENCE
    n_splits: int = 5
    small: bool = True


PROBLEMS = {
    "Portuguese": Problem(17, (1, 4), (4, 6)),
    "Chinese": Problem(44, (8, 7), (12, 10), n_iter=100, n_splits=1, small=False),
    "Hebrew": Problem(15, None, (4, 6)),
}


def run(
    names: tuple[str, ...] = tuple(PROBLEMS), most_splits: int = 5, n_starts: int = 10
) -> Report:
    """Fit all sides to every split of every text."""
    report = Report(
        "words",
        {
            "ours": 'CategoricalHMM(K, init="anchor"), random_state 0',
            RANDOM: f'CategoricalHMM(K, init="random", n_init=1), random_state 0..{n_starts - 1}, '
            f"until a step gains less than {TOL:g} nats a word (Chinese: or 100 steps, of 0.7 s "
            "each); the best by objective, seconds of all",
            HMMLEARN: 'CategoricalHMM, implementation="scaling", the same prior and tol, its own '
            f"starts, random_state 0..{HMMLEARN_STARTS - 1}, which may not converge; on split "
            "0 alone, and not on Chinese: a step takes 10 s there",
            "emission prior": "our default for all sides: 1 + d / 30 f(v), f the smoothed "
            "frequency of word v among d",
            UNSMOOTHED: f"as the other random starts, at 1 + {FLAT:g} f(v); on split 0 alone",
            SUPPORT: "each word keeps as many states as anchors leave it, drawn at random; "
            f"{STEPS_ON_SUPPORT} EM steps, and {STEPS_RELEASED} in which it may have any",
            "splits": f"seeds 0..{most_splits - 1}, of the Chinese text 0: 10 % of "
            "the sentences are held out, the alphabet is that of the others",
            "scores": "on held-out sentences: tags against the most likely path of states; bits a "
            "word of those that are not missing",
        },
    )
    ours.warm_up()
    for name in names:
        problem, corpus = PROBLEMS[name], REPORTED[name]()
        fit(split(corpus, 0, n_train=10_000), 5, init="anchor")  # what anchors compile
        label, fits = f"{name}, K={problem.n_components}", []
        for seed in range(min(most_splits, problem.n_splits)):
            fits.append(_fit_all(split(corpus, seed), problem, n_starts, first=seed == 0))
            for side, tagger in fits[-1].items():
                print(f"{label}, split {seed}: {side}", tagger.details(), flush=True)
        report.details[label] = [
            {side: tagger.details() for side, tagger in by_side.items()} for by_side in fits
        ]
        _describe(report, label, fits)
        for rival in (RANDOM, HMMLEARN):
            _compare(report, label, problem, fits, rival)
    return report


def _fit_all(one: Split, problem: Problem, n_starts: int, first: bool) -> dict[str, Tagger]:
    """Every side on one split; what is slow, or says little more on others, on the first alone."""
    K, n_iter = problem.n_components, problem.n_iter
    counts = (unseen_weight(one.n_symbols), FLAT)
    prior, flat = (emission_prior(one, K, count) for count in counts)
    anchored: dict[str, Any] = {"init": "anchor", "emissionprob_prior": prior}
    anchors = fit(one, K, **anchored)
    sides = {
        ANCHORS: anchors,
        RANDOM: best_of([climb(one, prior, seed, n_iter) for seed in range(n_starts)]),
        SPELLING: fit(one, K, **anchored, symbol_features=spelling(one.vocabulary)),
        DEFAULT: fit(one, K),
        SUPPORT: fit_on_random_support(one, anchors, prior),
    }
    if first and problem.small:
        sides[UNSMOOTHED] = best_of([climb(one, flat, seed) for seed in range(n_starts)])
        sides[HMMLEARN] = best_of(
            [climb_hmmlearn(one, prior, seed, HMMLEARN_ITER) for seed in range(HMMLEARN_STARTS)]
        )
    return sides


def _describe(report: Report, label: str, fits: list[dict[str, Tagger]]) -> None:
    """Add the mean figures of every side."""
    for side in fits[0]:
        there = [by_side[side] for by_side in fits if side in by_side]
        splits = "" if len(there) == len(fits) else f", {len(there)} split"
        for figure, unit in FIGURES.items():
            mean = statistics.mean(one.details()[figure] for one in there)
            report.add(f"{label}: {side}{splits}, {figure}", mean, unit=unit)


def _compare(
    report: Report, label: str, problem: Problem, fits: list[dict[str, Tagger]], rival: str
) -> None:
    """Add anchors less what another side found, where that ran."""
    pairs = [(sides[ANCHORS].details(), sides[rival].details()) for sides in fits if rival in sides]
    if not pairs:
        return
    label = f"{label}: anchors against {rival}"
    less = {figure: [mine[figure] - others[figure] for mine, others in pairs] for figure in FIGURES}
    must = problem.must or (None, None)
    for figure, least, aim in zip(("accuracy", "V-measure"), must, problem.reach, strict=True):
        report.add(
            f"{label}: {figure}, worst split",
            min(less[figure]),
            must=least,
            reach=aim,
            unit="points",
            higher_is_better=True,
        )
    report.add(
        f"{label}: bits, mean", statistics.mean(less["bits"]), must=0.0, reach=-0.04, unit="bits"
    )
    report.add(
        f"{label}: time",
        statistics.mean(mine["seconds"] / others["seconds"] for mine, others in pairs),
        must=1 / 4,
        reach=1 / 10,
        unit="x",
    )


if __name__ == "__main__":
    main(run)
