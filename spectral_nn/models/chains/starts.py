"""Starts of a fit: moments, anchors, known emissions, histories, random draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spectral_nn.models.base import Start
from spectral_nn.models.chains.anchors import anchor_start, default_lags, embed_contexts
from spectral_nn.models.chains.bigrams import N_UPDATES, fit_transitions
from spectral_nn.models.chains.diagonal import diagonalise
from spectral_nn.models.chains.evidence import Evidence
from spectral_nn.models.chains.history_starts import history_start
from spectral_nn.models.chains.options import HMMOptions, wants_anchors
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.plan import Plan
from spectral_nn.models.chains.report import ChainReport
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
from spectral_nn.models.chains.symbol_starts import random_start
from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.results import RankWarning
from spectral_nn.warn import warn

_SMALLEST_RATIO = 1e-3
_FEW_UPDATES = 20  # of transitions, where EM goes on
_CLEARLY = 0.9  # share of the ratio of narrow windows, which also tell transitions
_MOST_LASTING = 100  # states: lanes of chains that last must overlap far, which costs n K^2
_FAILED = 0.75  # ratio from which on narrow windows show next to nothing
_ROUGH = 20  # iterations of alternating least squares on a bootstrap sample


@dataclass(frozen=True, eq=False)
class Moments:
    """What decompositions are made of.

    Attributes
    ----------
    narrow : of n-grams; None where there are none, or they are taken.
    wide : of wide windows, where these show the states better.
    anchored : models read off anchors, one after another; None where there are none.
    """

    narrow: WhitenedMoments | None = None
    wide: WideMoments | None = None
    anchored: Iterator[HMMParameters] | None = None

    def report(self) -> ChainReport:
        """What reports keep of them."""
        window = None if self.wide is None else self.wide.width
        if self.narrow is None:
            return ChainReport(window=window)
        return ChainReport(
            singular_values=self.narrow.singular_values,
            sigma_ratio=self.narrow.sigma_ratio,
            window=window,
        )


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
    if wants_anchors(options):
        return ["anchor"] * plan.n_spectral + ["random"] * plan.n_random
    spectral = [options.init] * plan.n_spectral
    others = ["random"] * plan.n_random
    if options.n_components <= _MOST_LASTING:
        others[1::3] = ["sticky"] * len(others[1::3])
    if options.n_components > options.n_symbols:
        others[::6] = ["histories"] * len(others[::6])
    kinds = spectral + others
    if plan.wide:
        kinds[kinds.index("sticky") if "sticky" in kinds else 0] = "wide-windows"
    return kinds


def make_starts(
    evidence: Evidence, options: HMMOptions, kinds: list[str], rng: np.random.Generator
) -> tuple[list[Start], ChainReport]:
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
    report : what moments show, where any were decomposed.

    Warns
    -----
    RankWarning
        If the moments, or the contexts of symbols, carry fewer than K components.

    Notes
    -----
    Two to three passes over the distinct windows, O(U K^2), and 2 K^4 an ALS iteration, for each
    decomposition.
    """
    given = _given_start(evidence.counts, options)
    if given is not None:
        return [given], ChainReport()
    if options.fixed:  # decompositions come with an order of states that is not the user's
        kinds = ["random"] * len(kinds)
    moments = _gather_moments(evidence, options, kinds, rng)
    kinds = _possible(kinds, moments)
    starts: list[Start] = []
    left = moments
    for kind in kinds:
        parameters = MAKERS[kind](evidence, options, left, rng)
        starts.append(Start(kind, replace(parameters, **options.fixed)))
        if kind == "tensor":
            left = replace(left, narrow=None)
    return starts, moments.report()


def _gather_moments(
    evidence: Evidence, options: HMMOptions, kinds: list[str], rng: np.random.Generator
) -> Moments:
    """What starts of some kinds are made of; a warning where there is too little of it."""
    if "anchor" in kinds:
        return Moments(anchored=_anchored(evidence, options, rng))
    if not {"tensor", "wide-windows"} & set(kinds):
        return Moments()
    narrow = _checked_moments(evidence.counts, options, len(kinds), rng)
    return Moments(narrow, _wider(evidence, options, narrow, kinds, rng))


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
    if moments.narrow is None and {"tensor", "wide-windows"} & set(kinds):
        return ["random"] * len(kinds)
    if moments.anchored is None:
        kinds = ["random" if kind == "anchor" else kind for kind in kinds]
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


def _anchored(
    evidence: Evidence, options: HMMOptions, rng: np.random.Generator
) -> Iterator[HMMParameters] | None:
    """Read models off anchors, each by another draw of the projection; None where there are none.

    (Anchors among random halves of the candidates, and of bootstrap samples, were tried on tagged
    text: likelihoods as good, but one to four points of accuracy less.)
    """
    counts, K = evidence.counts, options.n_components
    assert evidence.contexts is not None
    contexts = evidence.contexts.table(options.context_lags or default_lags(counts.n_tokens))

    def make() -> HMMParameters:
        embedding = embed_contexts(contexts, K, rng, options.symbol_features)
        return anchor_start(embedding, K, counts, _n_updates(options))

    try:
        first = make()
    except ValueError as error:
        warn(
            f"X has no anchors for n_components={K}: {error} Random starts are used instead.",
            RankWarning,
        )
        return None

    def anchored() -> Iterator[HMMParameters]:
        yield first
        while True:
            try:
                yield make()
            except ValueError:
                yield random_start(K, counts, rng)

    return anchored()


def _next_anchored(
    evidence: Evidence, options: HMMOptions, moments: Moments, rng: np.random.Generator
) -> HMMParameters:
    """Anchors among the symbols."""
    assert moments.anchored is not None
    return next(moments.anchored)


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
    "anchor": _next_anchored,
    "tensor": _decompose,
    "wide-windows": _decompose_wide,
    "random": _draw,
    "sticky": _draw_sticky,
    "histories": _group_histories,
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
        warn(
            f"X has no moments that n_components={options.n_components} states could be read off: "
            f"{error} Random starts are used instead.",
            RankWarning,
        )
        return None
    if moments.sigma_ratio < _SMALLEST_RATIO:
        fallback = (
            "Random starts race against it, and EM decides"
            if options.n_iter and n_starts > 1
            else "Nothing else was tried: give n_iter and n_init their defaults"
        )
        warn(
            f"the moments of past and future barely carry n_components={options.n_components}: "
            f"sigma_K = {moments.singular_values[options.n_components - 1]:.3g} is "
            f"{moments.sigma_ratio:.3g} of sigma_1, below {_SMALLEST_RATIO}. Directions below that "
            f"are floored, so the decomposition is not to be trusted. {fallback}, or choose fewer "
            "components.",
            RankWarning,
        )
    return moments
