"""Sentences of tagged words, as treebanks write them."""

from collections.abc import Iterator
from itertools import groupby
from os import PathLike
from pathlib import Path

__all__ = ["read_conllu"]


def read_conllu(path: str | PathLike[str]) -> Iterator[list[tuple[str, str]]]:
    r"""Words and their universal tags, sentence by sentence, of a file in the CoNLL-U format.

    Contracted words ("na") are read as those that they stand for ("em", "a"), which have the tags.
    Words that are understood but not written are left out.

    Parameters
    ----------
    path : str or path
        Of a file in UTF-8.

    Yields
    ------
    list of (str, str)
        The words of a sentence, each with its tag.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnicodeDecodeError
        If it is not in UTF-8.

    See Also
    --------
    python_manual_text : A text without tags.
    spectral_estimators.CategoricalHMM : Finds classes of words without tags.

    References
    ----------
    https://universaldependencies.org/format.html

    Examples
    --------
    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile("w", encoding="utf-8") as file:
    ...     _ = file.write("# text = Vou.\n1\tVou\tir\tVERB\t_\n2\t.\t.\tPUNCT\t_\n\n")
    ...     file.flush()
    ...     list(read_conllu(file.name))
    [[('Vou', 'VERB'), ('.', 'PUNCT')]]
    """
    with Path(path).open(encoding="utf-8") as lines:
        for blank, block in groupby(lines, key=lambda line: not line.strip()):
            if blank:
                continue
            fields = (line.split("\t") for line in block if not line.startswith("#"))
            # A contraction is numbered "9-10", a word that is not written "8.1".
            sentence = [(field[1], field[3]) for field in fields if field[0].isdigit()]
            if sentence:
                yield sentence
