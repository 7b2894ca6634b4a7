"""What starts of a hidden Markov model of symbols are made of."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_nn.models.chains.excerpts import Excerpt
from spectral_nn.moments.contexts import ContextCounts
from spectral_nn.moments.ngrams import NgramCounts

__all__ = ["Evidence"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What starts are made of.

    Attributes
    ----------
    counts : NgramCounts
    some : Excerpt or None
        Blocks of codes, in order; None where counts are all there is.
    contexts : ContextCounts or None
        Of all data, where anchors are wanted.
    """

    counts: NgramCounts
    some: Excerpt | None = None
    contexts: ContextCounts | None = None
