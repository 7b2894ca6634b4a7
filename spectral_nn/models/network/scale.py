"""Units that a table is fitted in, a fit in those of the user, and what cannot be carried."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from spectral_nn.arrays import get_namespace, numpy_dtype, to_numpy
from spectral_nn.callbacks import OnStep
from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table
from spectral_nn.models.network.dense import Network
from spectral_nn.models.network.options import NetworkFit, NetworkOptions, SolverState
from spectral_nn.models.network.scaling import Penalty, Scaling
from spectral_nn.moments.extent import Extent, exponents
from spectral_nn.moments.frame import ColumnMoments, column_moments, extent_of
from spectral_nn.runners.base import Runner, total

__all__ = [
    "check_outputs",
    "in_words",
    "scaling_of",
    "told",
    "users_fit",
    "users_notes",
    "weighed",
    "weights_alone",
]

_ORDINARY = 32  # powers of two of inputs and weights
_ORDINARY_TARGETS = 20  # beyond, a first step of length one gains less than a solver's tolerance
_CONSTANT = 16  # rounding errors of a mean
_ROOM = 4  # outputs of this share of the largest number may still be subtracted


def scaling_of(rows: Table, options: NetworkOptions, run: Runner) -> Scaling:
    """Units in which a table can be fitted: one, unless its numbers are far from it.

    Columns of X beyond 2^32 (unless a score of the user's is to see them), and weights beyond
    2^±32, are divided by a power of two.  Targets
    whose deviation or mean is beyond 2^20 are standardised, and so are those whose deviation is
    below 2^-20 if the penalty is small beside their variance.

    Parameters
    ----------
    rows : table.
    options : what to fit, its penalty in the user's units.
    run : who computes.

    Warns
    -----
    ConvergenceWarning
        If the variance of the targets is small beside the penalty.

    Notes
    -----
    One pass, O(n (d + q)); two where targets are far from one.
    """
    seen = extent_of(rows, run)
    # What is small stays as it is: beside a penalty its weights have no say.
    inputs = np.maximum(exponents(seen.inputs, _ORDINARY), 0)
    plain = Scaling(
        np.zeros_like(inputs) if callable(options.input_model) else inputs,
        np.zeros(seen.low.size),
        0,
        _weight_exponent(seen, rows),
    )
    if options.output != "identity":
        return plain
    assert not isinstance(options.alpha, Penalty)
    return _standardised(plain, seen, rows, run, options.alpha)


def weighed(scaling: Scaling, rows: Table, run: Runner) -> Scaling:
    """The same units of inputs and targets, for a table of its own weights."""
    return replace(scaling, weights=_weight_exponent(extent_of(rows, run), rows))


def weights_alone(rows: Table, run: Runner) -> Scaling:
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


def _standardised(plain: Scaling, seen: Extent, rows: Table, run: Runner, alpha: float) -> Scaling:
    """The units with those of the targets, where these are far from one."""
    far = 2.0**_ORDINARY_TARGETS
    low, high = seen.low.astype(np.float64), seen.high.astype(np.float64)
    half = float((high / 2 - low / 2).max())
    if max(high.max(), -low.min()) <= far and (half >= 1 / far or half == 0):
        return plain
    weighted = replace(plain, inputs=np.zeros_like(plain.inputs)).rows(rows)
    columns: ColumnMoments = total(run, _of_targets, weighted.chunks())
    mean, deviation = columns.mean, columns.deviation
    rounding = _CONSTANT * np.finfo(mean.dtype).eps * np.abs(mean)
    deviation = np.where(deviation > rounding, deviation, 0).max(keepdims=True)
    exponent = int(exponents(deviation, _ORDINARY_TARGETS)[0])
    size = float(deviation[0])
    if size == 0:
        exponent = 0
    elif exponent < 0 and np.ldexp(alpha, -plain.weights) > columns.weight * size**2:
        exponent = 0
        warnings.warn(
            f"y has a standard deviation of {size:.3g}, and its squares are small beside the "
            f"penalty alpha={alpha:g}: weights that fit y cost more than they gain. Scale y to "
            "unit variance, or lower alpha.",
            ConvergenceWarning,
            stacklevel=2,
        )
    if exponent == 0 and np.abs(mean).max() <= far:
        return plain
    return replace(plain, shift=mean.astype(np.float64), outputs=exponent)


def _of_targets(rows: Rows) -> ColumnMoments:
    """Moments of the columns of Y alone."""
    return column_moments(rows._replace(X=rows.Y[:, :0]))


@contextmanager
def in_words() -> Iterator[None]:
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


def told(on_step: OnStep | None, scaling: Scaling) -> OnStep | None:
    """A listener that is told losses in the user's units."""
    if on_step is None or not scaling.outputs:
        return on_step

    def tell(stage: str, step: int, value: float) -> None:
        # a decomposition tells its share of variance
        on_step(stage, step, value if stage.startswith("decomposed") else scaling.loss(value))

    return tell


def users_notes(notes: dict[str, Any], scaling: Scaling) -> dict[str, Any]:
    """Diagnostics with losses in the user's units."""
    if not scaling.outputs:
        return notes
    notes = dict(notes)
    if "starts" in notes:
        notes["starts"] = [(kind, scaling.loss(loss)) for kind, loss in notes["starts"]]
    if "repair" in notes:
        notes["repair"] = [
            done | {name: scaling.loss(done[name]) for name in ("grown", "pruned")}
            for done in notes["repair"]
        ]
    return notes


def users_fit(found: NetworkFit, scaling: Scaling) -> NetworkFit:
    """A fit in the user's units."""
    state = found.solver_state
    return replace(
        found,
        network=scaling.outside(found.network),
        loss_curve=[scaling.loss(loss) for loss in found.loss_curve],
        loss=scaling.loss(found.loss),
        diagnostics=users_notes(found.diagnostics, scaling),
        solver_state=None if state is None else SolverState(scaling, state),
    )


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
    if not finite or not total(run, partial(_peak, network=network), rows.chunks()).size <= most:
        raise ValueError(
            f"The fitted network, or what it gives for the rows of X, is not finite or above "
            f"{most:.2g}, too large for {dtype}. X or y may hold values that are very large or "
            "very small: scale them to unit variance (StandardScaler)."
        )


def _peak(rows: Rows, network: Network) -> _Peak:
    """The largest output of a chunk, before the output function."""
    with np.errstate(all="ignore"):
        outputs = network.on(rows.Y).decision(rows.X)
    xp = get_namespace(outputs)
    return _Peak(float(xp.max(xp.abs(outputs))))
