r"""Standard errors of the directions that moments find, by a delete-a-group jackknife.

Rows are cut into G groups. Moments are sums over rows, so those of all rows but a group's are the
total less the group's: the data are not read again for each group. Directions :math:`u_{(g)}` of
these moments, found from those of all rows, say how much directions hang on the rows:

.. math:: \mathrm{se}^2 = \frac{G - 1}{G} \sum_g (u_{(g)} - \bar u)^2

(Shao, Tu, *The Jackknife and Bootstrap*, Springer 1995, section 2.3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import pairwise
from operator import add

import numpy as np
from numpy.typing import NDArray

from spectral_nn.additive import Additive, Grouped
from spectral_nn.arrays import Array, from_numpy, to_numpy
from spectral_nn.data.rows import CHUNK_ROWS, Rows, by_blocks, dense
from spectral_nn.data.table import Table, placed
from spectral_nn.models.network.moments import Summary, leading, summarise
from spectral_nn.models.network.scaling import explain_overflow, scale_weights
from spectral_nn.models.network.stream import (
    MAX_FOURTH,
    StreamMoments,
    stream_sums,
    tensors_of_stream,
)
from spectral_nn.models.uncertainty import jackknife_errors, student_half
from spectral_nn.moments.frame import Frame
from spectral_nn.moments.polynomial import low_features
from spectral_nn.runners.base import Runner
from spectral_nn.tensors.matching import unit_columns
from spectral_nn.tensors.shared_cp import polish_directions

__all__ = ["MAX_DIRECTIONS", "DirectionErrors", "direction_errors"]

MAX_DIRECTIONS = MAX_FOURTH  # beyond, sums of one pass hold no fourth moments, as fits do

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DirectionErrors:
    """Standard errors of directions.

    Attributes
    ----------
    components : ndarray of shape (k, d)
        The directions, unit rows.
    errors : ndarray of shape (k, d)
        Their standard errors.
    replicates : ndarray of shape (G, k, d)
        The directions without each of the groups.
    """

    components: Floats
    errors: Floats
    replicates: Floats

    @property
    def distances(self) -> Floats:
        """How far each direction is from those of the moments, (k,), in standard errors."""
        away = np.linalg.norm(self.replicates.mean(axis=0) - self.components, axis=1)
        return away / np.maximum(np.linalg.norm(self.errors, axis=1), 1e-300)

    @property
    def angles(self) -> Floats:
        """Root mean square angle of each direction to the true one, (k,), degrees."""
        return np.degrees(np.linalg.norm(self.errors, axis=1))

    def intervals(self, level: float = 0.95) -> Floats:
        """Confidence intervals, each for one entry by itself.

        Parameters
        ----------
        level : float
            Probability that an interval covers its entry, between 0 and 1.

        Returns
        -------
        ndarray of shape (2, k, d)
            Lower and upper ends: by Student's t with G - 1 degrees of freedom.

        Raises
        ------
        ValueError
            If ``level`` is not between 0 and 1.
        """
        half = student_half(self.errors, level, len(self.replicates))
        return np.stack([self.components - half, self.components + half])


def direction_errors(
    rows: Table, components: NDArray, *, n_groups: int, run: Runner
) -> DirectionErrors:
    """Standard errors of directions that were found by moments of these rows, Gaussian inputs.

    Parameters
    ----------
    rows : the table of the fit.
    components : (k, d) unit rows; k of at most `MAX_DIRECTIONS`.
    n_groups : G, at least 2.
    run : who computes.

    Notes
    -----
    Of each chunk, the g-th of G runs of rows belongs to group g.  Three passes, O(n d^2 + n d K^2 S
    + n K^6 / 48), memory O(G (K^6 / 48 + d K^2 S)); then G decompositions.
    """
    rows = scale_weights(rows, run).rows(rows)
    table = placed(rows, run) if isinstance(rows, Rows) else rows
    with explain_overflow():
        seen = summarise(table, run)
        basis = np.linalg.qr(_whitened(seen.frame, components))[0]
        statistic = partial(
            _sum_groups,
            frame=seen.frame.projected(basis),
            slopes=seen.frame.whitener @ seen.beta,
            n_groups=n_groups,
        )
        groups = run.total(statistic, table.chunks()).groups
        total = reduce(add, groups)
        without = [total + (-1.0) * group for group in groups]
        replicates = _directions(without, seen, basis, components)
    return DirectionErrors(
        np.asarray(components, np.float64), jackknife_errors(replicates), replicates
    )


@dataclass(frozen=True, eq=False)
class _Sums(Additive):
    """Sums over rows, with inputs x (1, and d0 columns) and low features f of the K dimensions.

    Attributes
    ----------
    inside : moments in the K dimensions.
    inputs : (1 + d0, F), of x f^T.
    residuals : (1 + d0, S F), of r_s x f^T, with residuals r of the linear regression.
    """

    inside: StreamMoments
    inputs: Array
    residuals: Array


def _sum_groups(rows: Rows, frame: Frame, slopes: NDArray, n_groups: int) -> Grouped[_Sums]:
    """Sums of the groups' rows in a chunk: of each 16,384 rows, the g-th run is group g's."""
    found = []
    for chunk in rows.blocks(CHUNK_ROWS):
        ends = np.linspace(0, chunk.n_rows, n_groups + 1).astype(int).tolist()
        cuts = [chunk.cut(begin, end) for begin, end in pairwise(ends)]
        found.append(Grouped(tuple(_sum_group(cut, frame, slopes) for cut in cuts)))
    return reduce(add, found)


@by_blocks
def _sum_group(rows: Rows, frame: Frame, slopes: NDArray) -> _Sums:
    """Sums of rows."""
    X, xp = dense(rows)
    x, Y = frame.centred(X), frame.outputs(rows.Y)
    residual = (Y - x @ from_numpy(slopes, like=x)) * rows.weight[:, None]
    low = low_features(frame.inputs(X))
    inputs = xp.concat([xp.ones_like(x[:, :1]), x], axis=1)
    products = xp.concat([low * residual[:, s : s + 1] for s in range(Y.shape[1])], axis=1)
    weighted = low * rows.weight[:, None]
    return _Sums(stream_sums(rows, frame), inputs.T @ weighted, inputs.T @ products)


def _directions(without: list[_Sums], seen: Summary, basis: NDArray, components: NDArray) -> Floats:
    """Directions (G, k, d) of the sums that lack a group."""
    whitener, frame = seen.frame.whitener, seen.frame.projected(basis)
    blocks = [_blocks(sums, seen, basis) for sums in without]
    kinds = [np.stack(kind) for kind in zip(*blocks, strict=True)]
    noise = [np.sqrt(len(without) - 1) * kind.std(axis=0) for kind in kinds]
    found = []
    for sums, own in zip(without, blocks, strict=True):
        span = leading(own, noise, basis.shape[1])
        span = span @ np.linalg.inv(basis.T @ span)  # the basis, and how far it tilts
        moments = tensors_of_stream(sums.inside, frame)
        directions = polish_directions(
            moments.tensors, unit_columns(_whitened(moments.frame, components))
        )
        inner = np.linalg.pinv(frame.whitener) @ moments.frame.whitener
        tilted = replace(moments.frame, whitener=whitener @ span @ inner)
        found.append(tilted.lines(directions, components.shape[1]).T)
    return np.stack(found)


def _blocks(sums: _Sums, seen: Summary, basis: NDArray) -> list[NDArray]:
    """The blocks of `spectral_nn.models.network.moments.subspace`, two modes in a basis (d', K).

    Outside of the basis inputs are what regression on the inside leaves, as if they had been
    whitened anew, to first order in what the groups' moments differ by.
    """
    W, K, S = seen.frame.whitener, basis.shape[1], seen.beta.shape[1]
    inputs, residuals = (
        to_numpy(part) / float(sums.inside.weight) for part in (sums.inputs, sums.residuals)
    )
    f, zf = inputs[0], W.T @ inputs[1:]
    rf, zrf = (part.reshape(-1, S, f.size) for part in (residuals[:1], W.T @ residuals[1:]))
    z, r = zf[:, :1, None], rf[:, :, :1]
    centred = zrf - z * rf - r * zf[:, None, :] + z * r * f
    squares = np.eye(K)[np.triu_indices(K)]
    centred[:, :, K + 1 :] -= centred[:, :, :1] * squares
    cross = zf[:, 1 : K + 1] - np.outer(zf[:, 0], f[1 : K + 1])
    inside = basis.T @ centred.reshape(len(centred), -1)
    slope = np.linalg.solve(basis.T @ cross, cross.T).T
    mixed = centred + ((basis - slope) @ inside).reshape(centred.shape)
    first, second, third = np.split(mixed, [1, K + 1], axis=2)
    return [seen.beta + first[:, :, 0], *(part.reshape(len(W.T), -1) for part in (second, third))]


def _whitened(frame: Frame, components: NDArray) -> NDArray:
    """Weights (d', k) in the frame's coordinates of directions (k, d)."""
    weights = components.T[frame.kept] * frame.deviation[:, None]
    return np.linalg.pinv(frame.whitener) @ weights
