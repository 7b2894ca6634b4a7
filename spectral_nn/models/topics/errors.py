r"""Standard errors of the topics that moments show, by a delete-a-group jackknife.

Documents are cut into G groups. Moments are sums over documents, so those of all documents but a
group's are the total less the group's, and the documents are not read again. Topics
:math:`\mu_{(g)}` of these moments say how much topics hang on the documents:

.. math:: \mathrm{se}^2 = \frac{G - 1}{G} \sum_g (\mu_{(g)} - \bar \mu)^2

(Shao, Tu, *The Jackknife and Bootstrap*, Springer 1995, section 2.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce
from operator import add

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from spectral_nn.additive import Grouped
from spectral_nn.data.rows import Rows
from spectral_nn.data.table import Table
from spectral_nn.models.topics.spectral import find_topics
from spectral_nn.models.uncertainty import jackknife_errors, student_half
from spectral_nn.moments.document_pairs import find_basis
from spectral_nn.moments.documents import DocumentSums, count_triples, normalise
from spectral_nn.results import RankError
from spectral_nn.runners.base import Runner

__all__ = ["TopicErrors", "topic_errors"]


@dataclass(frozen=True, eq=False)
class TopicErrors:
    """Standard errors of topics.

    Attributes
    ----------
    topics : ndarray of shape (K, V)
        Probabilities of words that moments alone show, in the order of the fitted topics.
    errors : ndarray of shape (K, V)
        Their standard errors.
    n_groups : int
        Of documents.
    """

    topics: NDArray[np.float64]
    errors: NDArray[np.float64]
    n_groups: int

    def intervals(self, level: float = 0.95) -> NDArray[np.float64]:
        """Confidence intervals, each for one probability by itself.

        Parameters
        ----------
        level : float
            Probability that an interval covers, between 0 and 1.

        Returns
        -------
        ndarray of shape (2, K, V)
            Lower and upper ends, within 0 and 1: by Student's t with G - 1 degrees of freedom.

        Raises
        ------
        ValueError
            If ``level`` is not between 0 and 1.
        """
        half = student_half(self.errors, level, self.n_groups)
        return np.clip(np.stack([self.topics - half, self.topics + half]), 0.0, 1.0)


def topic_errors(
    table: Table,
    topics: NDArray[np.float64],
    alpha0: float,
    *,
    n_groups: int,
    run: Runner,
    rng: np.random.Generator,
) -> TopicErrors:
    """Standard errors of topics that were found in these documents.

    Parameters
    ----------
    table : Rows or ChunkedRows
        The documents of the fit.
    topics : ndarray of shape (K, V)
        The fitted topics, which order the moments'.
    alpha0 : float
        See `spectral_nn.models.topics.spectral.find_topics`.
    n_groups : int
        G; the g-th document of each G of a chunk belongs to group g.
    run : Runner
        Who computes.
    rng : Generator
        Draws the directions that moments begin with.

    Returns
    -------
    TopicErrors

    Raises
    ------
    RankError
        If the moments, or those without a group, do not carry as many topics.

    Notes
    -----
    The passes of moments and ``G + 1`` decompositions; memory ``G (16 V (K + 20) + 4 (K + 20)^3)``
    bytes.
    """
    basis = find_basis(table, len(topics), run, rng=rng)
    statistic = partial(_count_groups, basis=basis, n_groups=n_groups)
    groups: tuple[DocumentSums, ...] = run.total(statistic, table.chunks()).groups
    total = reduce(add, groups)
    whole = _find(total, basis, alpha0, topics)
    without = np.stack([_find(total + (-1.0) * group, basis, alpha0, whole) for group in groups])
    return TopicErrors(whole, jackknife_errors(without), n_groups)


def _count_groups(chunk: Rows, basis: NDArray, n_groups: int) -> Grouped[DocumentSums]:
    """Sums of the documents of each group in a chunk."""
    places = np.arange(chunk.n_rows)
    return Grouped(
        tuple(count_triples(chunk.take(places[g::n_groups]), basis) for g in range(n_groups))
    )


def _find(
    sums: DocumentSums, basis: NDArray, alpha0: float, topics: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Topics of some moments, in the order of others."""
    found = find_topics(normalise(sums, basis), len(topics), alpha0)
    if len(found.topics) < len(topics):
        raise RankError(
            f"the moments of X carry {found.workable} topics, not {len(topics)}: topics have "
            "standard errors only where moments show all of them. Fit fewer n_components."
        )
    distance = np.abs(topics[:, None] - found.topics).sum(axis=2)
    return found.topics[linear_sum_assignment(distance)[1]]
