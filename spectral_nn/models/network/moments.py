"""From rows to the tensors whose directions are the hidden units' weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import from_numpy, to_numpy
from spectral_nn.data.rows import drawn
from spectral_nn.data.table import Table, placed
from spectral_nn.moments.frame import (
    ColumnMoments,
    Frame,
    InputMoments,
    input_moments,
    moments_of,
    with_fixed_signs,
)
from spectral_nn.moments.polynomial import (
    NormalEquations,
    high_moments,
    linear_moments,
    low_moments,
    monomial_index,
    slice_moments,
    tube_moments,
)
from spectral_nn.runners.base import Runner
from spectral_nn.tensors.matching import unit_columns

__all__ = [
    "NetworkMoments",
    "Null",
    "Summary",
    "deviation_of",
    "leading",
    "network_moments",
    "null_rows",
    "signal_to_noise",
    "solve_moments",
    "subspace",
    "summarise",
    "taylor",
]

_HOOI_PASSES = 2
_NULL_ROWS = 20_000
MIN_WEIGHT = 1e-3
MAX_FOURTH = 30  # dimensions, of one output, beyond which fourth moments cost too much


@dataclass(frozen=True, eq=False)
class NetworkMoments:
    """Tensors of orders 1 to 4, their noise white and of equal variance, and where they live.

    Attributes
    ----------
    tensors : arrays (K, ..., K, S)
    frame : maps rows into the K dimensions.
    noise : standard deviation of the tensors' noise, ``1 / sqrt(n)``.
    residual : (S,) deviation of the outputs about the regression on all quadratics.
    """

    tensors: tuple[NDArray, ...]
    frame: Frame
    noise: float
    residual: NDArray


@dataclass(frozen=True, eq=False)
class Summary:
    """Moments of columns, and what linear regression makes of them.

    Attributes
    ----------
    columns : moments of each column.
    inputs : second moments of the standardised columns.
    frame : whitens inputs and standardises outputs.
    beta : (d', S) regression of the outputs on the whitened inputs.
    """

    columns: ColumnMoments
    inputs: InputMoments
    frame: Frame
    beta: NDArray

    @property
    def kurtosis(self) -> NDArray:
        """Fourth standardised moment of each column that varies; 3 for a Gaussian one."""
        return to_numpy(self.inputs.fourth) / float(self.inputs.weight)


def summarise(rows: Table, run: Runner) -> Summary:
    """Two passes: the columns' moments, and their covariances; O(n d^2)."""
    columns = moments_of(rows, run)
    standard = Frame.standard(columns, rows.n_features)
    inputs = run.total(partial(input_moments, columns=columns), rows.chunks())
    frame = standard.whitened(inputs)
    # Outputs have mean 0, so that the inputs' mean after clipping takes no part.
    cross = to_numpy(inputs.cross) / float(inputs.weight)
    beta = frame.whitener.T @ cross @ np.linalg.solve(standard.y_map, frame.y_map)
    return Summary(columns, inputs, frame, beta)


class Null(NamedTuple):
    """Rows without signal: outputs with random signs.

    Attributes
    ----------
    rows : at most 20,000 of the table, where statistics of them are computed.
    share : what their moments' noise is to be multiplied by to be that of all rows' residuals.
    """

    rows: Table
    share: float


def null_rows(rows: Table, seen: Summary, rng: np.random.Generator, run: Runner) -> Null:
    """Take all signal from some rows, and leave the noise of their moments as it is."""
    n = rows.n_rows
    index = np.sort(drawn(n, max(_NULL_ROWS, 4 * rows.n_features), rng))
    part = rows.take(index)
    sign = rng.choice(np.array([-1.0, 1.0]), size=(index.size, 1))
    mean = from_numpy(seen.frame.y_mean, like=part.Y)
    part = part._replace(Y=mean + (part.Y - mean) * from_numpy(sign, like=part.Y))
    # What a linear function explains is no noise of the residuals' moments.
    left = np.sqrt(np.clip(1 - np.sum(seen.beta**2, axis=0), 1e-12, 1).max())
    return Null(placed(part, run), float(left) * np.sqrt(index.size / n))


def subspace(
    rows: Table, seen: Summary, null: Null, K: int, run: Runner
) -> tuple[Frame, NDArray, float]:
    r"""Project the inputs on the K directions that the outputs depend on.

    With the regression :math:`\beta = E[z y]` and its residuals :math:`r = y - \beta^T z`, for
    which :math:`E[r z] = 0` in the sample, the columns of

    .. math:: \big[\beta,\; E[r z z^T],\; E[r (b^T z) z z^T]\big], \quad b = \beta / |\beta|

    lie in the span of the first layer's weights for Gaussian z.  The blocks are weighted by what
    they know (see `leading`).  The K leading left singular vectors are improved by two passes of
    higher-order orthogonal iteration, which see the third moments whole:
    :math:`P \leftarrow \mathrm{svd}_K[\beta, M_2 P, T_3(I, P, P)]`.

    Parameters
    ----------
    rows : table.
    seen : what `summarise` found, d' dimensions.
    null : of `null_rows`.
    K : dimensions to keep, at most d'.
    run : who computes.

    Returns
    -------
    frame : of K dimensions.
    singular_values : (d',) of the first matrix, its blocks in units of their noise.
    level : largest singular value of noise alone; directions above it are signal.

    Notes
    -----
    O(n d'^2 S) and two times O(n d' S K^2 / 2) time, O(d'^2 S) memory.
    De Lathauwer, De Moor, Vandewalle, *On the best rank-1 and rank-(R1, ..., RN) approximation of
    higher-order tensors*, SIAM J. Matrix Anal. Appl. 21 (2000).
    """
    frame, beta = seen.frame, seen.beta
    blocks, noise = _blocks_and_noise(rows, seen, null, run)
    scale = [1 / max(float(np.linalg.norm(block, 2)), 1e-12) for block in noise]
    values = _spectrum([c * block for c, block in zip(scale, blocks, strict=True)])
    level = _spectrum([c * block for c, block in zip(scale, noise, strict=True)])[0]
    basis = leading(blocks, noise, K)
    if frame.n_dimensions > K:
        null_tubes = null.share * _tubes(null.rows, frame, np.zeros_like(beta), basis, run)
        halves = [np.split(part[1], beta.shape[1], axis=1) for part in (blocks, noise)]
        for _ in range(_HOOI_PASSES):
            tubes = _tubes(rows, frame, beta, basis, run)
            inner = [np.concatenate([M @ basis for M in half], axis=1) for half in halves]
            basis = leading([beta, inner[0], tubes], [noise[0], inner[1], null_tubes], K)
    return frame.projected(basis), values, float(level)


def signal_to_noise(rows: Table, seen: Summary, null: Null, run: Runner) -> float:
    """Largest singular value of the moments of order 2 or 3 over that of their noise; O(n d^2)."""
    ratios = [
        float(np.linalg.norm(block, 2)) / max(float(np.linalg.norm(noise, 2)), 1e-12)
        for block, noise in zip(*_blocks_and_noise(rows, seen, null, run), strict=True)
    ]
    return max(ratios[1:])


def _blocks_and_noise(
    rows: Table, seen: Summary, null: Null, run: Runner
) -> tuple[list[NDArray], list[NDArray]]:
    """Blocks of `subspace`, and what noise alone makes of them."""
    along = unit_columns(seen.beta)
    noise = _blocks(null.rows, seen.frame, None, along, run)
    return (
        _blocks(rows, seen.frame, seen.beta, along, run),
        [null.share * block for block in noise],
    )


def _blocks(
    rows: Table, frame: Frame, beta: NDArray | None, along: NDArray, run: Runner
) -> list[NDArray]:
    """``[beta, E[r z z^T], E[r (b^T z) z z^T]]``, r = y - beta^T z; d' rows each.

    Without a regression, r = y, and the first block is E[z y].
    """
    weight = rows.total_weight
    slopes = np.zeros_like(along) if beta is None else beta
    maps = {"slopes": frame.whitener @ slopes, "along": frame.whitener @ along}
    matrices = run.total(partial(slice_moments, frame=frame, **maps), rows.chunks())
    white = frame.whitener.T @ (to_numpy(matrices) / weight) @ frame.whitener
    if beta is None:
        beta = to_numpy(run.total(partial(linear_moments, frame=frame), rows.chunks())) / weight
    return [beta, *(np.concatenate(list(half), axis=1) for half in np.split(white, 2))]


def _tubes(rows: Table, frame: Frame, beta: NDArray, basis: NDArray, run: Runner) -> NDArray:
    """Third moments of linear residuals, two modes in a basis: (d', S P)."""
    maps = {"slopes": frame.whitener @ beta, "basis": frame.whitener @ basis}
    tubes = run.total(partial(tube_moments, frame=frame, **maps), rows.chunks())
    return frame.whitener.T @ to_numpy(tubes) / rows.total_weight


def _spectrum(blocks: list[NDArray]) -> NDArray:
    """Singular values of matrices side by side, the largest first."""
    values = np.linalg.eigvalsh(sum(block @ block.T for block in blocks))
    return np.sqrt(np.maximum(values[::-1], 0.0))


def leading(blocks: list[NDArray], noise: list[NDArray], K: int) -> NDArray:
    r"""K leading left singular vectors of matrices side by side, weighted by what they know.

    Of a block of m columns with white noise of variance :math:`\sigma^2` and a signal of energy
    :math:`s^2` in each of K directions, :math:`B B^T` is weighted by
    :math:`\sigma^{-2} (q / (1 + q))^2`, :math:`q = s^2 / (m \sigma^2)`: by its precision where
    the signal is strong, and not at all where it drowns.  (In planted networks the share of the
    true directions outside the span was within 3 % of the best of eleven fixed weightings, for
    tanh, which needs the third moments, and for ReLU, which is harmed by them.)  Heavy tails, which
    blow up high orders, thus do not drown the low ones.
    """
    weighted = np.zeros((blocks[0].shape[0],) * 2)
    for block, null in zip(blocks, noise, strict=True):
        energy = max(float(np.sum(null**2)), 1e-300)
        signal = max(float(np.sum(block**2)) - energy, 0.0) / K
        q = signal / (energy / null.shape[0])
        weighted += (null.size / energy) * max((q / (1 + q)) ** 2, MIN_WEIGHT) * (block @ block.T)
    return with_fixed_signs(np.linalg.eigh(weighted)[1][:, ::-1][:, :K])


def solve_moments(low: NormalEquations) -> NDArray:
    """Coefficients (F, S) of the regression on products of inputs; O(F^3).

    Directions of the features that do not vary (a binary column's square) get none.
    """
    gram, cross = to_numpy(low.gram), to_numpy(low.cross)
    values, vectors = np.linalg.eigh(gram)
    some = values > 1e-9 * values[-1]
    return vectors[:, some] @ ((vectors[:, some].T @ cross) / values[some, None])


def taylor(coefficients: NDArray, K: int, residual: NDArray) -> tuple[NDArray, NDArray]:
    """Mean gradients (K, S), and Hessians (K, K, S) over sqrt(2), in units of the noise.

    Parameters
    ----------
    coefficients : (F, S) of the regression on 1, z and its pairs.
    K : dimensions of z.
    residual : (S,) deviations to divide by.
    """
    hessians = coefficients[K + 1 :][monomial_index(K, 2)] * (1 + np.eye(K))[:, :, None]
    return coefficients[1 : K + 1] / residual, hessians / (np.sqrt(2) * residual)


def deviation_of(variance: NDArray) -> NDArray:
    """Roots of variances (S,), above zero so that they can be divided by."""
    return np.sqrt(np.maximum(variance, max(1e-300, float(np.finfo(variance.dtype).tiny))))


def network_moments(rows: Table, frame: Frame, n_effective: float, run: Runner) -> NetworkMoments:
    r"""Tensors of orders 1 to 4 of the outputs, in the frame's K dimensions.

    The regression of y on all quadratics of z gives orders 1 and 2; its residuals r are
    orthogonal to every quadratic in the sample, so that :math:`E[r z^{\otimes 3}]` and
    :math:`E[r z^{\otimes 4}]` are the Hermite moments of orders 3 and 4 without any correction,
    and free of the variance of what the quadratics explain.  Each is divided by
    :math:`\sqrt{m!}` and by the residuals' deviation, which makes the noise of all of them white,
    with variance 1 / n.

    Returns
    -------
    NetworkMoments, without order 4 if there are more than 30 dimensions, or too many outputs.

    Notes
    -----
    Two passes, O(n S K^4 / 16) each; O(S K^4) memory.
    """
    K = frame.n_dimensions
    low = run.total(partial(low_moments, frame=frame), rows.chunks())
    coefficients = solve_moments(low)
    with_fourth = K**4 * frame.y_map.shape[1] <= MAX_FOURTH**4
    passes = partial(high_moments, frame=frame, coefficients=coefficients, with_fourth=with_fourth)
    high = run.total(passes, rows.chunks())
    weight = float(low.gram[0, 0])
    residual = deviation_of(to_numpy(high.squares) / weight)
    index = monomial_index(K, 2)
    tensors = [*taylor(coefficients, K, residual)]
    third = to_numpy(high.third) / (weight * np.sqrt(6) * residual[:, None, None])
    tensors.append(np.moveaxis(third[:, index, :], 0, -1))
    if with_fourth:
        fourth = to_numpy(high.fourth) / (weight * np.sqrt(24) * residual[:, None, None])
        tensors.append(np.moveaxis(fourth[:, index][:, :, :, index], 0, -1))
    return NetworkMoments(tuple(tensors), frame, 1 / np.sqrt(n_effective), residual)
