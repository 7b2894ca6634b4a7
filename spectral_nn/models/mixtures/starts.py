"""Starts of a Gaussian mixture: whose row is whose, then an M-step; or moments alone.

* ``tensor``: moments of all rows, decomposed (`spectral_nn.models.mixtures.spectral`, or
  `view_starts`);
* ``kmeans``: clusters of rows; ``quick``: the same, with few steps; ``scaled``: in columns of
  variance one;
* ``k-means++``, ``random_from_data``: far and random rows as means; ``random``: random posteriors.

Those of scikit-learn's names are scikit-learn's, draw by draw.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.blas import one_openmp_thread
from spectral_nn.data.rows import Rows
from spectral_nn.models.base import Start
from spectral_nn.models.mixtures.gaussian import GaussianMixtureModel
from spectral_nn.models.mixtures.model import MixtureParameters, MixtureStatistics
from spectral_nn.models.mixtures.options import MixtureOptions

__all__ = ["MAKERS", "Frame", "given_start", "m_step", "make_start", "with_fixed"]

_FEW = 10  # steps of k-means where EM goes on


@dataclass(frozen=True, eq=False)
class Frame:
    """Rows that starts are made from.

    Attributes
    ----------
    rows : Rows
        NaN where missing.
    law : RowEmission
        Of all rows together, in each of K components.
    """

    rows: Rows
    law: Any

    @classmethod
    def of(cls, rows: Rows, options: MixtureOptions) -> Frame:
        """Look at some rows."""
        rows = rows._replace(X=np.asarray(rows.X, dtype=np.float64))
        return cls(rows, options.pooled(rows.X))

    @property
    def complete(self) -> NDArray[np.float64]:
        """Rows (n, p), with means of columns where entries are missing."""
        missing = np.isnan(self.rows.X)
        return np.where(missing, self.law.means[0], self.rows.X) if missing.any() else self.rows.X


Maker = Callable[[Frame, int, np.random.RandomState], NDArray[np.float64]]
"""From rows, K and draws to how much of each row belongs to each component, (n, K)."""


def make_start(
    kind: str, frame: Frame, model: GaussianMixtureModel, rng: np.random.RandomState
) -> Start[MixtureParameters]:
    """Make a start of a kind other than "tensor".

    Parameters
    ----------
    kind : str
        A key of `MAKERS`.
    frame : Frame
    model : GaussianMixtureModel
    rng : RandomState
        Whose draws k-means takes.

    Raises
    ------
    DegenerateError
        If rows of a component do not vary and nothing is added to their variance.
    """
    mass = MAKERS[kind](frame, frame.law.n_components, rng)
    return Start(kind, m_step(frame, mass, model))


def given_start(
    frame: Frame, means: NDArray[np.float64], model: GaussianMixtureModel
) -> Start[MixtureParameters]:
    """The start that means (K, p) suggest: each row belongs to the nearest, in scaled columns."""
    scale = np.sqrt(frame.law.variances[0])
    return Start("given", m_step(frame, _nearest(frame.complete / scale, means / scale), model))


def with_fixed(parameters: MixtureParameters, fixed: dict[str, Any]) -> MixtureParameters:
    """Parameters in which some of weights, means and covariances are those given."""
    law: Any = parameters.emission
    names = {name: fixed[name] for name in ("means", "covariances") if name in fixed}
    weights = fixed.get("weights", parameters.weights)
    return MixtureParameters(weights, replace(law, **names) if names else law)


def m_step(
    frame: Frame, mass: NDArray[np.float64], model: GaussianMixtureModel
) -> MixtureParameters:
    """Parameters that posteriors (n, K) of rows lead to."""
    mass = mass * np.asarray(frame.rows.weight, dtype=np.float64)[:, None]
    sums = frame.law.gather(frame.rows.X, mass)
    K = mass.shape[1]
    before = MixtureParameters(np.full(K, 1 / K), frame.law)
    return model.maximise(MixtureStatistics(mass.sum(axis=0), sums, 0.0), before)


def _clusters(
    z: NDArray[np.float64], frame: Frame, K: int, rng: np.random.RandomState, **how: Any
) -> NDArray[np.float64]:
    """Labels of k-means on some features of rows."""
    from sklearn import config_context
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    checked = {"assume_finite": True, "skip_parameter_validation": True}
    with warnings.catch_warnings(), config_context(**checked):
        # Of rows of which fewer than K differ.
        warnings.simplefilter("ignore", ConvergenceWarning)
        means = KMeans(K, n_init=1, random_state=rng, **how)
        with one_openmp_thread():
            means.fit(z, sample_weight=_uneven(frame))
    return np.eye(K)[means.labels_]


def _uneven(frame: Frame) -> NDArray[np.float64] | None:
    """Weights of rows, None where all are the same."""
    weight = np.asarray(frame.rows.weight, dtype=np.float64)
    return None if (weight == weight[0]).all() else weight


def _kmeans(frame: Frame, K: int, rng: np.random.RandomState) -> NDArray[np.float64]:
    return _clusters(frame.complete, frame, K, rng)


def _quick(frame: Frame, K: int, rng: np.random.RandomState) -> NDArray[np.float64]:
    return _clusters(frame.complete, frame, K, rng, max_iter=_FEW)


def _scaled(frame: Frame, K: int, rng: np.random.RandomState) -> NDArray[np.float64]:
    z = frame.complete / np.sqrt(frame.law.variances[0])
    return _clusters(z, frame, K, rng, max_iter=_FEW)


def _far_rows(frame: Frame, K: int, rng: np.random.RandomState) -> NDArray[np.float64]:
    from sklearn.cluster import kmeans_plusplus

    _, index = kmeans_plusplus(frame.complete, K, random_state=rng, sample_weight=_uneven(frame))
    return _only(frame, index)


def _random_rows(frame: Frame, K: int, rng: np.random.RandomState) -> NDArray[np.float64]:
    return _only(frame, rng.choice(frame.rows.n_rows, size=K, replace=False))


def _random(frame: Frame, K: int, rng: np.random.RandomState) -> NDArray[np.float64]:
    mass = rng.uniform(size=(frame.rows.n_rows, K))
    return mass / mass.sum(axis=1, keepdims=True)


def _one(frame: Frame, K: int, rng: np.random.RandomState) -> NDArray[np.float64]:
    return np.ones((frame.rows.n_rows, 1))


def _only(frame: Frame, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """One row in each component."""
    mass = np.zeros((frame.rows.n_rows, index.size))
    mass[index, np.arange(index.size)] = 1.0
    return mass


def _nearest(z: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    distance = (centres**2).sum(axis=1) - 2 * z @ centres.T
    return np.eye(len(centres))[distance.argmin(axis=1)]


MAKERS: dict[str, Maker] = {
    "one": _one,
    "kmeans": _kmeans,
    "quick": _quick,
    "scaled": _scaled,
    "k-means++": _far_rows,
    "random": _random,
    "random_from_data": _random_rows,
}
"""What makes a start of each kind."""
