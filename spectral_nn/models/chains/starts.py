"""Starts of a fit: moments, anchors, labels, known emissions, random draws."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, count, islice
from typing import Any

import numpy as np

from spectral_nn.emissions import CategoricalEmission, Emission
from spectral_nn.models.base import Start
from spectral_nn.models.chains.anchors import anchor_start, default_lags, embed_contexts
from spectral_nn.models.chains.bigrams import N_UPDATES, fit_transitions
from spectral_nn.models.chains.evidence import Evidence
from spectral_nn.models.chains.options import HMMOptions, wants_anchors
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
from spectral_nn.models.chains.symbol_starts import random_start
from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.results import RankWarning

_SMALLEST_RATIO = 1e-3
_FEW_UPDATES = 20  # of transitions, where EM goes on
_ROUGH = 20  # iterations of alternating least squares on a bootstrap sample


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
    """Kind of every start of a race, spectral ones first; of the only one without EM."""
    if options.n_iter == 0:
        return [options.init]
    if options.init == "random":
        return ["random"] * (options.n_init or 1)
    spectral = "anchor" if wants_anchors(options) else options.init
    return [spectral] * plan.n_spectral + ["random"] * plan.n_random


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
        If the moments, or the contexts of symbols, carry fewer than K components.

    Notes
    -----
    Two to three passes over the distinct windows, O(U K^2), and 2 K^4 an ALS iteration, for each
    decomposition.
    """
    given = _given_start(evidence.counts, options)
    if given is not None:
        return [given], {}
    if options.fixed:  # decompositions come with an order of states that is not the user's
        kinds = ["random"] * len(kinds)
    notes: dict[str, Any] = {}
    random = _draws(evidence, options, rng)
    starts: list[Start] = []
    for kind in dict.fromkeys(kinds):
        found = None if kind == "random" else SOURCES[kind](evidence, options, rng, notes)
        kind_found, source = ("random", random) if found is None else (kind, found)
        for parameters in islice(source, kinds.count(kind)):
            starts.append(Start(kind_found, replace(parameters, **options.fixed)))
    return starts, notes


def _decompositions(
    evidence: Evidence, options: HMMOptions, rng: np.random.Generator, notes: dict[str, Any]
) -> Iterator[HMMParameters] | None:
    """Decompose the moments, then those of bootstrap samples.

    (ALS ends in the same place from any rotation.) Little data may not carry another sample's: then
    it is a random draw.
    """
    counts, K, n_updates = evidence.counts, options.n_components, _n_updates(options)
    moments = _checked_moments(counts, options, rng)
    if moments is None:
        return None
    notes |= {"singular_values": moments.singular_values, "sigma_ratio": moments.sigma_ratio}

    def decompositions() -> Iterator[HMMParameters]:
        yield decompose(moments, counts, rng, n_updates)
        while True:
            again = counts.resampled(rng)
            try:
                yield decompose(whitened_moments(again, K, rng), again, rng, n_updates, _ROUGH)
            except ValueError:
                yield random_start(K, counts, rng)

    return decompositions()


def _anchored(
    evidence: Evidence, options: HMMOptions, rng: np.random.Generator, notes: dict[str, Any]
) -> Iterator[HMMParameters] | None:
    """Read models off anchors, each by another draw of the projection.

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
        warn_rank(
            f"X has no anchors for n_components={K}: {error} Random starts are used instead.",
            stacklevel=7,
        )
        return None
    return chain([first], (make() for _ in count()))


def _draws(
    evidence: Evidence, options: HMMOptions, rng: np.random.Generator
) -> Iterator[HMMParameters]:
    """Draw at random."""
    while True:
        yield random_start(options.n_components, evidence.counts, rng)


SOURCES = {"anchor": _anchored, "tensor": _decompositions}
"""What makes starts of each kind, one after another; None, after a warning, where it cannot."""


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
    counts: NgramCounts, options: HMMOptions, rng: np.random.Generator
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
            if options.n_iter and options.n_init != 1
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


def warn_rank(message: str, stacklevel: int = 8) -> None:
    """Warn that data carry too little; `stacklevel` calls lead to whoever called the estimator."""
    warnings.warn(message, RankWarning, stacklevel=stacklevel)
