"""The last part of ``make demo``: topics of news.

395 articles of Reuters, every fifth of which is held out, and twenty topics.  Our estimator from
moments and from random starts, and scikit-learn's, all with their defaults and five seeds; the
perplexity of held-out halves of documents is computed by one function for all.
"""

import statistics
import time
from typing import Any, NamedTuple

import numpy as np
import sklearn.decomposition
from lda.datasets import load_reuters, load_reuters_vocab
from matplotlib.figure import Figure
from scipy import sparse

from bench.harness import environment
from examples import demo_pictures
from examples.live_line import LiveLine
from spectral_estimators import LatentDirichletAllocation
from spectral_estimators.metrics import coherence, complete_documents

N_COMPONENTS = 20
SEEDS = range(5)
SIDES = {
    "ours, from moments": (LatentDirichletAllocation, {}),
    "ours, random starts": (LatentDirichletAllocation, {"init": "random"}),
    "scikit-learn": (sklearn.decomposition.LatentDirichletAllocation, {}),
}


class Run(NamedTuple):
    """A fit, and how good its topics are."""

    model: Any
    seconds: float
    perplexity: float
    coherence: float


def main(line: LiveLine) -> dict[str, Figure]:
    """Fit all sides, print the table, draw the topics."""
    X = sparse.csr_array(load_reuters())
    held_out = np.arange(X.shape[0]) % 5 == 4
    line.show("  topics: compiling, the first time only")
    LatentDirichletAllocation(2, random_state=0).fit(X[:20])
    runs = {}
    for side in SIDES:
        line.show(f"  topics: {side}, {len(SEEDS)} fits")
        runs[side] = [fit(side, seed, X[~held_out], X[held_out]) for seed in SEEDS]
        total = sum(run.seconds for run in runs[side])
        line.end(f"  topics: {side}, {len(SEEDS)} fits, {total:.1f} s")
    print_table(X, runs)
    print_settings()
    model = runs["ours, from moments"][0].model
    return {"topics": demo_pictures.topics(model, X, load_reuters_vocab())}


def fit(side: str, seed: int, train: sparse.csr_array, test: sparse.csr_array) -> Run:
    """One fit of a side."""
    estimator, options = SIDES[side]
    begin = time.process_time()
    model = estimator(N_COMPONENTS, random_state=seed, **options).fit(train)
    seconds = time.process_time() - begin
    topics = model.components_ / model.components_.sum(axis=1, keepdims=True)
    prior = np.full(N_COMPONENTS, model.doc_topic_prior_)
    nats, n = complete_documents(test, topics, prior, np.random.default_rng(0))
    perplexity = float(np.exp(-nats.sum() / n.sum()))
    return Run(model, seconds, perplexity, float(coherence(train, topics).mean()))


def print_table(X: sparse.csr_array, runs: dict[str, list[Run]]) -> None:
    """Print means over seeds, and the range of perplexities."""
    print(
        f"\n{X.shape[0]} articles, {X.shape[1]:,} words, {N_COMPONENTS} topics\n"
        f"\n{'mean of seeds':<24}{'seconds':>9}{'held-out perplexity':>21}{'of seeds':>13}"
        f"{'coherence':>11}"
    )
    for side, of_side in runs.items():
        scores = [run.perplexity for run in of_side]
        print(
            f"{side:<24}{statistics.mean(run.seconds for run in of_side):>9.2f}"
            f"{statistics.mean(scores):>21.0f}{f'{min(scores):.0f}..{max(scores):.0f}':>13}"
            f"{statistics.mean(run.coherence for run in of_side):>11.2f}"
        )


def print_settings() -> None:
    """Print all that is needed to run this again."""
    versions = environment()["versions"]
    print(
        f"""
all       LatentDirichletAllocation(n_components={N_COMPONENTS}), defaults but for init,
          random_state {SEEDS[0]}..{SEEDS[-1]}
held out  every fifth article; half of its words tell the other half
coherence normalised mutual information of the ten likeliest words, in the training articles
seconds   of the processor, one thread
versions  scikit-learn {versions["scikit-learn"]}, lda {versions["lda"]} (the articles)"""
    )
