"""Starts of a fit: decompositions of the moments, classes of symbols, labels, random draws."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spectral_nn.models.hmm.parameters import HMMParameters
from spectral_nn.models.hmm.spectral import WhitenedMoments, decompose, whitened_moments
from spectral_nn.models.hmm.starts import cluster_start, random_start
from spectral_nn.models.hmm.statistics import HMMStatistics, Priors, maximise
from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.recipes.hmm_options import HMMOptions
from spectral_nn.results import RankWarning

_SMALLEST_RATIO = 1e-3


@dataclass(frozen=True, eq=False)
class Start:
    """A start on its way through the race.

    Attributes
    ----------
    kind : "tensor", "spectral-clustering", "random", "labels" or "given".
    parameters : where it stands now.
    composite, likelihood : objectives reached on the windows and on the data, nats.
    """

    kind: str
    parameters: HMMParameters
    composite: float = float("nan")
    likelihood: float = float("nan")

    def note(self) -> dict[str, Any]:
        """What diagnostics keep of it."""
        return {"kind": self.kind, "composite": self.composite, "likelihood": self.likelihood}


def make_starts(
    counts: NgramCounts, options: HMMOptions, rng: np.random.Generator
) -> tuple[list[Start], dict[str, Any]]:
    """All starts, decompositions ordered by how well they fit the moments."""
    if len(options.fixed) == 3:
        return [Start("given", HMMParameters(**options.fixed))], {}
    kinds, moments = options.kinds, None
    notes: dict[str, Any] = {}
    if options.n_components == 1:
        kinds = ["random"]  # one state: every start is the same after a step
    if "tensor" in kinds:
        moments = _checked_moments(counts, options, rng)
        kinds = kinds if moments is not None else ["random"] * len(kinds)
    if moments is not None:
        notes = {"singular_values": moments.singular_values, "sigma_ratio": moments.sigma_ratio}
    starts: list[Start] = []
    for kind in kinds:
        if kind == "tensor" and not starts and moments is not None:
            parameters = decompose(moments, counts, rng)
        elif kind == "tensor":  # ALS ends in the same place from any rotation
            parameters = _decompose_resampled(counts, options, rng)
        elif kind == "spectral-clustering":
            parameters = cluster_start(options.n_components, counts, rng)
        else:
            parameters = random_start(options.n_components, counts, rng)
        starts.append(Start(kind, _with_fixed(parameters, options)))
    return starts, notes


def _checked_moments(
    counts: NgramCounts, options: HMMOptions, rng: np.random.Generator
) -> WhitenedMoments | None:
    """Whitened moments, with a warning where they carry too few components; None where none."""
    try:
        moments = whitened_moments(counts, options.n_components, rng)
    except ValueError as error:
        _warn_rank(f"{error} Falling back to random starts.")
        return None
    if moments.sigma_ratio < _SMALLEST_RATIO:
        _warn_rank(
            f"the moments of past and future barely carry n_components={options.n_components}: "
            f"sigma_K = {moments.singular_values[options.n_components - 1]:.3g} is "
            f"{moments.sigma_ratio:.3g} of sigma_1, below {_SMALLEST_RATIO}. Directions below that "
            "are floored, so the decomposed parameters are not to be trusted; random starts and "
            "EM decide. Consider fewer components."
        )
    return moments


def _decompose_resampled(
    counts: NgramCounts, options: HMMOptions, rng: np.random.Generator
) -> HMMParameters:
    """Decomposition of a bootstrap sample; of little data, which may not carry one, a draw."""
    again = counts.resampled(rng)
    try:
        return decompose(whitened_moments(again, options.n_components, rng), again, rng)
    except ValueError:
        return random_start(options.n_components, counts, rng)


def label_start(
    counts: NgramCounts,
    options: HMMOptions,
    expect: Callable[[HMMParameters], HMMStatistics],
    rng: np.random.Generator,
) -> Start:
    """The model that labelled positions suggest: an M-step from a nearly flat model.

    Under a flat model a labelled position counts for its state and an unlabelled one for all
    alike; a little noise tells states without labels apart.
    """
    n_components = options.n_components
    flat = (counts.symbols + 1) / (counts.symbols + 1).sum()
    rough = random_start(n_components, counts, rng).emissionprob
    uniform = np.full(n_components, 1 / n_components)
    even = HMMParameters(uniform, np.tile(uniform, (n_components, 1)), 0.9 * flat + 0.1 * rough)
    smooth = Priors(1.0, uniform, flat)
    return Start("labels", _with_fixed(maximise(expect(even), even, smooth), options))


def _with_fixed(parameters: HMMParameters, options: HMMOptions) -> HMMParameters:
    return replace(parameters, **options.fixed)


def _warn_rank(message: str) -> None:
    warnings.warn(message, RankWarning, stacklevel=6)
