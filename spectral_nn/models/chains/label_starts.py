"""Starts from labels of some positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from spectral_nn.emissions import CategoricalEmission, Emission
from spectral_nn.models.base import Start
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.statistics import HMMStatistics, Priors, maximise
from spectral_nn.models.chains.symbol_starts import random_start
from spectral_nn.moments.ngrams import NgramCounts

__all__ = ["label_start", "nearly_even"]


def label_start(
    even: Emission,
    options: HMMOptions,
    expect: Callable[[HMMParameters], HMMStatistics],
    prior: Any,
) -> Start[HMMParameters]:
    """The model that labelled positions suggest: an M-step from a nearly flat model.

    Under a flat model a labelled position counts for its state and an unlabelled one for all
    alike.

    Parameters
    ----------
    even : Emission
        Nearly the same in all states; what differs a little tells states without labels apart.
    options : of the fit.
    expect : E-step on the labelled data.
    prior : of the emission.

    Returns
    -------
    Start, of kind "labels".

    Notes
    -----
    One E-step.
    """
    uniform = np.full(options.n_components, 1 / options.n_components)
    flat = HMMParameters(uniform, np.tile(uniform, (uniform.size, 1)), even)
    smooth = Priors(1.0, uniform, prior)
    return Start("labels", replace(maximise(expect(flat), flat, smooth), **options.fixed))


def nearly_even(n_components: int, counts: NgramCounts, rng: np.random.Generator) -> Emission:
    """Frequencies of the symbols in every state, with a tenth of random noise."""
    rough = random_start(n_components, counts, rng).emission.probs
    return CategoricalEmission(0.9 * counts.frequency + 0.1 * rough)
