"""Moments of three views: groups of columns that are independent given the class of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spectral_nn.additive import Additive
from spectral_nn.data.rows import Rows, by_blocks

__all__ = ["ViewMoments", "ViewSums", "Views", "count_views", "deal_items", "mean_moments"]

View = tuple[tuple[NDArray[np.int64], ...], ...]
"""Compound items, each of them the columns of one item or of more."""


class Views(NamedTuple):
    """Three views of a table.

    A view is a list of compound items: of two items with two categories each it may be one of four,
    which tells more classes apart than the two do.

    Attributes
    ----------
    compounds : tuple of three lists
        Each a tuple of compound items, and these a tuple of columns (ndarray of int) for each item.
    item : ndarray of shape (D,), optional
        The item that each column of a table of indicators belongs to. None for a table of numbers,
        in which nothing is missing, and a view is one compound of one item.
    """

    compounds: tuple[View, View, View]
    item: NDArray[np.int64] | None = None

    @property
    def sizes(self) -> list[list[int]]:
        """Features that stand for each compound item of each view."""
        return [
            [int(np.prod([columns.size for columns in one])) for one in view]
            for view in self.compounds
        ]

    @property
    def places(self) -> list[slice]:
        """Where the features of each view are among those of all."""
        ends = np.cumsum([sum(sizes) for sizes in self.sizes])
        begins = np.concatenate([[0], ends[:-1]])
        return [slice(int(a), int(b)) for a, b in zip(begins, ends, strict=True)]

    def columns(self, view: int) -> NDArray[np.int64]:
        """All columns of a view."""
        return np.concatenate([c for one in self.compounds[view] for c in one])


@dataclass(frozen=True, eq=False)
class ViewSums(Additive):
    """Sums over rows. F features stand for the three views, F_v of them for each.

    Attributes
    ----------
    weight : float
        Of the rows.
    first : ndarray of shape (D,)
        Columns.
    pairs : ndarray of shape (D, F)
        Products of a column and a feature.
    features : ndarray of shape (F, F)
        Products of features.
    triples : ndarray of shape (F_1, F_2, F_3)
        Products of a feature of each view.
    """

    weight: float
    first: NDArray[np.float64]
    pairs: NDArray[np.float64]
    features: NDArray[np.float64]
    triples: NDArray[np.float64]


class ViewMoments(NamedTuple):
    """Expectations; of indicators those of the answers of rows that have answered.

    Attributes
    ----------
    pairs, features, triples : ndarrays
        As of `ViewSums`.
    n_rows : ndarray of shape (3, 3)
        Weight of the rows that a pair of views rests on, the smallest of any of their items.
    """

    pairs: NDArray[np.float64]
    features: NDArray[np.float64]
    triples: NDArray[np.float64]
    n_rows: NDArray[np.float64]


@by_blocks
def count_views(rows: Rows, views: Views) -> ViewSums:
    """Sum products of columns and features over the rows of a chunk.

    Notes
    -----
    O(n F_1 F_2 F_3 + n D F), in products of matrices; one pass, whatever the number of classes.
    """
    x, weight = rows.X, np.asarray(rows.weight, dtype=np.float64)
    each = [_features(x, view) for view in views.compounds]
    together = np.concatenate(each, axis=1)
    weighted = together * weight[:, None]
    a, b, c = each[0], each[1], weighted[:, views.places[2]]
    triples = np.stack([(a[:, i, None] * b).T @ c for i in range(a.shape[1])])
    return ViewSums(
        float(weight.sum()),
        np.asarray(x.T @ weight, dtype=np.float64),
        np.asarray(x.T @ weighted, dtype=np.float64),
        together.T @ weighted,
        triples,
    )


def _features(x: Any, view: View) -> NDArray[np.float64]:
    """Features (n, F_v): products of a column of each item of a compound."""
    found = []
    for items in view:
        whole: Any = np.ones((x.shape[0], 1))
        for columns in items:
            part = x[:, columns]
            part = part.toarray() if sparse.issparse(part) else part
            size = whole.shape[1] * part.shape[1]
            whole = (whole[:, :, None] * part[:, None, :]).reshape(x.shape[0], size)
        found.append(whole)
    return np.concatenate(found, axis=1)


def mean_moments(sums: ViewSums, views: Views) -> ViewMoments:
    """Divide sums by the weight of the rows that they rest on.

    Of indicators that is the weight of the rows that have answered all the items concerned:
    unbiased where answers are missing by chance. Items that nobody has answered together are taken
    to be independent.
    """
    w, places = sums.weight, views.places
    if views.item is None:
        rest = np.full((3, 3), w)
        return ViewMoments(sums.pairs / w, sums.features / w, sums.triples / w, rest)
    compound = np.repeat(np.arange(sum(map(len, views.sizes))), np.concatenate(views.sizes))
    first = _share(sums.first, _over(sums.first, [views.item]), 0.0)
    second = np.diag(sums.features)
    second = _share(second, _over(second, [compound]), 0.0)
    total = _over(sums.features, [compound, compound])
    alone = np.multiply.outer(second, second)
    features = _share(sums.features, total, alone)
    pairs = _share(
        sums.pairs, _over(sums.pairs, [views.item, compound]), np.multiply.outer(first, second)
    )
    expected = np.einsum("i,j,k->ijk", *(second[place] for place in places))
    of_views = [compound[place] for place in places]
    triples = _share(sums.triples, _over(sums.triples, of_views), expected)
    n_rows = np.array([[total[a, b].min() for b in places] for a in places])
    return ViewMoments(pairs, features, triples, n_rows)


def _over(sums: NDArray[np.float64], items: list[NDArray]) -> NDArray[np.float64]:
    """In the place of each entry the sum over the categories of its items, along all axes."""
    for axis, item in enumerate(items):
        begins = np.flatnonzero(np.diff(item, prepend=-1))
        sizes = np.diff(begins, append=item.size)
        sums = np.repeat(np.add.reduceat(sums, begins, axis=axis), sizes, axis=axis)
    return sums


def _share(
    sums: NDArray[np.float64], total: NDArray[np.float64], otherwise: Any
) -> NDArray[np.float64]:
    """Sums over totals; `otherwise` where nothing was counted."""
    return np.where(total > 0, sums / np.where(total > 0, total, 1.0), otherwise)


def deal_items(
    n_categories: tuple[int, ...],
    order: NDArray[np.int64],
    *,
    max_cells: float = 16,
    max_features: int = 48,
) -> Views | None:
    """Deal items to three views, in turn, while there is room.

    Parameters
    ----------
    n_categories : tuple of int
        Of each item; those with one category are left out.
    order : ndarray of int
        Items, the first to be dealt first.
    max_cells : float
        Items of a view are compounded while there are no more combinations of their categories.
    max_features : int
        Of a view.

    Returns
    -------
    Views
        None if there are not three items to deal.
    """
    sizes = np.array(n_categories, dtype=np.int64)
    begins = np.cumsum(sizes) - sizes
    views: list[list[list[int]]] = [[], [], []]
    turn = 0
    for j in order:
        if sizes[j] < 2:
            continue
        view = views[turn % 3]
        cells = [int(np.prod(sizes[one])) for one in view]
        if view and cells[-1] * sizes[j] <= max_cells:
            view[-1].append(int(j))
        elif not view or sum(cells) + sizes[j] <= max_features:
            view.append([int(j)])
        turn += 1
    if not all(views):
        return None
    compounds = [
        tuple(tuple(np.arange(begins[j], begins[j] + sizes[j]) for j in one) for one in view)
        for view in views
    ]
    return Views(
        (compounds[0], compounds[1], compounds[2]), np.repeat(np.arange(sizes.size), sizes)
    )
