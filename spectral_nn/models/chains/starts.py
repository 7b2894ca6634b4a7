"""Starts of a fit: moments, classes of symbols, labels, known emissions, random draws."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.models.chains.bigrams import N_UPDATES, fit_transitions
from spectral_nn.models.chains.options import LARGE_ALPHABET, HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.plan import Plan
from spectral_nn.models.chains.spectral import (
    WhitenedMoments,
    decompose,
    smoothing,
    whitened_moments,
    without_zeros,
)
from spectral_nn.models.chains.statistics import HMMStatistics, Priors, maximise
from spectral_nn.models.chains.symbol_starts import cluster_start, random_start
from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.results import RankWarning

_SMALLEST_RATIO = 1e-3
_FEW_UPDATES = 20  # of transitions, where EM goes on


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

    def from_anywhere(self) -> Start:
        """The same start without zeros in `startprob`: the state before a window may be any."""
        startprob = self.parameters.startprob
        if startprob.all():
            return self
        return self._with(startprob=np.full(startprob.shape, 1 / startprob.size))

    def with_fixed(self, options: HMMOptions) -> Start:
        """The same start with the parts that the user has given."""
        return self._with(**options.fixed)

    def _with(self, **parts: NDArray) -> Start:
        return replace(self, parameters=replace(self.parameters, **parts))

    def note(self) -> dict[str, Any]:
        """What diagnostics keep of it."""
        return {"kind": self.kind, "composite": self.composite, "likelihood": self.likelihood}


def kinds_of(options: HMMOptions, plan: Plan) -> list[str]:
    """Kind of every start of a race, spectral ones first; of the only one without EM."""
    if options.n_iter == 0:
        return [options.init]
    if options.init == "random":
        return ["random"] * (options.n_init or 1)
    spectral = [options.init] * plan.n_spectral
    if options.init == "tensor" and options.n_symbols > LARGE_ALPHABET:
        spectral[1::2] = ["spectral-clustering"] * len(spectral[1::2])
    return spectral + ["random"] * plan.n_random


def make_starts(
    counts: NgramCounts, options: HMMOptions, kinds: list[str], rng: np.random.Generator
) -> tuple[list[Start], dict[str, Any]]:
    """Make the starts of a fit.

    Parameters
    ----------
    counts : n-gram counts of the data.
    options : of the fit.
    kinds : of every start, see `kinds_of`.
    rng : draws what is random, and resamples the counts of further decompositions.

    Returns
    -------
    starts : at least one; a decomposition of the counts themselves first, where there is one.
    notes : singular_values and sigma_ratio, where moments were decomposed.

    Warns
    -----
    RankWarning
        If the moments carry fewer than K components.

    Notes
    -----
    Two to three passes over the distinct windows, O(U K^2), and 2 K^4 an ALS iteration, for each
    decomposition.
    """
    given = _given_start(counts, options)
    if given is not None:
        return [given], {}
    moments = None
    notes: dict[str, Any] = {}
    if options.fixed:  # decompositions come with an order of states that is not the user's
        kinds = ["random"] * len(kinds)
    if "tensor" in kinds:
        moments = _checked_moments(counts, options, len(kinds), rng)
        kinds = kinds if moments is not None else ["random"] * len(kinds)
    if "spectral-clustering" in kinds and not _pairs(counts):
        warn_rank(
            "X holds no two observations in a row, so symbols cannot be told apart by their "
            "neighbours. Random starts are used in place of init='spectral-clustering'.",
            stacklevel=6,
        )
        kinds = ["random" if kind == "spectral-clustering" else kind for kind in kinds]
    if moments is not None:
        notes = {"singular_values": moments.singular_values, "sigma_ratio": moments.sigma_ratio}
    n_updates = _FEW_UPDATES if options.n_iter else N_UPDATES
    starts: list[Start] = []
    for kind in kinds:
        if kind == "tensor" and not starts and moments is not None:
            parameters = decompose(moments, counts, rng, n_updates)
        elif kind == "tensor":  # ALS ends in the same place from any rotation
            parameters = _decompose_resampled(counts, options, rng, n_updates)
        elif kind == "spectral-clustering":
            parameters = cluster_start(options.n_components, counts, rng, n_updates)
        else:
            parameters = random_start(options.n_components, counts, rng)
        starts.append(Start(kind, replace(parameters, **options.fixed)))
    return starts, notes


def _given_start(counts: NgramCounts, options: HMMOptions) -> Start | None:
    """The one start that follows from known emissions, or from having a single state."""
    emission = options.fixed.get("emissionprob")
    if emission is None and options.n_components == 1:
        emission = counts.frequency[None]
    if emission is None:
        return None
    parameters = without_zeros(fit_transitions(emission, counts), smoothing(counts))
    return Start("given", replace(parameters, **options.fixed))


def _checked_moments(
    counts: NgramCounts, options: HMMOptions, n_starts: int, rng: np.random.Generator
) -> WhitenedMoments | None:
    """Whitened moments, with a warning where they carry too few components; None where none."""
    try:
        moments = whitened_moments(counts, options.n_components, rng)
    except ValueError as error:
        warn_rank(
            f"X has no moments that n_components={options.n_components} states could be read off: "
            f"{error} Random starts are used instead."
        )
        return None
    if moments.sigma_ratio < _SMALLEST_RATIO:
        fallback = (
            "Random starts race against it, and EM decides"
            if options.n_iter and n_starts > 1
            else "Nothing else was tried: give n_iter and n_init their defaults"
        )
        warn_rank(
            f"the moments of past and future barely carry n_components={options.n_components}: "
            f"sigma_K = {moments.singular_values[options.n_components - 1]:.3g} is "
            f"{moments.sigma_ratio:.3g} of sigma_1, below {_SMALLEST_RATIO}. Directions below that "
            f"are floored, so the decomposition is not to be trusted. {fallback}, or choose fewer "
            "components."
        )
    return moments


def _pairs(counts: NgramCounts) -> int:
    """How often an observation follows another."""
    pairs = counts.shortened(2)
    whole = (pairs.windows() < counts.n_symbols).all(axis=1)
    return int(pairs.counts[whole].sum())


def _decompose_resampled(
    counts: NgramCounts, options: HMMOptions, rng: np.random.Generator, n_updates: int
) -> HMMParameters:
    """Decomposition of a bootstrap sample; of little data, which may not carry one, a draw."""
    again = counts.resampled(rng)
    try:
        moments = whitened_moments(again, options.n_components, rng)
        return decompose(moments, again, rng, n_updates)
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

    Parameters
    ----------
    counts : n-gram counts of the data.
    options : of the fit.
    expect : E-step on the labelled data.
    rng : draws the noise.

    Returns
    -------
    Start, of kind "labels".

    Notes
    -----
    One E-step.
    """
    n_components = options.n_components
    rough = random_start(n_components, counts, rng).emissionprob
    uniform = np.full(n_components, 1 / n_components)
    even = HMMParameters(
        uniform, np.tile(uniform, (n_components, 1)), 0.9 * counts.frequency + 0.1 * rough
    )
    smooth = Priors(1.0, uniform, counts.frequency)
    return Start("labels", replace(maximise(expect(even), even, smooth), **options.fixed))


def warn_rank(message: str, stacklevel: int = 7) -> None:
    """Warn that data carry too little.

    Parameters
    ----------
    message : with the figures, and the fallback.
    stacklevel : calls from here to whoever called the estimator.
    """
    warnings.warn(message, RankWarning, stacklevel=stacklevel)
