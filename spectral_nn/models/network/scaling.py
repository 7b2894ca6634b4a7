r"""Units in which a network can be fitted, whatever those of the user are, and the way back.

With :math:`x_j = 2^{e_j} x'_j`, :math:`y = m + 2^{b} y'` and :math:`w = 2^{c} w'`, the penalised
loss of a network at (x, y, w) is :math:`2^{2b}` times that of the network whose first layer takes
x', whose last layer gives y', at (x', y', w') and with another penalty for each layer (`Penalty`):
the same function in other variables.  Powers of two round nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from spectral_nn.arrays import Array, clip, from_numpy, get_namespace, numpy_dtype, to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.data.table import ChunkedRows, Table
from spectral_nn.models.base import OnStep
from spectral_nn.models.network.dense import Network, Shape
from spectral_nn.models.network.outputs import OUTPUTS
from spectral_nn.models.network.report import NetworkReport
from spectral_nn.moments.extent import Extent, exponents, powers
from spectral_nn.moments.frame import ColumnMoments, column_moments, extent_of
from spectral_nn.runners.base import Runner
from spectral_nn.warn import warn

if TYPE_CHECKING:
    from spectral_nn.models.network.options import NetworkOptions

__all__ = [
    "Penalty",
    "Scaling",
    "check_outputs",
    "choose_scaling",
    "explain_overflow",
    "keep_scaling",
    "layers_above",
    "of_each_weight",
    "scale_weights",
]

_ORDINARY = 32  # powers of two of inputs and weights
_ORDINARY_TARGETS = 20  # beyond, a first step of length one gains less than a solver's tolerance
_RATE = 5.0  # the mean of counts below a softplus, which is near the identity there
_CONSTANT = 16  # rounding errors of a mean
_ROOM = 4  # outputs of this share of the largest number may still be subtracted


@dataclass(frozen=True, eq=False)
class Penalty:
    """The penalty of a network in the units of a `Scaling`.

    Attributes
    ----------
    alpha : of the last layer's weights.
    inputs : (d,) exponents of the columns of X, None for units of one.
    outputs : exponent of the targets.
    """

    alpha: float
    inputs: NDArray[np.int32] | None
    outputs: int

    def of(self, shape: Shape) -> NDArray[np.float64]:
        """Penalties (n_weights,) in the order of `spectral_nn.models.network.dense.flatten`."""
        layers = []
        for layer, (fan_in, fan_out) in enumerate(pairwise(shape.sizes)):
            exponent = np.zeros((fan_in, fan_out), np.int32)
            if layer == 0 and self.inputs is not None:
                exponent -= 2 * self.inputs[:, None]
            if layer < len(shape.sizes) - 2:
                exponent -= 2 * self.outputs
            layers.append(exponent.ravel())
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(self.alpha, np.concatenate(layers))


def of_each_weight(alpha: float | Penalty, shape: Shape) -> float | NDArray[np.float64]:
    """A penalty as numbers: one for all weights, or one for each (n_weights,)."""
    return alpha.of(shape) if isinstance(alpha, Penalty) else alpha


def layers_above(alpha: float | Penalty) -> float | Penalty:
    """The penalty of a network without its first layer."""
    return replace(alpha, inputs=None) if isinstance(alpha, Penalty) else alpha


@dataclass(frozen=True, eq=False)
class Scaling:
    """Units of a table, and of networks that are fitted to it.

    Attributes
    ----------
    inputs : (d,) exponents of the columns of X.
    shift : (q,) of Y.
    outputs : exponent of Y.
    weights : exponent of the weights.
    counts : exponent of Y where networks end in a softplus: their `unit`.
    """

    inputs: NDArray[np.int32]
    shift: NDArray[np.float64]
    outputs: int
    weights: int
    counts: int = 0

    def rows(self, table: Table) -> Table:
        """A table in these units: itself where they are one."""
        other = (self.outputs, self.weights, self.counts)
        if not (self.inputs.any() or self.shift.any() or any(other)):
            return table
        scaled = table.mapped(partial(_scale_rows, scaling=self))
        if isinstance(scaled, ChunkedRows):
            weight = float(np.ldexp(scaled.total_weight, -self.weights))
            scaled = replace(scaled, total_weight=weight)
        return scaled

    def inside(self, network: Network) -> Network:
        """A network of the user's units in these."""
        return self._change_units(network, 1)

    def outside(self, network: Network) -> Network:
        """A network of these units in the user's."""
        return self._change_units(network, -1)

    def _change_units(self, network: Network, way: int) -> Network:
        coefs, intercepts = list(network.coefs), list(network.intercepts)
        dtype = numpy_dtype(coefs[0].dtype)
        if self.inputs.any():
            factor = powers(way * self.inputs, dtype)[:, None]
            coefs[0] = coefs[0] * from_numpy(factor, like=coefs[0])
        if self.outputs:
            times = float(powers(-way * self.outputs, dtype))
            coefs[-1], intercepts[-1] = coefs[-1] * times, intercepts[-1] * times
        if self.shift.any():
            shift = self.shift * (powers(-self.outputs, dtype) if way == 1 else 1.0)
            intercepts[-1] = intercepts[-1] - way * from_numpy(shift, like=intercepts[-1])
        unit = 1.0 if way == 1 else float(powers(self.counts, dtype))
        return replace(network, coefs=tuple(coefs), intercepts=tuple(intercepts), unit=unit)

    def loss(self, value: float) -> float:
        """A loss of these units in the user's; infinite where it is too large for a number."""
        with np.errstate(over="ignore", under="ignore"):
            return float(np.ldexp(value, 2 * self.outputs + self.counts))

    def tell(self, on_step: OnStep | None) -> OnStep | None:
        """A listener that is told losses in the user's units."""
        if on_step is None or not (self.outputs or self.counts):
            return on_step

        def tell(stage: str, step: int, value: float) -> None:
            # a decomposition tells its share of variance
            on_step(stage, step, value if stage.startswith("decomposed") else self.loss(value))

        return tell

    def report(self, report: NetworkReport) -> NetworkReport:
        """The report with losses in the user's units."""
        return replace(
            report,
            starts=tuple(replace(one, loss=self.loss(one.loss)) for one in report.starts),
            repair=tuple(
                replace(one, grown=self.loss(one.grown), pruned=self.loss(one.pruned))
                for one in report.repair
            ),
        )

    def penalty(self, alpha: float | Penalty) -> float | Penalty:
        """The user's penalty, one number, in these units."""
        assert not isinstance(alpha, Penalty)
        with np.errstate(over="ignore", under="ignore"):
            alpha = float(np.ldexp(alpha, -self.weights - self.counts))
        if self.inputs.any() or self.outputs:
            return Penalty(alpha, self.inputs, self.outputs)
        return alpha


def _scale_rows(rows: Rows, scaling: Scaling) -> Rows:
    """Rows of a chunk in other units."""
    X, Y, weight = rows
    dtype = numpy_dtype(Y.dtype)
    if scaling.inputs.any():
        X = _columns_times(X, powers(-scaling.inputs, dtype))
    if scaling.outputs or scaling.counts:
        Y = Y * float(powers(-scaling.outputs - scaling.counts, dtype))
    if scaling.shift.any():
        Y = Y - from_numpy(scaling.shift * powers(-scaling.outputs, dtype), like=Y)
    if scaling.weights:
        least = float(np.finfo(dtype).tiny)  # a row that is there keeps some weight
        weight = clip(weight * float(powers(-scaling.weights, dtype)), low=least)
    return Rows(X, Y, weight)


def _columns_times(X: Array, factor: NDArray[np.float64]) -> Array:
    """Columns of a dense or CSR matrix (n, d), each times a number."""
    if hasattr(X, "toarray"):
        X = X.copy()
        X.data *= factor[X.indices].astype(X.dtype)
        return X
    return X * from_numpy(factor, like=X)


def choose_scaling(
    rows: Table, options: NetworkOptions, run: Runner, start: Network | None = None
) -> Scaling:
    """Units in which a table can be fitted: one, unless its numbers are far from it.

    Columns of X beyond 2^32 (unless a score of the inputs is to see them), and weights beyond
    2^±32, are divided by a power of two.  Targets
    whose deviation or mean is beyond 2^20 are standardised, and so are those whose deviation is
    below 2^-20 if the penalty is small beside their variance.  Counts that a softplus is to give
    are divided by the power of two that brings their mean near five; where a fit goes on from a
    network, by the unit of that.

    Raises
    ------
    ValueError
        If all counts are zero.

    Warns
    -----
    ConvergenceWarning
        If the variance of the targets is small beside the penalty.

    Notes
    -----
    One pass, O(n (d + q)); two where targets are far from one, or for a softplus.
    """
    seen = extent_of(rows, run)
    counts = options.output in ("exp", "softplus")
    if counts and start is None and not seen.high.any():
        raise ValueError(
            "y holds nothing but zeros: a rate of zero has no logarithm, and there is nothing to "
            "learn. Give rows with counts above zero."
        )
    # What is small stays as it is: beside a penalty its weights have no say.
    inputs = np.maximum(exponents(seen.inputs, _ORDINARY), 0)
    scored = callable(options.input_model) or options.input_score is not None
    plain = Scaling(
        np.zeros_like(inputs) if scored else inputs,
        np.zeros(seen.low.size),
        0,
        _weight_exponent(seen, rows),
    )
    if options.output == "softplus":
        return replace(plain, counts=_count_exponent(plain, rows, run, start))
    if options.output != "identity":
        return plain
    assert not isinstance(options.alpha, Penalty)
    return _standardise_targets(plain, seen, rows, run, options.alpha)


def keep_scaling(scaling: Scaling, rows: Table, run: Runner) -> Scaling:
    """The same units of inputs and targets, for a table of its own weights."""
    return replace(scaling, weights=_weight_exponent(extent_of(rows, run), rows))


def scale_weights(rows: Table, run: Runner) -> Scaling:
    """Units of one for inputs and targets, as moments need no other; weights as in a fit.

    Raises
    ------
    ValueError
        If numbers of X or y are so large that distances between rows cannot be carried.
    """
    seen = extent_of(rows, run)
    d, q, dtype = seen.inputs.size, seen.low.size, numpy_dtype(rows.like.dtype)
    largest = float(np.finfo(dtype).max)
    sizes = {"X": seen.inputs, "y": np.maximum(np.abs(seen.low), np.abs(seen.high))}
    for name, size in sizes.items():
        if size.max() > largest / _ROOM / np.sqrt(d):
            raise ValueError(
                f"{name} holds values up to {size.max():.3g}, too large for {dtype} (which ends at "
                f"{largest:.2g}): distances between rows overflow. Scale {name} (StandardScaler)."
            )
    return Scaling(np.zeros(d, np.int32), np.zeros(q), 0, _weight_exponent(seen, rows))


def _weight_exponent(seen: Extent, rows: Table) -> int:
    heaviest = np.array([seen.weight], numpy_dtype(rows.like.dtype))
    return int(exponents(heaviest, _ORDINARY)[0])


def _standardise_targets(
    plain: Scaling, seen: Extent, rows: Table, run: Runner, alpha: float
) -> Scaling:
    """The units with those of the targets, where these are far from one."""
    far = 2.0**_ORDINARY_TARGETS
    low, high = seen.low.astype(np.float64), seen.high.astype(np.float64)
    half = float((high / 2 - low / 2).max())
    if max(high.max(), -low.min()) <= far and (half >= 1 / far or half == 0):
        return plain
    weighted = replace(plain, inputs=np.zeros_like(plain.inputs)).rows(rows)
    columns: ColumnMoments = run.total(_target_moments, weighted.chunks())
    mean, deviation = columns.mean, columns.deviation
    rounding = _CONSTANT * np.finfo(mean.dtype).eps * np.abs(mean)
    deviation = np.where(deviation > rounding, deviation, 0).max(keepdims=True)
    exponent = int(exponents(deviation, _ORDINARY_TARGETS)[0])
    size = float(deviation[0])
    if size == 0:
        exponent = 0
    elif exponent < 0 and np.ldexp(alpha, -plain.weights) > columns.weight * size**2:
        exponent = 0
        warn(
            f"y has a standard deviation of {size:.3g}, and its squares are small beside the "
            f"penalty alpha={alpha:g}: weights that fit y cost more than they gain. Scale y to "
            "unit variance, or lower alpha.",
            ConvergenceWarning,
        )
    if exponent == 0 and np.abs(mean).max() <= far:
        return plain
    return replace(plain, shift=mean.astype(np.float64), outputs=exponent)


def _count_exponent(plain: Scaling, rows: Table, run: Runner, start: Network | None) -> int:
    if start is not None:
        unit = start.unit
    else:
        weighted = replace(plain, inputs=np.zeros_like(plain.inputs)).rows(rows)
        columns: ColumnMoments = run.total(_target_moments, weighted.chunks())
        unit = float(columns.mean.mean()) / _RATE
    return round(np.log2(unit))


def _target_moments(rows: Rows) -> ColumnMoments:
    """Moments of the columns of Y alone."""
    return column_moments(rows._replace(X=rows.Y[:, :0]))


@contextmanager
def explain_overflow() -> Iterator[None]:
    """Say what a decomposition met that could not be carried; warn of no overflow on the way.

    Raises
    ------
    ValueError
        In the place of a LinAlgError.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"The moments of X and y are not finite, or vanish ({error}): X or y may hold values "
            "that are very large or very small. Scale them to unit variance (StandardScaler)."
        ) from error


@dataclass(frozen=True, eq=False)
class _Peak:
    """The largest of some sizes, NaN if there is one among them."""

    size: float

    def __add__(self, other: _Peak) -> _Peak:
        return _Peak(float(np.maximum(self.size, other.size)))


def check_outputs(network: Network, rows: Table, run: Runner) -> None:
    """Check that a network and what it gives for its own rows are numbers.

    Raises
    ------
    ValueError
        If a parameter or an output is not finite, or so large that outputs cannot be subtracted.
    """
    dtype = numpy_dtype(network.coefs[0].dtype)
    most = float(np.finfo(dtype).max) / _ROOM
    finite = all(
        np.isfinite(to_numpy(part)).all() for part in (*network.coefs, *network.intercepts)
    )
    if not finite or not run.total(partial(_peak, network=network), rows.chunks()).size <= most:
        raise ValueError(
            f"The fitted network, or what it gives for the rows of X, is not finite or above "
            f"{most:.2g}, too large for {dtype}. X or y may hold values that are very large or "
            "very small: scale them to unit variance (StandardScaler)."
        )


def _peak(rows: Rows, network: Network) -> _Peak:
    """The largest output of a chunk, before the output function if that has bounds."""
    network = network.on(rows.Y)
    with np.errstate(all="ignore"):
        of = network.decision if OUTPUTS[network.output].bounded else network.predict
        outputs = of(rows.X)
    xp = get_namespace(outputs)
    return _Peak(float(xp.max(xp.abs(outputs))))
