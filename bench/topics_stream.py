"""Moments of documents that come in chunks and are never all in memory: speed and memory.

Chunks of documents of a planted model are made as they are asked for, from one block of documents
whose words are renumbered: making them costs little. One process, one thread.
"""

import resource
import time
from collections.abc import Iterator

import numpy as np
from scipy import sparse

from bench.harness import Report, main
from spectral_estimators import LatentDirichletAllocation

WORDS, K, LENGTH = 20_000, 20, 100
_BLOCK = 1 << 14


class Documents:
    """Chunks of documents, the same in every walk."""

    def __init__(self, n: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        topics = rng.dirichlet(np.full(WORDS, 0.05), K)
        shares = np.cumsum(rng.dirichlet(np.full(K, 0.1), _BLOCK), axis=1)
        of_topic = (shares[:, None] < rng.random((_BLOCK, LENGTH, 1))).sum(axis=2).clip(max=K - 1)
        words = np.empty((_BLOCK, LENGTH), dtype=np.int64)
        for k, topic in enumerate(np.cumsum(topics, axis=1)):
            mine = of_topic == k
            words[mine] = np.searchsorted(topic, topic[-1] * rng.random(mine.sum()))
        rows = np.repeat(np.arange(_BLOCK), LENGTH)
        ones = np.ones(rows.size, dtype=np.float32)
        self.block = sparse.csr_array((ones, (rows, words.ravel())), shape=(_BLOCK, WORDS))
        self.n = n
        self.walks = 0

    def __iter__(self) -> Iterator[tuple[sparse.csr_array, None]]:
        self.walks += 1
        for begin in range(0, self.n, _BLOCK):
            size = min(_BLOCK, self.n - begin)
            order = np.random.default_rng(begin).permutation(_BLOCK)[:size]
            yield self.block[order], None


def run(n_documents: int = 1_000_000) -> Report:
    """Read moments off a stream."""
    report = Report(
        "topics_stream",
        {
            "documents": f"{n_documents:,} of {LENGTH} tokens, {WORDS:,} words, drawn again and "
            f"again from {_BLOCK:,}",
            "ours": f"LatentDirichletAllocation({K}, max_iter=0)",
            "seconds": "of the processor, one thread, making the chunks included",
        },
    )
    documents = Documents(n_documents)
    LatentDirichletAllocation(K, max_iter=0, random_state=0).fit(documents.block)  # compiles
    begin = time.process_time()
    LatentDirichletAllocation(K, max_iter=0, random_state=0).fit(documents)
    seconds = time.process_time() - begin
    tokens = n_documents * LENGTH
    report.add("walks over the documents, a check of them included", documents.walks)
    report.add(
        "tokens a second", tokens / seconds / 1e6, must=1, reach=3, unit="M", higher_is_better=True
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    report.add("peak memory of the process", peak, must=3.0, unit="GiB")
    return report


if __name__ == "__main__":
    main(run)
