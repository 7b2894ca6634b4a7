"""Starts for chains whose states last: sticky random draws, and moments of wide windows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectral_nn.models.chains.diagonal import Diagonalised, diagonalise
from spectral_nn.models.chains.excerpts import Excerpt
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.spectral import emissions, whiten_views
from spectral_nn.models.chains.symbol_starts import random_start
from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.moments.wide_windows import wide_windows

__all__ = ["WIDTHS", "WideMoments", "sticky_start", "wide_moments", "wide_start"]

WIDTHS = (3, 10, 30)  # of windows, symbols
_STAY = 0.97
_FLOOR = 1e-4  # of singular values, as a share of the first
_SMOOTHING = 0.02
_N_ITER = 20  # of alternating least squares


class WideMoments(NamedTuple):
    """Moments of wide windows.

    Attributes
    ----------
    width : of the windows, symbols.
    found : the operators, nearly diagonal.
    """

    width: int
    found: Diagonalised

    @property
    def ratio(self) -> float:
        """Share of the norm off the diagonals, without what all states have in common."""
        return self.found.joint.ratio


def wide_moments(
    some: Excerpt, counts: NgramCounts, n_components: int, rng: np.random.Generator
) -> WideMoments | None:
    """Moments of the windows whose operators are most nearly diagonal.

    Parameters
    ----------
    some : codes.
    counts : of their n-grams.
    n_components : K.
    rng : seeds the decompositions.

    Returns
    -------
    WideMoments, or None where no stretch of codes is as long as two windows, or they are all alike.

    Notes
    -----
    O(n (w + K^2)) for each width w.
    """
    codes, offsets = some.stretches()
    tried = []
    for width in WIDTHS:
        windows = wide_windows(codes % (counts.n_symbols + 1), offsets, counts.n_symbols, width)
        try:
            moments = whiten_views(windows, n_components, rng, _FLOOR)
        except ValueError:
            continue
        tried.append(WideMoments(width, diagonalise(moments.operators, counts, rng)))
    return min(tried, key=lambda one: one.ratio, default=None)


def wide_start(wide: WideMoments, counts: NgramCounts, rng: np.random.Generator) -> HMMParameters:
    """Emissions read off the moments of wide windows; states last."""
    emission = emissions(wide.found, counts, rng, _N_ITER)
    emission = (1 - _SMOOTHING) * emission + _SMOOTHING * counts.frequency
    return _lasting(emission)


def sticky_start(n_components: int, counts: NgramCounts, rng: np.random.Generator) -> HMMParameters:
    """Emissions of `random_start`; states last."""
    return _lasting(random_start(n_components, counts, rng).emission.probs)


def _lasting(emission: NDArray[np.float64]) -> HMMParameters:
    """Whichever the state, it stays with probability .97 and goes anywhere else alike."""
    K = emission.shape[0]
    stay = _STAY * np.eye(K) + (1 - _STAY) / K
    return HMMParameters.categorical(np.full(K, 1 / K), stay, emission)
