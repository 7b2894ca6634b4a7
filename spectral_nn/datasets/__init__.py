"""Texts, signals, and models to be recovered from samples; nothing is downloaded."""

from spectral_nn.datasets.hidden_markov import planted_hmm, sample_hmm
from spectral_nn.datasets.mnist1d import make_mnist1d
from spectral_nn.datasets.networks import planted_network, sample_network
from spectral_nn.datasets.tagged_text import read_conllu
from spectral_nn.datasets.text import (
    DIGIT,
    LETTERS,
    N_PUNCTUATION,
    OTHER,
    encode_characters,
    python_manual_text,
    split_text,
)

__all__ = [
    "DIGIT",
    "LETTERS",
    "N_PUNCTUATION",
    "OTHER",
    "encode_characters",
    "make_mnist1d",
    "planted_hmm",
    "planted_network",
    "python_manual_text",
    "read_conllu",
    "sample_hmm",
    "sample_network",
    "split_text",
]
