"""Texts cut into training and held-out parts, and the one scorer of both sides."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.rivals import hmmlearn
from bench.texts import dataset_descriptions, docstring_text, news_text
from spectral_nn import datasets
from spectral_nn.metrics import bits_per_symbol, smooth
from spectral_nn.models.chains.parameters import HMMParameters

SMOOTHING = 1e-3
SMOOTHING_SAID = (
    "every row of startprob, transmat and emissionprob, of both sides, is mixed with "
    f"{SMOOTHING:g} of the uniform distribution; then hmmlearn's own exact forward pass scores the "
    "held-out text as one sequence"
)

# Reported on, never tuned on (see bench.texts).
TEXTS: dict[str, Callable[[], str]] = {
    "python manual": datasets.python_manual_text,
    "english news": news_text,
    "data set descriptions": dataset_descriptions,
    "scipy docstrings": lambda: docstring_text("scipy"),
}


@dataclass(frozen=True)
class Split:
    """The first ``n_train`` characters of a text to learn from, those that follow held out.

    Attributes
    ----------
    name : str
        Of the text.
    train, test : int32 arrays of shape (n,)
        Codes below ``n_symbols``; the alphabet comes from the training part alone.
    alphabet : str
        Symbol v is written ``alphabet[v]``.
    """

    name: str
    train: NDArray[np.int32]
    test: NDArray[np.int32]
    alphabet: str

    @property
    def n_symbols(self) -> int:
        """Size of the alphabet, d."""
        return len(self.alphabet)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """The training part as one sequence."""
        return np.array([0, self.train.size])


def split_text(name: str, n_train: int, n_test: int) -> Split:
    """One of `TEXTS`, cut by :func:`spectral_nn.datasets.split_text`."""
    return Split(name, *datasets.split_text(TEXTS[name](), n_train, n_test))


def held_out_bits(parameters: HMMParameters, codes: NDArray[np.int32]) -> float:
    """Bits a symbol of one held-out sequence under the smoothed model, by hmmlearn's scorer."""
    model = hmmlearn.model_of(smooth(parameters, SMOOTHING))
    return bits_per_symbol(model.score(codes[:, None].astype(np.int64)), codes.size)
