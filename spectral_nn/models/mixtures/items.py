"""The fit of a latent-class model: rows of categorical items that are independent in each class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data.rows import Rows
from spectral_nn.emissions.categorical_items import CategoricalItems, indicators
from spectral_nn.emissions.simplex import restore_rows
from spectral_nn.models.base import Fit, OnStep, Options, Start, silent
from spectral_nn.models.fit import complete, finish, maximise_likelihood
from spectral_nn.models.mixtures.item_starts import (
    Evidence,
    ItemRows,
    moments_alone,
    random_start,
    tensor_start,
)
from spectral_nn.models.mixtures.model import MixtureModel, MixtureParameters, MixtureStatistics
from spectral_nn.models.mixtures.report import ClassesReport
from spectral_nn.models.mixtures.together import advance_together, expect_together, posteriors
from spectral_nn.results import RankWarning, RecoveryWarning
from spectral_nn.runners.base import Runner
from spectral_nn.trainers.halving import Round, successive_halving
from spectral_nn.warn import warn

__all__ = ["ItemsModel", "ItemsOptions", "distinct_rows", "fit_items", "infer_classes", "lay_out"]

N_STARTS = 48
_N_TENSOR = 6  # of them, each from another deal of the items
_RACE = ((48, 15), (20, 25), (8, 60))  # starts, EM steps each
_RACE_ROWS = 2**13
_N_VIEWS = 3  # that identify classes
_MAX_COLUMNS = 512  # of indicators that are not kept as a sparse matrix


class ItemsModel(MixtureModel):
    """The `MixtureModel` of indicators, dense or CSR."""

    def statistic(self, parameters: MixtureParameters, chunk: Rows) -> MixtureStatistics:
        """E-step of a chunk: rows count by their weight."""
        found = expect_together(chunk, parameters.weights[:, None], parameters.emission)
        return MixtureStatistics(found.counts[:, 0], found.sums, float(found.log_likelihood[0]))


@dataclass(frozen=True, eq=False)
class ItemsOptions(Options):
    """Settings of a fit.

    Attributes
    ----------
    n_components : int
        K.
    init : {"tensor", "random"}
        Where starts come from; "tensor" includes random ones, for a race.
    n_init : int
        Starts.
    n_iter : int
        Most EM steps on all data; 0 for the start alone.
    tol : float
        EM stops when a step gains less, nats a row.
    prior : float
        Pseudo-counts of each answer in each class, ``alpha - 1``.
    concentration : float
        Dirichlet concentration of the weights.
    """

    n_components: int
    init: str = "tensor"
    n_init: int = N_STARTS
    n_iter: int = 1000
    tol: float = 1e-9
    prior: float = 0.0
    concentration: float = 1.0

    @property
    def model(self) -> ItemsModel:
        """What is fitted."""
        return ItemsModel(self.prior if self.prior else None, self.concentration)


def fit_items(
    codes: NDArray[np.float64],
    weight: NDArray[np.float64],
    n_categories: tuple[int, ...],
    options: ItemsOptions,
    *,
    rng: np.random.Generator,
    run: Runner,
    on_step: OnStep = silent,
) -> Fit[MixtureParameters]:
    """Fit classes to answers: race starts on some rows, then EM on all from the winner.

    Parameters
    ----------
    codes : ndarray of shape (n, p)
        0 to ``n_categories[j] - 1``, or NaN.
    weight : ndarray of shape (n,)
        Positive.
    n_categories : tuple of int
        Of each item.
    options : ItemsOptions
    rng : Generator
        Draws the starts.
    run : Runner
        Who computes.
    on_step : callable
        Told (stage, step, objective).

    Returns
    -------
    Fit
        Its report is a ClassesReport.

    Raises
    ------
    RankError
        If moments alone are asked for, and do not carry K classes.

    Warns
    -----
    RankWarning
        If there are no other starts than moments, and they show fewer than K classes.
    RecoveryWarning
        If fewer than three items have two categories or more.

    Notes
    -----
    Equal rows are one row that weighs more: 4 U K D flops a start and EM step for U distinct rows
    of D categories, in products of matrices, which all starts of a round share.
    """
    codes, weight = distinct_rows(codes, weight, n_categories)
    table = Rows.of(lay_out(codes, n_categories), weight=weight)
    chunks = run.place(table.chunks(run.chunk_rows))
    pooled = _pooled(table, n_categories)
    rows = ItemRows(chunks, table.sample(_RACE_ROWS), pooled, run)
    starts, evidence = _make_starts(rows, options, rng)
    _warn_of_few_items(options.n_components, n_categories)
    shown = tuple(one.report() for one in evidence or ())
    report = ClassesReport(n_distinct_rows=table.n_rows, moments=shown)
    if options.n_iter == 0:
        return _only_start(options.model, starts[0], chunks, run, report)
    if len(starts) > 1:
        starts = _race(starts, rows, options, on_step)
    result = maximise_likelihood(
        options.model,
        starts[0].parameters,
        lambda parameters: run.total(partial(options.model.statistic, parameters), chunks),
        n_iter=options.n_iter,
        tol=options.tol * table.total_weight,
        on_step=on_step,
    )
    winner = replace(starts[0], likelihood=result.history[-1])
    return finish(result, [winner, *starts[1:]], report)


def _make_starts(
    rows: ItemRows, options: ItemsOptions, rng: np.random.Generator
) -> tuple[list[Start[MixtureParameters]], list[Evidence]]:
    """Starts of the kind that is asked for, those from moments first, and what moments said."""
    K = options.n_components
    if K == 1:
        return [Start("given", MixtureParameters(np.ones(1), rows.pooled))], []
    if options.init == "random":
        return [random_start(rows, K, rng) for _ in range(options.n_init)], []
    if options.n_iter == 0:
        start, evidence = moments_alone(rows, K, rng)
        _warn_of_rank(K, [evidence])
        return [start], [evidence]
    n_tensor = -(-options.n_init * _N_TENSOR // N_STARTS)
    made = [tensor_start(rows, K, rng) for _ in range(n_tensor)]
    found = [one for one in made if one is not None]
    n_random = max(options.n_init - len(found), 0)
    others = [random_start(rows, K, rng) for _ in range(n_random)]
    if not others:
        _warn_of_rank(K, [evidence for _, evidence in found])
    return [start for start, _ in found] + others, [evidence for _, evidence in found]


def _warn_of_few_items(K: int, n_categories: tuple[int, ...]) -> None:
    """Warn where there are no three views, whatever the number of rows."""
    n_items = sum(n > 1 for n in n_categories)
    if K > 1 and n_items < _N_VIEWS:
        warn(
            f"X has {n_items} columns of two categories or more, and n_components={K}: fewer than "
            f"{_N_VIEWS} of them do not say what the classes are, as other classes explain X as "
            "well. Add columns, or use n_components=1.",
            RecoveryWarning,
        )


def _warn_of_rank(K: int, evidence: list[Evidence]) -> None:
    """Warn where moments show fewer classes than are asked for, with the figures."""
    best = max((one.spectrum for one in evidence), key=lambda one: one.rank)
    if best.rank < K:
        values = np.array2string(best.correlations[:K], precision=3, separator=", ")
        warn(
            f"The moments show {best.rank} classes, and n_components={K}: canonical correlations "
            f"between views of the items are {values}, and chance reaches {best.floor:.3g}. Use "
            f"n_components={best.rank}, more rows, or the default n_init.",
            RankWarning,
        )


def _race(
    starts: list[Start[MixtureParameters]],
    rows: ItemRows,
    options: ItemsOptions,
    on_step: OnStep,
) -> list[Start[MixtureParameters]]:
    """Successive halving in single precision, on some rows; the winner first."""
    some = rows.some
    X = some.X.astype(np.float32)
    chunks = rows.run.place(Rows.of(X, weight=some.weight).chunks(rows.run.chunk_rows))
    share = len(starts) / _RACE[0][0]
    rounds = [
        Round(max(2, round(share * n)), min(steps, options.n_iter), some.n_rows)
        for n, steps in _RACE
    ]

    def compete(starts: list[Start[MixtureParameters]], one: Round) -> Any:
        moved = advance_together(options.model, starts, chunks, n_iter=one.n_steps, run=rows.run)
        for i, (start, value, _) in enumerate(moved):
            on_step(f"race, {start.kind} start", i, value)
        return moved

    ranked = successive_halving(starts, rounds, compete)
    return [replace(ranked[0], parameters=_restored(ranked[0].parameters)), *ranked[1:]]


def _pooled(table: Rows, n_categories: tuple[int, ...]) -> CategoricalItems:
    """The law of all rows together, in one class; what they lack is not impossible."""
    flat = CategoricalItems.pooled(table.X[:0], 1, n_categories)
    return flat.maximise(flat.gather(table.X, table.weight[:, None])).restore()


def _restored(parameters: MixtureParameters) -> MixtureParameters:
    """Nothing is impossible: what was so on some rows need not be on others."""
    law: Any = parameters.emission
    return MixtureParameters(restore_rows(None, parameters.weights), law.restore())


def _only_start(
    model: ItemsModel,
    start: Start[MixtureParameters],
    chunks: Any,
    run: Runner,
    report: ClassesReport,
) -> Fit[MixtureParameters]:
    """A fit without EM: the start, and its objective."""
    found = run.total(partial(model.statistic, start.parameters), chunks)
    value = found.log_likelihood + model.log_prior(start.parameters)
    return complete(
        Fit(start.parameters, [value], False, report), [replace(start, likelihood=value)]
    )


def infer_classes(
    parameters: MixtureParameters, codes: NDArray[np.float64], run: Runner
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Posteriors (n, K) of the classes of rows of codes, and log-likelihoods (n,), nats."""
    law: Any = parameters.emission
    table = Rows.of(lay_out(codes, law.n_categories))
    found = list(run.map(partial(posteriors, parameters), table.chunks(run.chunk_rows)))
    return np.concatenate([p for p, _ in found]), np.concatenate([v for _, v in found])


def lay_out(codes: NDArray[np.float64], n_categories: tuple[int, ...]) -> Any:
    """Indicators of codes: dense, or as a CSR matrix where they would be mostly zeros."""
    return indicators(codes, n_categories, csr=sum(n_categories) > _MAX_COLUMNS)


def distinct_rows(
    codes: NDArray[np.float64], weight: NDArray[np.float64], n_categories: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows that differ, in an order of their own, and the weight of all that are equal to each.

    Notes
    -----
    O(n p + n log n): a row is a number in mixed radix, renumbered before it overflows.
    """
    key = np.zeros(codes.shape[0], dtype=np.int64)
    size = 1
    for column, n in zip(np.nan_to_num(codes, nan=-1.0).T, n_categories, strict=True):
        if size * (n + 1) >= 2**62:
            values, key = np.unique(key, return_inverse=True)
            size = values.size
        key = key * (n + 1) + (column.astype(np.int64) + 1)
        size *= n + 1
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    return codes[first], np.asarray(np.bincount(place, weights=weight), dtype=np.float64)
