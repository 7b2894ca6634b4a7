"""Counting of words near each other in a text that is never in memory: speed and memory.

The text is 20 Newsgroups, whose posts are dealt out again and again, in another order each time,
until there are as many tokens as asked for. It is counted in a process of its own, by one thread.
"""

import json
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain

import numpy as np

from bench.embeddings_data import NAMES, Documents, corpus
from bench.harness import Report, confine_to_one_thread, main
from spectral_nn.moments.cooccurrences import Vocabulary, count_cooccurrences, window_weights
from spectral_nn.runners.base import runner

N_WORDS, WINDOW = 50_000, 5


class Deals:
    """Documents in another order, again and again."""

    def __init__(self, documents: Documents, n_tokens: int, seed: int = 0) -> None:
        self.documents, self.n_tokens, self.seed = documents, n_tokens, seed

    def __iter__(self) -> Iterator[list[str]]:
        rng = np.random.default_rng(self.seed)
        left = self.n_tokens
        while True:
            for i in rng.permutation(len(self.documents)):
                if left <= 0:
                    return
                words = self.documents[i]
                left -= len(words)
                yield words


def frequent(documents: Documents, n_words: int) -> Documents:
    """The same documents, without words that are not among the most frequent ones."""
    numbers = Counter(chain.from_iterable(documents))
    kept = {word for word, _ in numbers.most_common(n_words)}
    return [[word for word in words if word in kept] for words in documents]


def count(n_tokens: int) -> dict[str, float]:
    """Count, here; seconds of the processor, and peak memory of this process in GiB."""
    documents = frequent(corpus("newsgroups"), N_WORDS)
    weights = window_weights(WINDOW, True)
    with runner(1) as run:
        count_cooccurrences(documents[:10], Vocabulary(), weights, run)  # compiles
        before = _peak()
        begin = time.process_time()
        vocabulary = Vocabulary()
        counts = count_cooccurrences(Deals(documents, n_tokens), vocabulary, weights, run)
        seconds = time.process_time() - begin
    return {
        "tokens": float(counts.words.sum()),
        "words": len(vocabulary),
        "pairs": counts.following.nnz,
        "seconds": seconds,
        "peak": _peak(),
        "before": before,
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def run(n_tokens: int = 100_000_000) -> Report:
    """Count in a process of its own."""
    command = [sys.executable, "-m", "bench.embeddings_stream", str(n_tokens)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(printed)
    report = Report(
        "embeddings_stream",
        {
            "text": f"{NAMES['newsgroups']}; the {found['words']:,} most frequent words, in "
            f"shuffled order again and again: {found['tokens']:,.0f} tokens, "
            f"{found['pairs']:,} pairs",
            "window": f"{WINDOW}, dynamic",
            "seconds": "of the processor, one thread, looking words up included",
        },
        details=found,
    )
    report.add(
        "tokens a second",
        found["tokens"] / found["seconds"] / 1e6,
        must=1,
        reach=3,
        unit="M",
        higher_is_better=True,
    )
    report.add("peak memory of the process", found["peak"], must=3.0, unit="GiB")
    report.add("of which before counting: the posts", found["before"], unit="GiB")
    return report


if __name__ == "__main__":
    if len(sys.argv) > 1:
        confine_to_one_thread()
        print(json.dumps(count(int(sys.argv[1]))))
    else:
        main(run)
