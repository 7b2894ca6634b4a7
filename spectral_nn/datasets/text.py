"""A text that comes with Python, and the encoding of texts as integers; nothing is downloaded."""

import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DIGIT",
    "LETTERS",
    "N_PUNCTUATION",
    "OTHER",
    "encode_characters",
    "python_manual_text",
    "split_text",
]

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGIT = "0"
OTHER = "\N{REPLACEMENT CHARACTER}"
N_PUNCTUATION = 7


def python_manual_text() -> str:
    """Topics of the Python manual, as the interpreter's own ``help()`` prints them.

    About 79 articles and 465,000 characters of technical English, in alphabetical order of topic;
    the text differs a little between versions of Python. From ``pydoc_data.topics`` of the
    standard library, under the Python Software Foundation licence.

    Returns
    -------
    str
        The articles, joined by blank lines.

    See Also
    --------
    encode_characters : Turns it into integers.
    split_text : Cuts it into a part to learn from and another.

    Examples
    --------
    >>> text = python_manual_text()
    >>> len(text) > 300_000, "list comprehension" in text
    (True, True)
    """
    from pydoc_data.topics import topics  # half a megabyte: loaded by those who ask for it

    return "\n\n".join(topics[name] for name in sorted(topics))


def encode_characters(text: str, alphabet: str | None = None) -> tuple[NDArray[np.int32], str]:
    r"""Turn a text into integers, one a character.

    Upper case becomes lower case, each run of white space one blank, each digit the symbol ``"0"``.
    The alphabet that is built from a text is: the blank, the letters a-z, ``"0"``, the seven most
    frequent other ASCII characters of this text, and one symbol for everything else
    (U+FFFD): 36 symbols for any text with seven kinds of punctuation.

    Parameters
    ----------
    text : str
        Any text.
    alphabet : str, optional
        An alphabet that an earlier call returned; built from the text when None.

    Returns
    -------
    codes : int32 array of shape (n,)
        Position of each character in the alphabet; n is at most ``len(text)``.
    alphabet : str of length d
        Symbol v is written ``alphabet[v]``.

    Raises
    ------
    ValueError
        If a given alphabet has no symbol for everything else.

    See Also
    --------
    split_text : The same for a text of which a part is held out.

    Examples
    --------
    >>> codes, alphabet = encode_characters("Route 66:\n  a road.")
    >>> "".join(alphabet[code] for code in codes)
    'route 00: a road.'
    """
    plain = re.sub(r"[0-9]", DIGIT, re.sub(r"\s+", " ", text.lower()))
    if alphabet is None:
        alphabet = _build_alphabet(plain)
    elif OTHER not in alphabet:
        raise ValueError(
            f"alphabet must contain U+FFFD, the symbol of characters outside it; got {alphabet!r}. "
            "Pass an alphabet that encode_characters returned, or append '\\N{REPLACEMENT "
            "CHARACTER}'."
        )
    points = np.frombuffer(plain.encode("utf-32-le", errors="replace"), dtype=np.uint32)
    symbols = np.array([ord(symbol) for symbol in alphabet], dtype=np.uint32)
    size = int(max(points.max(initial=0), symbols.max())) + 1
    table = np.full(size, alphabet.index(OTHER), dtype=np.int32)
    table[symbols] = np.arange(len(symbols), dtype=np.int32)
    return table[points], alphabet


def split_text(
    text: str, n_train: int, n_held_out: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], str]:
    """Encode the beginning of a text to learn from, and what follows it to be judged by.

    The alphabet comes from the training part alone (see :func:`encode_characters`), and white space
    is squeezed first, so that ``n_train`` counts characters as they are encoded.

    Parameters
    ----------
    text : str
        Any text.
    n_train, n_held_out : int
        Characters of the two parts; the second is shorter where the text ends.

    Returns
    -------
    train, held_out : int32 arrays of shapes (n_train,) and (n_held_out,)
        Codes below ``len(alphabet)``.
    alphabet : str of length d

    Raises
    ------
    ValueError
        If fewer than ``n_train / 20`` characters would be held out.

    See Also
    --------
    encode_characters : How characters become codes.
    spectral_estimators.metrics.bits_per_symbol : The score of held-out characters.

    Examples
    --------
    >>> train, held_out, alphabet = split_text("to be or not to be", 13, 10)
    >>> "".join(alphabet[code] for code in held_out)
    'to be'
    """
    text = " ".join(text.split())
    left = min(len(text) - n_train, n_held_out)
    if left < n_train / 20:
        raise ValueError(
            f"n_train={n_train} leaves {max(left, 0)} characters to hold out of a text of "
            f"{len(text)}; ask for fewer."
        )
    train, alphabet = encode_characters(text[:n_train])
    held_out, _ = encode_characters(text[n_train : n_train + n_held_out], alphabet)
    return train, held_out, alphabet


def _build_alphabet(plain: str) -> str:
    """Blank, letters, digit, the commonest punctuation of this text, the symbol for the rest."""
    known = f" {LETTERS}{DIGIT}"
    counts = Counter(symbol for symbol in plain if symbol.isascii() and symbol not in known)
    ranked = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
    return known + "".join(ranked[:N_PUNCTUATION]) + OTHER
