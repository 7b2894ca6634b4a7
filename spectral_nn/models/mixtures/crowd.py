r"""Labels by a crowd: each worker has a matrix of confusion, and tasks have one true label.

A latent-class model whose items are workers and whose classes are the labels,

.. math:: P(x_t) = \sum_k \pi_k \prod_{w \text{ labelled } t} c_{w, k, x_{tw}}.

Dawid and Skene, *Maximum likelihood estimation of observer error-rates using the EM algorithm*,
Applied Statistics 28 (1979).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from spectral_nn.data.rows import Rows
from spectral_nn.emissions.categorical_items import CategoricalItems
from spectral_nn.models.base import Fit, OnStep, Options, Start, silent
from spectral_nn.models.fit import finish, maximise_likelihood
from spectral_nn.models.mixtures.item_starts import ItemRows, tensor_start
from spectral_nn.models.mixtures.items import ItemsModel
from spectral_nn.models.mixtures.model import MixtureParameters, MixtureStatistics
from spectral_nn.models.mixtures.report import ClassesReport
from spectral_nn.models.mixtures.together import posteriors
from spectral_nn.runners.base import Runner

__all__ = ["CrowdOptions", "count_votes", "fit_crowd", "infer_labels", "lay_out_labels"]


@dataclass(frozen=True, eq=False)
class CrowdOptions(Options):
    """Settings of a fit.

    Attributes
    ----------
    n_labels : int
        L.
    init : {"majority", "tensor"}
    n_iter : int
        Most EM steps; 0 for the start alone.
    tol : float
        EM stops when a step gains less, nats a task.
    prior : float
        Pseudo-counts of each entry of a matrix of confusion, ``alpha - 1``.
    concentration : float
        Dirichlet concentration of the shares of the labels.
    """

    n_labels: int
    init: str = "majority"
    n_iter: int = 1000
    tol: float = 1e-8
    prior: float = 0.0
    concentration: float = 1.0


def lay_out_labels(
    task: NDArray[np.int64],
    worker: NDArray[np.int64],
    label: NDArray[np.int64],
    shape: tuple[int, int, int],
) -> Any:
    """Indicators of labels, a CSR array (n_tasks, n_workers L).

    Parameters
    ----------
    task, worker, label : ndarrays of shape (n,)
        Codes of each label that was given.
    shape : tuple of int
        (n_tasks, n_workers, L).
    """
    n_tasks, n_workers, L = shape
    entries = (np.ones(task.size), (task, worker * L + label))
    return sparse.csr_array(entries, shape=(n_tasks, n_workers * L))


def count_votes(x: Any, n_labels: int) -> NDArray[np.float64]:
    """How many workers gave each label to each task, (n_tasks, L)."""
    L = n_labels
    n_entries = x.shape[1]
    by_label = sparse.csr_array(
        (np.ones(n_entries), (np.arange(n_entries), np.arange(n_entries) % L)), (n_entries, L)
    )
    return (x @ by_label).toarray()


def fit_crowd(
    x: Any,
    options: CrowdOptions,
    *,
    rng: np.random.Generator,
    run: Runner,
    on_step: OnStep = silent,
) -> Fit[MixtureParameters]:
    """Fit matrices of confusion and shares of the labels.

    Parameters
    ----------
    x : CSR array of shape (n_tasks, n_workers L)
        See `lay_out_labels`.
    options : CrowdOptions
    rng : Generator
        Draws what a start from moments needs.
    run : Runner
        Who computes.
    on_step : callable
        Told (stage, step, objective).

    Returns
    -------
    Fit
        The classes are the labels, in their order.

    Notes
    -----
    4 L flops for each label that was given and EM step, in products of sparse matrices.
    """
    L = options.n_labels
    model = ItemsModel(options.prior if options.prior else None, options.concentration)
    table = Rows.of(x)
    chunks = run.place(table.chunks(run.chunk_rows))
    pooled = CategoricalItems.pooled(x, 1, (L,) * (x.shape[1] // L))
    start = _majority_start(model, x, pooled, L)
    report = ClassesReport()
    if options.init == "tensor":
        made = tensor_start(ItemRows(chunks, table, pooled, run), L, rng)
        if made is not None:
            start, evidence = made
            report = ClassesReport(moments=(evidence.report(),))
    result = maximise_likelihood(
        model,
        start.parameters,
        lambda parameters: run.total(partial(model.statistic, parameters), chunks),
        n_iter=options.n_iter,
        tol=options.tol * table.n_rows,
        on_step=on_step,
    )
    if start.kind == "tensor":
        result = replace(result, parameters=_name_classes(result.parameters, x, L))
    return finish(result, [start], report)


def infer_labels(parameters: MixtureParameters, x: Any) -> NDArray[np.float64]:
    """Probabilities (n_tasks, L) of the true labels."""
    return posteriors(parameters, Rows.of(x))[0]


def _majority_start(
    model: ItemsModel, x: Any, pooled: CategoricalItems, L: int
) -> Start[MixtureParameters]:
    """M-step of the shares of the votes."""
    votes = count_votes(x, L)
    total = votes.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, votes / np.maximum(total, 1.0), votes.sum(axis=0) / votes.sum())
    flat = CategoricalItems(np.repeat(pooled.probs, L, axis=0), pooled.n_categories)
    sums = MixtureStatistics(shares.sum(axis=0), flat.gather(x, shares), 0.0)
    return Start("majority", model.maximise(sums, MixtureParameters(np.full(L, 1 / L), flat)))


def _name_classes(parameters: MixtureParameters, x: Any, L: int) -> MixtureParameters:
    """The same classes in the order of the labels that most of their votes are for.

    To be done after EM, which may make another class of one that a start shows.
    """
    agreed = infer_labels(parameters, x).T @ count_votes(x, L)
    classes, labels = linear_sum_assignment(-agreed)
    order = classes[np.argsort(labels)]
    law: Any = parameters.emission
    named = CategoricalItems(law.probs[order], law.n_categories)
    return MixtureParameters(parameters.weights[order], named)
