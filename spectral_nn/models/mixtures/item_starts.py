"""Starts of latent-class models: what moments show, completed, and random ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from spectral_nn.data.rows import Rows
from spectral_nn.emissions.categorical_items import CategoricalItems
from spectral_nn.models.base import Start
from spectral_nn.models.mixtures.model import MixtureParameters, log_joint
from spectral_nn.models.mixtures.report import ViewsEvidence
from spectral_nn.models.mixtures.views import (
    Spectrum,
    ViewMixture,
    mixture_of_views,
    spectrum_of_views,
)
from spectral_nn.moments.views import count_views, deal_items, mean_moments
from spectral_nn.results import RankError
from spectral_nn.runners.base import Runner

__all__ = ["Evidence", "ItemRows", "moments_alone", "random_start", "tensor_start"]

_ROWS_PER_CLASS = 100  # that a random start is made of
_MAX_CELLS = 16  # of a compound item


@dataclass(frozen=True, eq=False)
class ItemRows:
    """Rows that starts are made of.

    Attributes
    ----------
    chunks : list of Rows
        Of indicators.
    some : Rows
        Some of them, or all, in memory here.
    pooled : CategoricalItems
        The law of all rows together, in one class.
    run : Runner
        Who computes.
    """

    chunks: Any
    some: Rows
    pooled: CategoricalItems
    run: Runner


@dataclass(frozen=True, eq=False)
class Evidence:
    """What moments had to say.

    Attributes
    ----------
    spectrum : Spectrum
        Of the views.
    n_shown : int
        Classes that were read off the moments.
    residual : float
        Of the decomposition.
    """

    spectrum: Spectrum
    n_shown: int
    residual: float

    def report(self) -> ViewsEvidence:
        """What reports keep of it."""
        return ViewsEvidence(
            canonical_correlations=self.spectrum.correlations,
            noise_floor=self.spectrum.floor,
            rank=self.spectrum.rank,
            n_shown=self.n_shown,
            residual=self.residual,
        )


def moments_alone(
    rows: ItemRows, n_components: int, rng: np.random.Generator
) -> tuple[Start[MixtureParameters], Evidence]:
    """Read all classes off moments.

    Raises
    ------
    RankError
        If the moments do not carry so many classes.
    """
    made = _moments(rows, rng)
    if made is None:
        raise RankError(
            "Moments need three items of two categories or more, one for each view. Use "
            "init='random'."
        )
    moments, views = made
    spectrum = spectrum_of_views(moments, views)
    found = mixture_of_views(moments, views, n_components)
    start = Start("tensor", _as_parameters(found, rows.pooled))
    return start, Evidence(spectrum, n_components, found.residual)


def tensor_start(
    rows: ItemRows, n_components: int, rng: np.random.Generator
) -> tuple[Start[MixtureParameters], Evidence] | None:
    """Read off moments as many classes as they show, and put the others at rows ill explained.

    Parameters
    ----------
    rows : ItemRows
    n_components : int
        K.
    rng : Generator
        Deals the items to views, and draws rows.

    Returns
    -------
    Start, Evidence
        None if there are fewer than three items.

    Notes
    -----
    One pass; see `spectral_nn.moments.views.count_views`.
    """
    made = _moments(rows, rng)
    if made is None:
        return None
    moments, views = made
    spectrum = spectrum_of_views(moments, views)
    for k in range(min(spectrum.rank, n_components), 0, -1):
        try:
            found = mixture_of_views(moments, views, k)
        except RankError:
            continue
        parameters = _add_classes(_as_parameters(found, rows.pooled), n_components, rows, rng)
        return Start("tensor", parameters), Evidence(spectrum, k, found.residual)
    return None


def random_start(
    rows: ItemRows, n_components: int, rng: np.random.Generator
) -> Start[MixtureParameters]:
    """M-step of random posteriors of some rows."""
    n = rows.some.n_rows
    index = rng.permutation(n)[: _ROWS_PER_CLASS * n_components]
    mass = rng.dirichlet(np.ones(n_components), index.size) * rows.some.weight[index, None]
    wide = _repeat(rows.pooled, n_components)
    # An item without an answer among them keeps the law of all rows.
    law = wide.maximise(wide.gather(rows.some.X[index], mass)).restore()
    total = mass.sum(axis=0)
    return Start("random", MixtureParameters(total / total.sum(), law))


def _moments(rows: ItemRows, rng: np.random.Generator) -> Any:
    """Moments and views of a random deal of the items, those that many rows answer first."""
    n_categories = rows.pooled.n_categories
    n_rows = float(rows.some.weight.sum())
    begins = np.cumsum(n_categories) - np.array(n_categories)
    answered = np.add.reduceat(np.asarray(rows.some.X.T @ rows.some.weight), begins) / n_rows
    order = rng.permutation(len(n_categories))
    order = order[np.argsort(-np.ceil(np.log2(answered + 1e-9))[order], kind="stable")]
    # Compounds have to be answered whole, and each of their cells by more than a few rows.
    cells = float(np.median(answered)) ** 2 * np.sqrt(n_rows) / 2
    views = deal_items(n_categories, order, max_cells=min(_MAX_CELLS, cells))
    if views is None:
        return None
    sums = rows.run.total(partial(count_views, views=views), rows.chunks)
    return mean_moments(sums, views), views


def _as_parameters(found: ViewMixture, pooled: CategoricalItems) -> MixtureParameters:
    """Probabilities from means of indicators: what is negative becomes all but impossible."""
    law = _repeat(pooled, found.weights.size)
    law = law.maximise(np.nan_to_num(np.maximum(found.means, 0.0)))
    return MixtureParameters(found.weights, law.restore())


def _repeat(pooled: CategoricalItems, n_components: int) -> CategoricalItems:
    return replace(pooled, probs=np.repeat(pooled.probs, n_components, axis=0))


def _add_classes(
    parameters: MixtureParameters, n_components: int, rows: ItemRows, rng: np.random.Generator
) -> MixtureParameters:
    """Add classes half way from the law of all rows to rows that are ill explained."""
    law: Any = parameters.emission
    some, weights = rows.some, parameters.weights
    expected = rows.pooled.log_likelihoods(some.X)[:, 0]
    for k in range(weights.size, n_components):
        reached = np.logaddexp.reduce(log_joint(MixtureParameters(weights, law), some.X), axis=1)
        lost = expected - reached
        chance = some.weight * (lost - lost.min() + 1e-9)
        row = some.X[[rng.choice(some.n_rows, p=chance / chance.sum())]]
        seed = rows.pooled.maximise(rows.pooled.gather(row, np.ones((1, 1))), rows.pooled.probs)
        law = replace(law, probs=np.concatenate([law.probs, seed.probs]))
        weights = np.append(weights * k, 1.0) / (k + 1)
    return MixtureParameters(weights, law)
