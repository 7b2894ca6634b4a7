"""Data sets: texts, and models to be recovered from samples; nothing is downloaded."""

from spectral_nn.datasets import (
    DIGIT,
    LETTERS,
    OTHER,
    encode_characters,
    make_mnist1d,
    planted_hmm,
    planted_network,
    python_manual_text,
    read_conllu,
    sample_hmm,
    sample_network,
    split_text,
)

__all__ = [
    "DIGIT",
    "LETTERS",
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
