"""Directions alone: a supervised dimension reduction."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table, placed
from spectral_nn.models.network.evidence import Evidence, gather
from spectral_nn.models.network.report import NetworkReport
from spectral_nn.models.network.scaling import Scaling, explain_overflow, scale_weights
from spectral_nn.models.network.starts import find_directions, warn_of_doubt, with_figures
from spectral_nn.models.network.stream import StreamMoments, stream_moments, tensors_of_stream
from spectral_nn.moments.frame import ColumnMoments, Frame, column_moments
from spectral_nn.runners.base import Runner
from spectral_nn.tensors.shared_cp import SharedFactors, shared_cp

__all__ = ["Directions", "Stream", "absorb", "directions", "directions_of_stream"]


_WIDE = 12  # dimensions of a stream at the least: the first batch shows the k that count roughly


@dataclass(frozen=True, eq=False)
class Directions:
    """What outputs depend on.

    Attributes
    ----------
    components : (k, d) unit rows, in the space of X.
    mean : (d,)
    singular_values : of the moments.
    report : NetworkReport
    """

    components: NDArray
    mean: NDArray
    singular_values: NDArray
    report: NetworkReport


def directions(
    rows: Table,
    n_components: int,
    *,
    rng: np.random.Generator,
    run: Runner,
    input_model: Any = "auto",
    input_score: Any = None,
) -> Directions:
    """Find the directions that a layer of hidden units would look in.

    Parameters
    ----------
    rows : inputs and outputs, 0 and 1 for classes.
    n_components : k.
    rng : draws the starts of the decomposition.
    run : who computes.
    input_model : "auto", "gaussian", "mixture", "cubic" or a score.
    input_score : score of the laws that the inputs are known to have, in the place of a model.

    Warns
    -----
    RecoveryWarning
        If the directions cannot be expected to be those of units that made the data.

    Notes
    -----
    Seven passes, O(n d^2 + n d K^2 + n K^4 / 8); nothing is iterated on the data.
    """
    rows = scale_weights(rows, run).rows(rows)
    table = placed(rows, run) if isinstance(rows, Rows) else rows
    with explain_overflow():
        evidence = gather(table, n_components, rng, run)
        evidence.warn(table.n_features, law_known=input_score is not None)
        model = input_model if input_score is None else input_score
        factors, moments, kind = find_directions(table, evidence, model, rng, run)
        report = replace(evidence.report(), winner=kind)
        return _to_input_space(factors, moments.frame, evidence, evidence.seen.columns, report)


@dataclass(frozen=True, eq=False)
class Stream:
    """What is kept of rows that came in instalments.

    Attributes
    ----------
    scaling : units of the weights, those of the first instalment.
    evidence : of the first instalment, whose K dimensions all others are seen in.
    columns : of all of them.
    sums : moments of all of them.
    """

    scaling: Scaling
    evidence: Evidence
    columns: ColumnMoments
    sums: StreamMoments


def absorb(
    rows: Table,
    seen: Stream | None,
    n_components: int,
    *,
    rng: np.random.Generator,
    run: Runner,
) -> Stream:
    """Add a batch of rows to what is kept of earlier ones.

    Parameters
    ----------
    rows : Table
        The batch.
    seen : Stream or None
        What earlier calls returned; None for the first batch, which settles the centre, the
        whitening and the K dimensions, so it should be a fair sample of ``5 d k^2`` rows or more.
    n_components : int
        Directions wanted, as in `directions`.
    rng : Generator
        Draws the noise that the spectrum of the first batch is compared with.
    run : Runner
        Who computes.

    Warns
    -----
    RecoveryWarning
        As `directions`, of the first batch.

    Notes
    -----
    One pass over each batch but the first, O(n K^6 / 48) up to twelve dimensions; memory does not
    depend on the number of rows.
    """
    scaling = scale_weights(rows, run)
    if seen is not None:
        scaling = seen.scaling
    rows = scaling.rows(rows)
    with explain_overflow():
        if seen is None:
            wide = max(n_components, _WIDE)
            evidence = gather(rows, n_components, rng, run, n_dimensions=wide)
            evidence.warn(rows.n_features)
            sums = stream_moments(rows, evidence.frame, run)
            return Stream(scaling, evidence, evidence.seen.columns, sums)
        columns = seen.columns + run.total(column_moments, rows.chunks())
        sums = seen.sums + stream_moments(rows, seen.evidence.frame, run)
    if not all(np.isfinite(getattr(sums, field.name)).all() for field in fields(sums)):
        raise ValueError(
            "The moments of X, y and sample_weight are not finite: this batch holds values that "
            "are very large beside those of the first one. Scale them, or begin anew."
        )
    return Stream(scaling, seen.evidence, columns, sums)


def directions_of_stream(seen: Stream, *, rng: np.random.Generator) -> Directions:
    """Decompose what is kept; a function of the sums, so of no order of the batches.

    Notes
    -----
    Rows are centred and whitened by all of them; clipped and projected by the first batch.
    """
    with explain_overflow():
        moments = tensors_of_stream(seen.sums, seen.evidence.frame)
        factors = shared_cp(moments.tensors, seen.evidence.n_units, rng=rng)
        n_effective = moments.noise**-2
        report = replace(seen.evidence.report(), winner="gaussian", n_effective=n_effective)
        warn_of_doubt(factors)
        return _to_input_space(factors, moments.frame, seen.evidence, seen.columns, report)


def _to_input_space(
    factors: SharedFactors,
    frame: Frame,
    evidence: Evidence,
    moments: ColumnMoments,
    report: NetworkReport,
) -> Directions:
    """Directions in the space of X, the one with the largest weights first."""
    columns = evidence.seen.columns.mean.size - evidence.seen.frame.y_mean.size
    components = frame.lines(factors.directions, columns).T
    if not (np.isfinite(components).all() and np.isfinite(evidence.singular_values).all()):
        raise ValueError(
            "The moments of X and y are not finite, or vanish: X or y may hold values that are "
            "very large or very small. Scale them to unit variance (StandardScaler)."
        )
    return Directions(
        components,
        moments.mean[:columns],
        evidence.singular_values,
        with_figures(report, factors),
    )
