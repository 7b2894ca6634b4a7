r"""Score functions of an input density, and sums of responses times scores.

The score function of order m of a density p is

.. math:: S_m(x) = (-1)^m \frac{\nabla^m p(x)}{p(x)}, \qquad
    E[y \otimes S_m(x)] = E[\nabla^m f(x)] \ \text{with}\ f(x) = E[y \mid x].

The identity on the right is Stein's; it turns averages of a response times a score into averages
of derivatives of the regression function (Janzamin, Sedghi and Anandkumar, *Score function
features for discriminative learning: matrix and tensor framework*, arXiv 1412.2863).
For a Gaussian density the scores are the multivariate Hermite polynomials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from spectral_nn.additive import Additive
from spectral_nn.arrays import Array, from_numpy, get_namespace

__all__ = [
    "GaussianMixtureScore",
    "GaussianScore",
    "Score",
    "ScoreMoments",
    "fit_mixture",
    "score_moments",
]

_BLOCK = 1 << 20  # numbers in the largest temporary of a block of rows
_FEWEST_ROWS, _MOST_ROWS = 16, 1 << 14

Triple = tuple[Array, Array, Array]


class Score(Protocol):
    """What a fit asks of a score: any callable of a user will do."""

    def __call__(self, X: Array, theta: Array) -> Triple:
        """Return the scores of rows.

        Parameters
        ----------
        X : array (n, d)
        theta : array (d,)

        Returns
        -------
        S1 : array (n, d)
        S2 : array (n, d, d)
        S3 : array (n, d, d), the third score contracted with theta
        """


@runtime_checkable
class _HasMoments(Protocol):
    def moments(self, X: Array, R: Array, theta: Array) -> Triple: ...


@dataclass(frozen=True, eq=False)
class ScoreMoments(Additive):
    r"""Sums over rows of responses times scores; ``a + b`` sums over both data sets.

    In the shapes, (*o) is () for one response a row and (o,) for several, (*m) is () for one
    direction theta and (m,) for several.

    Attributes
    ----------
    n_rows : rows summed.
    first : array (*o, d), :math:`\sum_i r_i S_1(x_i)`
    second : array (*o, d, d), :math:`\sum_i r_i S_2(x_i)`
    third : array (*o, *m, d, d), :math:`\sum_i r_i S_3(x_i)(I, I, \theta)`
    """

    n_rows: int
    first: Array
    second: Array
    third: Array

    def __add__(self, other: ScoreMoments) -> ScoreMoments:
        """Sums over the rows of both; ValueError when their shapes differ."""
        if tuple(self.third.shape) != tuple(other.third.shape):
            raise ValueError(
                f"sums of shape {tuple(self.third.shape)} cannot be added to sums of shape "
                f"{tuple(other.third.shape)}; both need the same responses and directions."
            )
        return super().__add__(other)

    def mean(self) -> Triple:
        """Return the sums, each divided by the number of rows."""
        return self.first / self.n_rows, self.second / self.n_rows, self.third / self.n_rows


def score_moments(score: Score, X: Array, R: Array, theta: Array) -> ScoreMoments:
    """Sum responses times scores over the rows of a chunk.

    Parameters
    ----------
    score : Score
        Its method ``moments(X, R, theta)`` is used where it has one: then no array of n d² numbers
        is formed.
    X : array (n, d)
    R : array (n,) or (n, o)
        Responses.
    theta : array (d,) or (d, m)
        Directions, one a column, with which the third score is contracted. They need not have
        unit length: the sum is linear in them.

    Raises
    ------
    ValueError
        If shapes do not fit, or the score returns other shapes than it should.

    Notes
    -----
    Cost: O(n d² o m) and the score. Rows pass in blocks, so that memory beyond the data and the
    sums is bounded.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.moments.scores import GaussianScore, score_moments
    >>> X = np.random.default_rng(0).standard_normal((1000, 2))
    >>> score = GaussianScore(np.zeros(2), np.eye(2))
    >>> sums = score_moments(score, X, X[:, 0], np.array([1.0, 0.0]))
    >>> np.round(sums.mean()[0], 1) + 0.0  # the gradient of x_0
    array([1., 0.])
    """
    if X.ndim != 2 or theta.ndim not in (1, 2) or theta.shape[0] != X.shape[1]:
        raise ValueError(
            f"X has shape {tuple(X.shape)} and theta {tuple(theta.shape)}; (n, d) and (d,) or "
            "(d, m) are needed."
        )
    if R.ndim not in (1, 2) or R.shape[0] != X.shape[0] or X.shape[0] == 0:
        raise ValueError(
            f"R has shape {tuple(R.shape)} and X {tuple(X.shape)}: one response a row is needed, "
            "and at least one row."
        )
    fast = isinstance(score, _HasMoments)
    n, d = X.shape
    rows = min(max(_BLOCK // (d if fast else d * d), _FEWEST_ROWS), _MOST_ROWS)
    summed: ScoreMoments | None = None
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        block, responses = X[start:stop, :], R[start:stop, ...]
        sums = (
            score.moments(block, responses, theta)
            if isinstance(score, _HasMoments)
            else _called(score, block, responses, theta)
        )
        part = ScoreMoments(block.shape[0], *sums)
        summed = part if summed is None else summed + part
    assert summed is not None
    return summed


def _called(score: Score, X: Array, R: Array, theta: Array) -> Triple:
    """Sums from the scores of every row, one call a direction."""
    xp = get_namespace(X)
    n, d = X.shape
    first = second = None
    third = []
    for direction in (theta[:, m] for m in range(theta.shape[1])) if theta.ndim == 2 else [theta]:
        scores = score(X, direction)
        found = [tuple(array.shape) for array in scores]
        if found != [(n, d), (n, d, d), (n, d, d)]:
            raise ValueError(
                f"the score returned arrays of shapes {found} for X of shape {(n, d)}; "
                f"{[(n, d), (n, d, d), (n, d, d)]} are needed."
            )
        if first is None:
            first, second = (xp.tensordot(R, S, axes=((0,), (0,))) for S in scores[:2])
        third.append(xp.tensordot(R, scores[2], axes=((0,), (0,))))
    return first, second, xp.stack(third, axis=R.ndim - 1) if theta.ndim == 2 else third[0]


@dataclass(frozen=True, eq=False)
class GaussianScore:
    r"""Scores of a Gaussian density.

    With :math:`P = \Sigma^{-1}` and :math:`g = P(x - \mu)`,

    .. math:: S_1 = g, \quad S_2 = g g^T - P, \quad
        (S_3)_{ijk} = g_i g_j g_k - g_i P_{jk} - g_j P_{ik} - g_k P_{ij}.

    Parameters
    ----------
    mean : ndarray (d,)
    covariance : ndarray (d, d), positive definite

    Raises
    ------
    ValueError
        If shapes do not fit or the covariance is not positive definite.

    See Also
    --------
    GaussianMixtureScore : Scores of a density with several modes.
    MLPRegressor : Takes a score as ``input_model``.
    TensorFeatures : Takes one as well.

    Notes
    -----
    Parameters are kept on the host and follow X to its library, device and precision.

    References
    ----------
    Janzamin, Sedghi, Anandkumar, "Score function features for discriminative learning: matrix and
    tensor framework", arXiv 1412.2863, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_estimators import GaussianScore
    >>> score = GaussianScore(np.zeros(2), np.diag([1.0, 4.0]))
    >>> first, second, third = score(np.array([[1.0, 2.0]]), np.array([1.0, 0.0]))
    >>> first.tolist(), second.tolist()
    ([[1.0, 0.5]], [[[0.0, 0.5], [0.5, 0.0]]])
    >>> third.shape  # contracted with theta
    (1, 2, 2)
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def __post_init__(self) -> None:
        _check_gaussian(self.mean, self.covariance)

    @classmethod
    def fit(cls, X: NDArray[np.floating]) -> GaussianScore:
        """Return the score of the Gaussian that has mean and covariance of a sample.

        Parameters
        ----------
        X : ndarray (n, d)

        Returns
        -------
        GaussianScore

        Raises
        ------
        ValueError
            If the covariance is not positive definite.
        """
        centred = X - X.mean(axis=0)
        return cls(X.mean(axis=0), centred.T @ centred / len(X))

    def __call__(self, X: Array, theta: Array) -> Triple:
        """Return S1 (n, d), S2 (n, d, d) and S3 theta (n, d, d) of rows X (n, d)."""
        D = X - from_numpy(self.mean, like=X)
        return _scores(D, from_numpy(self._precision, like=X), theta)

    def moments(self, X: Array, R: Array, theta: Array) -> Triple:
        """Sum R times the scores over rows by matrix products.

        Parameters
        ----------
        X : array (n, d)
        R : array (n,) or (n, o)
            Responses.
        theta : array (d,) or (d, m)
            Directions that the third score is contracted with.

        Returns
        -------
        first : array (d,) or (o, d)
        second : array (d, d) or (o, d, d)
        third : array (d, d), with an axis (o, ...) in front for (n, o), and (m, ...) for (d, m)
        """
        D = X - from_numpy(self.mean, like=X)
        return _sums(D, from_numpy(self._precision, like=X), R, theta)

    def log_density(self, X: Array) -> Array:
        """Return log p(x) of rows.

        Parameters
        ----------
        X : array (n, d)

        Returns
        -------
        array (n,), nats
        """
        D = X - from_numpy(self.mean, like=X)
        return _log_gaussian(D, from_numpy(self._precision, like=X), self._log_scale)

    @cached_property
    def _precision(self) -> NDArray[np.float64]:
        return _inverse(self.covariance)

    @cached_property
    def _log_scale(self) -> float:
        return _log_scale(self.covariance)


def fit_mixture(X: NDArray, n_components: int, *, reg_covar: float, seed: int) -> Any:
    """Fit scikit-learn's Gaussian mixture to rows on the host.

    Parameters
    ----------
    X : array (n, d)
    n_components : number of Gaussians.
    reg_covar : added to the diagonals of the covariances.
    seed : of its k-means.

    Returns
    -------
    sklearn.mixture.GaussianMixture

    Notes
    -----
    Where array API dispatch is on, it refuses to begin by k-means, even for NumPy arrays.
    """
    from sklearn import config_context
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(n_components, reg_covar=reg_covar, random_state=seed)
    with config_context(array_api_dispatch=False):
        return mixture.fit(X)


@dataclass(frozen=True, eq=False)
class GaussianMixtureScore:
    r"""Scores of a mixture of Gaussians: those of the components, averaged by posteriors.

    .. math:: S_m(x) = \sum_c \frac{\pi_c\, p_c(x)}{p(x)}\, S_m^{(c)}(x)

    since the derivatives of the density are the sums of those of its components.

    Parameters
    ----------
    weights : ndarray (C,), positive, summing to one
    means : ndarray (C, d)
    covariances : ndarray (C, d, d), each positive definite

    Raises
    ------
    ValueError
        If shapes do not fit, weights are no probabilities, or a covariance is not positive
        definite.

    See Also
    --------
    GaussianScore : One component.
    GaussianMixture : Mixtures for their own sake.

    Notes
    -----
    Cost of the sums: C times that of one Gaussian.

    References
    ----------
    Janzamin, Sedghi, Anandkumar, "Score function features for discriminative learning: matrix and
    tensor framework", arXiv 1412.2863, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_estimators import GaussianMixtureScore
    >>> score = GaussianMixtureScore(np.full(2, 0.5), np.array([[-2.0], [2.0]]), np.ones((2, 1, 1)))
    >>> X = np.array([[0.0], [2.0]])
    >>> score.posteriors(X).round(2).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    >>> first, second, third = score(X, np.ones(1))
    >>> first.round(2).tolist()  # next to nothing at a mode, and half way
    [[0.0], [0.0]]
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]

    def __post_init__(self) -> None:
        C = len(self.weights)
        if len(self.means) != C or len(self.covariances) != C or C == 0:
            raise ValueError(
                f"there are {C} weights, {len(self.means)} means and {len(self.covariances)} "
                "covariances; each component needs one of each."
            )
        if not (np.all(self.weights > 0) and math.isclose(float(np.sum(self.weights)), 1.0)):
            raise ValueError(
                f"weights={self.weights} must be positive and sum to one; leave out components "
                "of no weight."
            )
        for mean, covariance in zip(self.means, self.covariances, strict=True):
            _check_gaussian(mean, covariance)

    @classmethod
    def fit(
        cls,
        X: NDArray[np.floating],
        n_components: int = 3,
        *,
        rng: np.random.Generator,
        max_rows: int = 50_000,
        reg_covar: float = 1e-6,
    ) -> GaussianMixtureScore:
        """Fit a mixture with full covariances to a sample.

        Parameters
        ----------
        X : ndarray (n, d)
        n_components : int
            C.
        rng : numpy.random.Generator
            Draws the rows and the start.
        max_rows : int
            Rows to fit on, drawn without replacement when there are more.
        reg_covar : float
            Added to the diagonals of the covariances.

        Returns
        -------
        GaussianMixtureScore

        Raises
        ------
        ValueError
            If there are fewer rows than components.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If EM did not converge.

        Notes
        -----
        By :class:`sklearn.mixture.GaussianMixture`. Every component should hold many times d rows:
        third scores grow with the cube of a precision that is estimated too large.
        """
        if len(X) > max_rows:
            X = X[np.sort(rng.choice(len(X), max_rows, replace=False))]
        seed = int(rng.integers(2**31))
        mixture = fit_mixture(X, n_components, reg_covar=reg_covar, seed=seed)
        kept = mixture.weights_ > 0
        weights = mixture.weights_[kept].astype(np.float64)  # so that they sum to one
        return cls(weights / weights.sum(), mixture.means_[kept], mixture.covariances_[kept])

    def __call__(self, X: Array, theta: Array) -> Triple:
        """Return S1 (n, d), S2 (n, d, d) and S3 theta (n, d, d) of rows X (n, d)."""
        posteriors = self.posteriors(X)
        summed: Triple | None = None
        for c, (D, P) in enumerate(self._components(X)):
            scores = _scores(D, P, theta)
            r = posteriors[:, c]
            part = (
                r[:, None] * scores[0],
                r[:, None, None] * scores[1],
                r[:, None, None] * scores[2],
            )
            summed = _added(summed, part)
        assert summed is not None
        return summed

    def moments(self, X: Array, R: Array, theta: Array) -> Triple:
        """Sum R times the scores over rows by matrix products.

        Parameters
        ----------
        X : array (n, d)
        R : array (n,) or (n, o)
            Responses.
        theta : array (d,) or (d, m)
            Directions that the third score is contracted with.

        Returns
        -------
        first : array (d,) or (o, d)
        second : array (d, d) or (o, d, d)
        third : array (d, d), with an axis (o, ...) in front for (n, o), and (m, ...) for (d, m)
        """
        posteriors = self.posteriors(X)
        summed: Triple | None = None
        for c, (D, P) in enumerate(self._components(X)):
            r = posteriors[:, c]
            summed = _added(summed, _sums(D, P, R * (r if R.ndim == 1 else r[:, None]), theta))
        assert summed is not None
        return summed

    def log_density(self, X: Array) -> Array:
        """Return log p(x) of rows.

        Parameters
        ----------
        X : array (n, d)

        Returns
        -------
        array (n,), nats
        """
        xp = get_namespace(X)
        joint = self._log_joint(X)
        top = xp.max(joint, axis=1)
        return top + xp.log(xp.sum(xp.exp(joint - top[:, None]), axis=1))

    def posteriors(self, X: Array) -> Array:
        """Return the probabilities of the components given rows.

        Parameters
        ----------
        X : array (n, d)

        Returns
        -------
        array (n, C)
        """
        xp = get_namespace(X)
        joint = self._log_joint(X)
        weights = xp.exp(joint - xp.max(joint, axis=1, keepdims=True))
        return weights / xp.sum(weights, axis=1, keepdims=True)

    def _log_joint(self, X: Array) -> Array:
        """Return log(pi_c p_c(x)) (n, C)."""
        columns = [
            _log_gaussian(D, P, log_scale + math.log(weight))
            for (D, P), log_scale, weight in zip(
                self._components(X), self._log_scales, self.weights, strict=True
            )
        ]
        return get_namespace(X).stack(columns, axis=1)

    def _components(self, X: Array) -> list[tuple[Array, Array]]:
        """Rows about the mean, and the precision, of each component."""
        return [
            (X - from_numpy(mean, like=X), from_numpy(precision, like=X))
            for mean, precision in zip(self.means, self._precisions, strict=True)
        ]

    @cached_property
    def _precisions(self) -> list[NDArray[np.float64]]:
        return [_inverse(covariance) for covariance in self.covariances]

    @cached_property
    def _log_scales(self) -> list[float]:
        return [_log_scale(covariance) for covariance in self.covariances]


def _scores(D: Array, P: Array, theta: Array) -> Triple:
    """Gaussian scores of rows D about the mean, with precision P."""
    g = D @ P
    outer = g[:, :, None] * g[:, None, :] - P
    cross = g[:, :, None] * (P @ theta)[None, None, :]
    xp = get_namespace(D)
    third = (g @ theta)[:, None, None] * outer - cross - xp.matrix_transpose(cross)
    return g, outer, third


def _sums(D: Array, P: Array, R: Array, theta: Array) -> Triple:
    """Sums over rows of R times the Gaussian scores, one product of matrices a slice."""
    xp = get_namespace(D)
    g = D @ P
    columns = [R[:, o] for o in range(R.shape[1])] if R.ndim == 2 else [R]
    thetas = [theta[:, m] for m in range(theta.shape[1])] if theta.ndim == 2 else [theta]
    firsts, seconds, thirds = [], [], []
    for r in columns:
        first = r @ g
        firsts.append(first)
        seconds.append((g * r[:, None]).T @ g - xp.sum(r) * P)
        slices = []
        for direction in thetas:
            cross = first[:, None] * (P @ direction)[None, :]
            weighted = (g * (r * (g @ direction))[:, None]).T @ g
            slices.append(weighted - xp.sum(first * direction) * P - cross - cross.T)
        thirds.append(xp.stack(slices) if theta.ndim == 2 else slices[0])
    if R.ndim == 1:
        return firsts[0], seconds[0], thirds[0]
    return xp.stack(firsts), xp.stack(seconds), xp.stack(thirds)


def _added(a: Triple | None, b: Triple) -> Triple:
    return b if a is None else (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _log_gaussian(D: Array, P: Array, log_scale: float) -> Array:
    """Return log_scale - D P D / 2 for rows D."""
    return log_scale - 0.5 * get_namespace(D).sum((D @ P) * D, axis=1)


def _log_scale(covariance: NDArray[np.float64]) -> float:
    """Logarithm of a Gaussian density at its mean."""
    half = float(np.sum(np.log(np.diag(np.linalg.cholesky(covariance)))))
    return -half - 0.5 * len(covariance) * math.log(2 * math.pi)


def _inverse(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of a positive definite matrix, exactly symmetric."""
    inverse = np.linalg.inv(covariance)
    return (inverse + inverse.T) / 2


def _check_gaussian(mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> None:
    """Refuse shapes that do not fit, and covariances without a density."""
    d = len(mean)
    if np.shape(mean) != (d,) or np.shape(covariance) != (d, d):
        raise ValueError(
            f"mean has shape {np.shape(mean)} and covariance {np.shape(covariance)}; (d,) and "
            "(d, d) are needed."
        )
    eigenvalues = np.linalg.eigvalsh(covariance)
    if not eigenvalues[0] > d * np.finfo(np.float64).eps * eigenvalues[-1]:
        raise ValueError(
            f"the covariance has the eigenvalues {eigenvalues[0]:.3g} to {eigenvalues[-1]:.3g}: "
            "without a positive definite one there is no density; drop constant and dependent "
            "columns, or project on the leading principal components."
        )
