"""Texts that come with installed packages, and models drawn at random.

Nothing here downloads or ships data: :mod:`~spectral_nn.datasets.text` reads texts where pip put
them, :mod:`~spectral_nn.datasets.hidden_markov` and :mod:`~spectral_nn.datasets.networks` draw
models to be recovered, and samples of them.
"""

from spectral_nn.datasets.hidden_markov import planted_hmm, sample_hmm
from spectral_nn.datasets.networks import planted_network, sample_network, zhong_network
from spectral_nn.datasets.text import (
    DIGIT,
    LETTERS,
    N_PUNCTUATION,
    OTHER,
    dataset_descriptions,
    docstring_text,
    encode_characters,
    news_text,
    python_manual_text,
    split_text,
)

__all__ = [
    "DIGIT",
    "LETTERS",
    "N_PUNCTUATION",
    "OTHER",
    "dataset_descriptions",
    "docstring_text",
    "encode_characters",
    "news_text",
    "planted_hmm",
    "planted_network",
    "python_manual_text",
    "sample_hmm",
    "sample_network",
    "split_text",
    "zhong_network",
]
