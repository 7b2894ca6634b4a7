"""Topics of real documents: held-out perplexity, coherence and time, beside topic models in use.

Perplexity is that of half of the tokens of each held-out document, told by the other half, for all
sides by the same code from their topics and priors. Coherence is NPMI of the ten likeliest words on
the documents learned from. The control is ours from random topics: what moments add to it.
"""

import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import sparse

from bench.harness import Report, main
from bench.rivals import topic_models
from bench.rivals.topic_models import Topics
from bench.topics_data import NAMES, corpus, split
from spectral_nn.models.topics.evaluate import coherence, complete_documents

FIRST_SEED = 0
OURS, CONTROL = "ours", "ours, init random"
TOMOTOPY, LONG, GENSIM = "tomotopy, 200", "tomotopy, 1000", "gensim, 10 passes"
TOPICA, MALLET, ANCHORS = "topica, 1000", "Mallet, 1000", "anchortopics"
SCIKIT, DEFAULT = "scikit-learn, 60 passes", "scikit-learn, 10 passes"
SIDES: dict[str, Callable[[sparse.csr_array, int, int], Topics]] = {
    OURS: topic_models.ours,
    CONTROL: partial(topic_models.ours, init="random"),
    "moments alone": partial(topic_models.ours, max_iter=0),
    TOMOTOPY: topic_models.tomotopy,
    LONG: partial(topic_models.tomotopy, n_iter=1000),
    TOPICA: topic_models.topica,
    MALLET: topic_models.mallet,
    ANCHORS: topic_models.anchor_topics,
    GENSIM: topic_models.gensim,
    SCIKIT: topic_models.scikit_learn,
    DEFAULT: partial(topic_models.scikit_learn, n_iter=10),
}
LEFT_OUT = {"nyt": {DEFAULT}, "news": {SCIKIT, LONG}}  # for the time they take
AHEAD = {"perplexity": {"reach": 1.0}, "seconds": {"reach": 1.0}, "coherence": {"reach": 0.0}}
BOUNDS: dict[str, dict[str, dict[str, float]]] = {
    SCIKIT: {"perplexity": {"must": 1.0}, "seconds": {"must": 1 / 4, "reach": 1 / 8}},
    DEFAULT: {"perplexity": {"must": 1.0}, "seconds": {"must": 1.0}},
    GENSIM: {"perplexity": {"must": 1.0}, "seconds": {"must": 1.0}},
    TOMOTOPY: {
        "perplexity": {"must": 1.02},
        "seconds": {"must": 1.0},
        "coherence": {"must": -0.02},
    },
    LONG: {"perplexity": {"reach": 1.0}, "coherence": {"reach": 0.0}},
    TOPICA: AHEAD,
    MALLET: AHEAD,
    ANCHORS: AHEAD,
}
"""Of what ours has over what a side has, and of the lead in coherence."""
PROBLEMS = (("nyt", 20), ("news", 50))

Figures = dict[str, float]


def run(
    problems: tuple[tuple[str, int], ...] = PROBLEMS,
    n_seeds: int = 5,
    sides: tuple[str, ...] = tuple(SIDES),
) -> Report:
    """Fit all sides to every corpus, on one split into documents, at several seeds."""
    seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
    report = Report(
        "topics_real",
        {
            **{name: NAMES[name] for name, _ in problems},
            "split": "80 / 20 by documents, another for each seed",
            "seeds": f"{seeds[0]}..{seeds[-1]}, of splits and fits",
            "ours": "LatentDirichletAllocation with its defaults; passes and priors were chosen on "
            "Reuters-21578 R52 and the 395 documents of the package lda",
            "rivals": "scikit-learn batch (60 passes; on the news 10, its default); gensim with "
            "learned priors; tomotopy, topica and Mallet (pyrmallet), by Gibbs sampling, with "
            "learned priors of documents; anchortopics, with a hundredth of the words' frequencies "
            "in each topic",
            "seconds": "of the processor, one thread, training alone",
        },
    )
    for name, k in problems:
        X = corpus(name)
        topic_models.ours(X[:200], k, 0, init="random", max_iter=2)  # compiles
        found = {
            side: [_fit(SIDES[side], X, k, seed) for seed in seeds]
            for side in sides
            if side not in LEFT_OUT[name]
        }
        report.details[f"{name}, {k} topics"] = found
        _compare(report, f"{name}, k={k}", found)
    return report


def _fit(
    fit: Callable[[sparse.csr_array, int, int], Topics], X: sparse.csr_array, k: int, seed: int
) -> Figures:
    train, test = split(X, seed)
    topics = fit(train, k, seed)
    rng = np.random.default_rng(seed)
    nats, n = complete_documents(test, topics.words, topics.prior, rng)
    return {
        "perplexity": float(np.exp(-nats.sum() / n.sum())),
        "coherence": float(coherence(train, topics.words).mean()),
        "seconds": topics.seconds,
    }


def _compare(report: Report, label: str, found: dict[str, list[Figures]]) -> None:
    mean = {
        side: {key: statistics.mean(fit[key] for fit in fits) for key in fits[0]}
        for side, fits in found.items()
    }
    for side, figures in mean.items():
        report.add(f"{label}: perplexity, {side}", figures["perplexity"])
        report.add(f"{label}: coherence, {side}", figures["coherence"])
        report.add(f"{label}: CPU time, {side}", figures["seconds"], unit="s")
    for side in mean:
        for key, bound in BOUNDS.get(side, {}).items():
            if key == "coherence":
                lead = mean[OURS][key] - mean[side][key]
                claim = f"{label}: coherence beyond {side}"
                report.add(claim, lead, higher_is_better=True, **bound)
            else:
                ratio = mean[OURS][key] / mean[side][key]
                report.add(f"{label}: {key} over {side}", ratio, unit="x", **bound)


if __name__ == "__main__":
    main(run)
