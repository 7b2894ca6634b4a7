"""Starts of a fit: moments, classes of symbols, labels, known emissions, random draws."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spectral_nn.emissions import CategoricalEmission, Emission
from spectral_nn.models.base import Start
from spectral_nn.models.chains.bigrams import N_UPDATES, fit_transitions
from spectral_nn.models.chains.diagonal import diagonalise
from spectral_nn.models.chains.evidence import Evidence
from spectral_nn.models.chains.history_starts import history_start
from spectral_nn.models.chains.options import LARGE_ALPHABET, HMMOptions
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.plan import Plan
from spectral_nn.models.chains.slow_starts import (
    WideMoments,
    sticky_start,
    wide_moments,
    wide_start,
)
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
_CLEARLY = 0.9  # share of the ratio of narrow windows, which also tell transitions
_FAILED = 0.75  # ratio from which on narrow windows show next to nothing
_ROUGH = 20  # iterations of alternating least squares on a bootstrap sample


@dataclass(frozen=True, eq=False)
class Moments:
    """What decompositions are made of.

    Attributes
    ----------
    narrow : of n-grams; None where there are none, or they are taken.
    wide : of wide windows, where these show the states better.
    """

    narrow: WhitenedMoments | None = None
    wide: WideMoments | None = None

    def notes(self) -> dict[str, Any]:
        """What diagnostics keep of them."""
        notes: dict[str, Any] = {}
        if self.narrow is not None:
            notes |= {
                "singular_values": self.narrow.singular_values,
                "sigma_ratio": self.narrow.sigma_ratio,
            }
        return notes if self.wide is None else notes | {"window": self.wide.width}


def from_anywhere(start: Start[HMMParameters]) -> Start[HMMParameters]:
    """The same start without zeros in `startprob`: the state before a window may be any."""
    startprob = start.parameters.startprob
    if startprob.all():
        return start
    return with_parts(start, startprob=np.full(startprob.shape, 1 / startprob.size))


def with_parts(start: Start[HMMParameters], **parts: Any) -> Start[HMMParameters]:
    """The same start with some parts in the place of its own; a dict names parts of a part."""
    return replace(start, parameters=_replace(start.parameters, parts))


def _replace(whole: Any, parts: dict[str, Any]) -> Any:
    found = {
        name: _replace(getattr(whole, name), part) if isinstance(part, dict) else part
        for name, part in parts.items()
    }
    return replace(whole, **found)


def kinds_of(options: HMMOptions, plan: Plan) -> list[str]:
    """Kind of every start of a race, spectral ones first; of the only one without EM.

    Wide windows are the only start where there is one, and else race in the place of a sticky one;
    `make_starts` takes them back where they do not show the states better than n-grams do.
    """
    if options.n_iter == 0:
        return ["wide-windows" if plan.wide else options.init]
    if options.init == "random":
        return ["random"] * (options.n_init or 1)
    spectral = [options.init] * plan.n_spectral
    if options.init == "tensor" and options.n_symbols > LARGE_ALPHABET:
        spectral[1::2] = ["spectral-clustering"] * len(spectral[1::2])
    others = ["random"] * plan.n_random
    others[1::3] = ["sticky"] * len(others[1::3])
    if options.n_components > options.n_symbols:
        others[::6] = ["histories"] * len(others[::6])
    kinds = spectral + others
    if plan.wide:
        kinds[kinds.index("sticky") if "sticky" in kinds else 0] = "wide-windows"
    return kinds


def make_starts(
    evidence: Evidence, options: HMMOptions, kinds: list[str], rng: np.random.Generator
) -> tuple[list[Start], dict[str, Any]]:
    """Make the starts of a fit.

    Parameters
    ----------
    evidence : of the data.
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
    counts = evidence.counts
    given = _given_start(counts, options)
    if given is not None:
        return [given], {}
    moments = Moments()
    if options.fixed:  # decompositions come with an order of states that is not the user's
        kinds = ["random"] * len(kinds)
    if {"tensor", "wide-windows"} & set(kinds):
        narrow = _checked_moments(counts, options, len(kinds), rng)
        moments = Moments(narrow, _wider(evidence, options, narrow, kinds, rng))
        kinds = _possible(kinds, moments)
    if "spectral-clustering" in kinds and not counts.bigrams()[2].any():
        warn_rank(
            "X holds no two observations in a row, so symbols cannot be told apart by their "
            "neighbours. Random starts are used in place of init='spectral-clustering'.",
            stacklevel=6,
        )
        kinds = ["random" if kind == "spectral-clustering" else kind for kind in kinds]
    starts: list[Start] = []
    left = moments
    for kind in kinds:
        parameters = MAKERS[kind](evidence, options, left, rng)
        starts.append(Start(kind, replace(parameters, **options.fixed)))
        if kind == "tensor":
            left = replace(left, narrow=None)
    return starts, moments.notes()


def _wider(
    evidence: Evidence,
    options: HMMOptions,
    narrow: WhitenedMoments | None,
    kinds: list[str],
    rng: np.random.Generator,
) -> WideMoments | None:
    """Moments of wide windows, where these clearly show the states better than narrow ones.

    Where both do, they show different states; so in the place of narrow ones, not beside them, wide
    ones are taken only if narrow ones fail.
    """
    if narrow is None or evidence.some is None or "wide-windows" not in kinds:
        return None
    counts = evidence.counts
    ratio = diagonalise(narrow.operators, counts, rng).joint.ratio
    if "tensor" not in kinds and ratio < _FAILED:
        return None
    wide = wide_moments(evidence.some, counts, options.n_components, rng)
    return wide if wide is not None and wide.ratio < _CLEARLY * ratio else None


def _possible(kinds: list[str], moments: Moments) -> list[str]:
    """Kinds of starts that the moments allow."""
    if moments.narrow is None:
        return ["random"] * len(kinds)
    if moments.wide is None:
        other = "sticky" if "tensor" in kinds else "tensor"
        return [other if kind == "wide-windows" else kind for kind in kinds]
    return kinds


def _decompose(
    evidence: Evidence, options: HMMOptions, moments: Moments, rng: np.random.Generator
) -> HMMParameters:
    """Decompose the moments, or where they are taken those of a bootstrap sample.

    (ALS ends in the same place from any rotation.) Little data may not carry another sample's: then
    it is a random draw.
    """
    counts = evidence.counts
    if moments.narrow is not None:
        return decompose(moments.narrow, counts, rng, _n_updates(options))
    again = counts.resampled(rng)
    try:
        others = whitened_moments(again, options.n_components, rng)
        return decompose(others, again, rng, _n_updates(options), _ROUGH)
    except ValueError:
        return random_start(options.n_components, counts, rng)


def _decompose_wide(
    evidence: Evidence, options: HMMOptions, moments: Moments, rng: np.random.Generator
) -> HMMParameters:
    """Moments of wide windows."""
    assert moments.wide is not None
    return wide_start(moments.wide, evidence.counts, rng)


def _cluster(
    evidence: Evidence, options: HMMOptions, moments: Moments, rng: np.random.Generator
) -> HMMParameters:
    """Classes of symbols."""
    return cluster_start(options.n_components, evidence.counts, rng, _n_updates(options))


def _draw(
    evidence: Evidence, options: HMMOptions, moments: Moments, rng: np.random.Generator
) -> HMMParameters:
    """A random draw."""
    return random_start(options.n_components, evidence.counts, rng)


def _group_histories(
    evidence: Evidence, options: HMMOptions, moments: Moments, rng: np.random.Generator
) -> HMMParameters:
    """Groups of histories; a random draw where no five symbols in a row are observed."""
    try:
        return history_start(options.n_components, evidence.counts, rng)
    except ValueError:
        return random_start(options.n_components, evidence.counts, rng)


def _draw_sticky(
    evidence: Evidence, options: HMMOptions, moments: Moments, rng: np.random.Generator
) -> HMMParameters:
    """A random draw whose states last."""
    return sticky_start(options.n_components, evidence.counts, rng)


MAKERS = {
    "tensor": _decompose,
    "wide-windows": _decompose_wide,
    "random": _draw,
    "sticky": _draw_sticky,
    "histories": _group_histories,
    "spectral-clustering": _cluster,
}
"""What makes a start of each kind."""

LASTING = frozenset(["wide-windows", "sticky"])
"""Kinds that know of more than a few symbols in a row."""


def _n_updates(options: HMMOptions) -> int:
    return _FEW_UPDATES if options.n_iter else N_UPDATES


def _given_start(counts: NgramCounts, options: HMMOptions) -> Start | None:
    """The one start that follows from known emissions, or from having a single state."""
    known = options.fixed.get("emission")
    if known is None and options.n_components > 1:
        return None
    emission = counts.frequency[None] if known is None else known.probs
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


def warn_rank(message: str, stacklevel: int = 7) -> None:
    """Warn that data carry too little; `stacklevel` calls lead to whoever called the estimator."""
    warnings.warn(message, RankWarning, stacklevel=stacklevel)
