"""From rows to the tensors whose directions are the hidden units' weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import from_numpy, to_numpy
from spectral_nn.execute.runner import Runner, total
from spectral_nn.moments.polynomial import (
    LowMoments,
    high_moments,
    low_moments,
    monomial_index,
    slice_moments,
    tube_moments,
)
from spectral_nn.moments.rows import (
    ColumnMoments,
    Frame,
    InputMoments,
    Rows,
    column_moments,
    input_moments,
)

__all__ = [
    "Look",
    "NetworkMoments",
    "look",
    "network_moments",
    "null_level",
    "solve_moments",
    "subspace",
    "taylor",
]

_HOOI_PASSES = 2
_NULL_ROWS = 20_000
_MOST_FOURTH = 30  # dimensions, of one output, beyond which fourth moments cost too much


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
class Look:
    """What two passes over the rows tell.

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


def look(rows: Rows, run: Runner) -> Look:
    """Two passes: the columns' moments, and their covariances; O(n d^2)."""
    columns = total(run, column_moments, rows.chunks())
    standard = Frame.standard(columns, rows.X.shape[1])
    inputs = total(run, partial(input_moments, columns=columns), rows.chunks())
    frame = standard.whitened(inputs)
    # Outputs have mean 0, so that the inputs' mean after clipping takes no part.
    cross = to_numpy(inputs.cross) / float(inputs.weight)
    beta = frame.whitener.T @ cross @ np.linalg.solve(standard.y_map, frame.y_map)
    return Look(columns, inputs, frame, beta)


def slice_spectrum(
    rows: Rows, frame: Frame, beta: NDArray, run: Runner
) -> tuple[list[NDArray], float]:
    r"""Blocks whose columns lie in the span of the first layer's weights, for Gaussian z.

    .. math:: \big[\beta,\; E[r z z^T],\; E[r (b^T z) z z^T]\big], \quad
        r = y - \beta^T z, \quad b = \beta / |\beta|

    Returns
    -------
    blocks : (d', S), (d', d' S) and (d', d' S), scaled to noise of equal variance.
    weight : sum of the rows' weights.
    """
    lengths = np.linalg.norm(beta, axis=0)
    slopes = frame.whitener @ beta
    along = slopes / np.where(lengths > 0, lengths, 1.0)
    passes = partial(slice_moments, frame=frame, slopes=slopes, along=along)
    weight = float(rows.weight.sum())
    matrices = to_numpy(total(run, passes, rows.chunks()).matrices) / weight
    white = frame.whitener.T @ matrices @ frame.whitener / np.sqrt(2)
    seconds, thirds = np.split(white, 2)
    return [
        beta,
        np.concatenate(list(seconds), axis=1),
        np.concatenate(list(thirds), axis=1),
    ], weight


def subspace(rows: Rows, seen: Look, K: int, run: Runner) -> tuple[Frame, NDArray]:
    r"""Project the inputs on the K directions that the output depends on.

    The K leading left singular vectors of `slice_spectrum` are improved by two passes of
    higher-order orthogonal iteration, which see the third moments whole:
    :math:`P \leftarrow \mathrm{svd}_K[\beta, M_2 P, T_3(I, P, P)]`.

    Parameters
    ----------
    rows : table.
    seen : what `look` found, d' dimensions.
    K : dimensions to keep, at most d'.
    run : who computes.

    Returns
    -------
    frame : of K dimensions.
    singular_values : (d',) of the first matrix, which say how many directions the data support.

    Notes
    -----
    O(n d'^2 S) and two times O(n d' S K^2 / 2) time, O(d'^2 S) memory.
    De Lathauwer, De Moor, Vandewalle, *On the best rank-1 and rank-(R1, ..., RN) approximation of
    higher-order tensors*, SIAM J. Matrix Anal. Appl. 21 (2000).
    """
    frame, beta = seen.frame, seen.beta
    blocks, weight = slice_spectrum(rows, frame, beta, run)
    basis, singular_values = _leading(blocks, K)
    if frame.n_dimensions > K:
        seconds = np.split(blocks[1], beta.shape[1], axis=1)
        for _ in range(_HOOI_PASSES):
            passes = partial(
                tube_moments,
                frame=frame,
                slopes=frame.whitener @ beta,
                basis=frame.whitener @ basis,
            )
            tubes = frame.whitener.T @ to_numpy(total(run, passes, rows.chunks()).tubes) / weight
            basis, _ = _leading([beta, *[M @ basis for M in seconds], tubes / np.sqrt(2)], K)
    return frame.projected(basis), singular_values


def null_level(rows: Rows, seen: Look, rng: np.random.Generator, run: Runner) -> float:
    """Largest singular value that `subspace` would show without any dependence beyond the linear.

    Random signs on the outputs leave the noise of their moments as it is and take all signal.
    At most 20,000 rows are looked at; the noise falls with the square root of their number.

    Notes
    -----
    O(min(n, 20000) d'^2 S).
    """
    n = rows.X.shape[0]
    index = np.sort(rng.permutation(n)[: max(_NULL_ROWS, 4 * rows.X.shape[1])])
    part = rows.take(index)
    sign = rng.choice(np.array([-1.0, 1.0]), size=(index.size, 1))
    mean = from_numpy(seen.frame.y_mean, like=rows.Y)
    part = part._replace(Y=mean + (part.Y - mean) * from_numpy(sign, like=rows.Y))
    # What a linear function explains is no noise of the residuals' moments.
    linear = np.sum(seen.beta**2, axis=0)
    left = np.sqrt(np.clip(1 - linear, 0, 1).max())
    noise = rng.standard_normal(seen.beta.shape)
    beta = noise / np.linalg.norm(noise, axis=0) * 1e-9
    blocks, _ = slice_spectrum(part, seen.frame, beta, run)
    values = _leading(blocks, 1)[1]
    return float(values[0] * left * np.sqrt(index.size / n))


def _leading(blocks: list[NDArray], K: int) -> tuple[NDArray, NDArray]:
    """K leading left singular vectors of matrices side by side, and all singular values."""
    squared = sum(block @ block.T for block in blocks)
    values, vectors = np.linalg.eigh(squared)
    return vectors[:, ::-1][:, :K], np.sqrt(np.maximum(values[::-1], 0.0))


def solve_moments(low: LowMoments) -> NDArray:
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


def network_moments(rows: Rows, frame: Frame, n_effective: float, run: Runner) -> NetworkMoments:
    r"""Tensors of orders 1 to 4 of the outputs, in the frame's K dimensions.

    The regression of y on all quadratics of z gives orders 1 and 2; its residuals r are
    orthogonal to every quadratic in the sample, so that :math:`E[r z^{\otimes 3}]` and
    :math:`E[r z^{\otimes 4}]` are the Hermite moments of orders 3 and 4 without any correction,
    and free of the variance of what the quadratics explain.  Each is divided by
    :math:`\sqrt{m!}` and by the residuals' deviation, which makes the noise of all of them white,
    with variance 1 / n.

    Parameters
    ----------
    rows : table.
    frame : K dimensions.
    n_effective : rows of equal weight.
    run : who computes.

    Returns
    -------
    NetworkMoments, without order 4 if there are more than 30 dimensions, or too many outputs.

    Notes
    -----
    Two passes, O(n S K^4 / 4) each; O(S K^4) memory.
    """
    K = frame.n_dimensions
    low = total(run, partial(low_moments, frame=frame), rows.chunks())
    coefficients = solve_moments(low)
    with_fourth = K**4 * frame.y_map.shape[1] <= _MOST_FOURTH**4
    passes = partial(high_moments, frame=frame, coefficients=coefficients, with_fourth=with_fourth)
    high = total(run, passes, rows.chunks())
    weight = float(low.gram[0, 0])
    residual = np.sqrt(np.maximum(to_numpy(high.squares) / weight, 1e-300))
    index = monomial_index(K, 2)
    tensors = [*taylor(coefficients, K, residual)]
    third = to_numpy(high.third) / (weight * np.sqrt(6) * residual[:, None, None])
    tensors.append(np.moveaxis(third[:, index, :], 0, -1))
    if with_fourth:
        fourth = to_numpy(high.fourth) / (weight * np.sqrt(24) * residual[:, None, None])
        tensors.append(np.moveaxis(fourth[:, index][:, :, :, index], 0, -1))
    return NetworkMoments(tuple(tensors), frame, 1 / np.sqrt(n_effective), residual)
