"""Starts of Gaussian mixtures whose columns come in views that are independent in a component.

What two views have in common is due to the component alone, whatever the noise within a view: three
views tell means apart where moments of one table would need to know the noise. Views beyond three
are joined to three (`spectral_nn.models.mixtures.views` has the method and its source).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data.rows import Rows, by_blocks
from spectral_nn.data.table import Table
from spectral_nn.models.base import Start
from spectral_nn.models.mixtures.gaussian import with_ridge
from spectral_nn.models.mixtures.model import MixtureParameters
from spectral_nn.models.mixtures.options import MixtureOptions
from spectral_nn.models.mixtures.report import MixtureReport
from spectral_nn.models.mixtures.views import mixture_of_views, spectrum_of_views
from spectral_nn.moments.views import Views, ViewSums, count_views, mean_moments
from spectral_nn.results import RankError
from spectral_nn.runners.base import Runner

__all__ = ["join_views", "view_start"]

_SAMPLE = 2**13  # rows that scales and axes are found from
_MAX_FEATURES = 32  # of three joined views each: the axes in which they vary most
_FLOOR = 0.05  # of the variance in any direction: least variance within a component


class _Frame(NamedTuple):
    """How rows are seen: centred, in units of deviations, and along axes (p, F_v) of each view."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    axes: list[NDArray[np.float64]]

    @property
    def views(self) -> Views:
        """The three views of what `features` makes: their axes, and a one in each."""
        ends = np.cumsum([axes.shape[1] + 1 for axes in self.axes])
        a, b, c = (((columns,),) for columns in np.split(np.arange(ends[-1]), ends[:-1]))
        return Views((a, b, c))

    def features(self, rows: Rows) -> Rows:
        """Features of each view, and a one; rows that miss something weigh nothing."""
        z = (np.asarray(rows.X, dtype=np.float64) - self.mean) / self.scale
        complete = ~np.isnan(z).any(axis=1)
        z[~complete] = 0.0
        one = np.ones((z.shape[0], 1))
        seen = [part for axes in self.axes for part in (z @ axes, one)]
        return Rows.of(np.concatenate(seen, axis=1), weight=rows.weight * complete)

    def columns(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Columns (K, p), centred and in units of deviations, from features (K, F)."""
        axes = np.concatenate([np.pad(axes, ((0, 0), (0, 1))) for axes in self.axes], axis=1)
        return features @ axes.T


def view_start(
    table: Table, options: MixtureOptions, run: Runner, *, strict: bool = False
) -> tuple[Start[MixtureParameters], MixtureReport]:
    """The start that moments of three views make, and what they show.

    Parameters
    ----------
    table : Rows or ChunkedRows
        Moments rest on the rows without missing entries.
    options : MixtureOptions
        With views.
    run : Runner
        Who computes.
    strict : bool
        Whether correlations between views have to stand out of chance for all components.

    Raises
    ------
    RankError
        If there are fewer than three views, or moments do not carry K components.

    Notes
    -----
    One pass: 2 n F_1 F_2 F_3 flops, for F_v of 33 features at the most in a view. All components
    start with the same covariance within views.
    """
    K = options.n_components
    groups = join_views(options.views)
    x = np.asarray(table.sample(_SAMPLE).X, dtype=np.float64)
    law = options.pooled(x)
    frame = _look(x, law, groups)
    views = frame.views
    sums = run.total(partial(_count, frame=frame), table.chunks())
    if not sums.weight > 0:
        raise RankError(
            "Every row of X misses an entry, and moments of views are those of complete rows. Use "
            "init_params='kmeans'."
        )
    moments = mean_moments(sums, views)
    spectrum = spectrum_of_views(moments, views)
    if strict and spectrum.rank < K:
        shown = np.array2string(spectrum.correlations[:K], precision=3, separator=", ")
        raise RankError(
            f"The views show {spectrum.rank} components, and n_components={K}: canonical "
            f"correlations between views are {shown}, and chance reaches {spectrum.floor:.3g}. Use "
            f"n_components={spectrum.rank}, more rows, or init_params='kmeans'."
        )
    found = mixture_of_views(moments, views, K)
    means = frame.columns(found.means)
    away = means - found.weights @ means
    within = _within(law, frame, (away.T * found.weights) @ away)
    law = replace(law, means=means * frame.scale + frame.mean, covariances=within)
    law = with_ridge(law, np.full(K, options.ridge))
    report = MixtureReport(
        canonical_correlations=spectrum.correlations,
        noise_floor=spectrum.floor,
        rank=spectrum.rank,
        residual=found.residual,
        fault="",
    )
    return Start("tensor", MixtureParameters(found.weights, law)), report


def join_views(views: tuple[int, ...]) -> list[NDArray[np.int64]]:
    """Columns of three groups of views, about as many in each; the largest views first.

    Raises
    ------
    RankError
        If there are fewer than three views.
    """
    of = np.array(views)
    numbers, sizes = np.unique(of, return_counts=True)
    if numbers.size < 3:
        raise RankError(
            f"Moments need three views that are independent in each component, and there are "
            f"{numbers.size}. Split a view, or use init_params='kmeans'."
        )
    groups: list[list[int]] = [[], [], []]
    for i in np.argsort(-sizes, kind="stable"):
        min(groups, key=len).extend(np.flatnonzero(of == numbers[i]).tolist())
    return [np.array(sorted(group)) for group in groups]


def _look(x: NDArray[np.float64], law: Any, groups: list[NDArray[np.int64]]) -> _Frame:
    """The frame of some rows (n, p): views of many columns along their principal axes."""
    mean, scale = law.means[0], np.sqrt(law.variances[0])
    z = np.nan_to_num((x - mean) / scale)
    every = []
    for columns in groups:
        axes = np.zeros((mean.size, min(columns.size, _MAX_FEATURES)))
        vectors = np.linalg.eigh(z[:, columns].T @ z[:, columns])[1]
        axes[columns] = vectors[:, ::-1][:, : axes.shape[1]]
        every.append(axes)
    return _Frame(mean, scale, every)


@by_blocks
def _count(rows: Rows, frame: _Frame) -> ViewSums:
    """Sums of products of a chunk, in the frame."""
    return count_views(frame.features(rows), frame.views)


def _within(law: Any, frame: _Frame, between: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariances in each component: those of all rows less those between components."""
    scale, K = frame.scale, law.n_components
    if not law.correlated:
        return np.tile(np.maximum(1.0 - between.diagonal(), _FLOOR) * scale**2, (K, 1))
    units = np.outer(scale, scale)
    kept = law.covariances[0] != 0
    values, vectors = np.linalg.eigh(law.covariances[0] / units - between * kept)
    whole = (vectors * np.maximum(values, _FLOOR)) @ vectors.T
    return np.tile(whole * kept * units, (K, 1, 1))
