"""What the outputs of a fitted network depend on: Sobol' indices and active subspaces."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from spectral_nn.arrays import to_numpy
from spectral_nn.models.network.sensitivity import (
    ActiveSubspace,
    SobolIndices,
    active_subspace,
    sobol_indices,
)

__all__ = ["SensitivityMixin"]

_ROUNDING = 1e-10  # of the largest eigenvalue of a covariance


class SensitivityMixin:
    """Closed forms for a fitted network with one hidden layer."""

    coefs_: list[Any]
    intercepts_: list[Any]
    activation: str

    def sobol_indices(
        self,
        mean: ArrayLike = 0.0,
        variance: ArrayLike = 1.0,
        *,
        groups: Sequence[Sequence[int]] | None = None,
    ) -> SobolIndices:
        r"""Sobol' indices: how much of the output's variance each column of X is behind.

        In closed form for independent Gaussian columns. The output is that before
        ``out_activation_``: the decision function of a classifier, and with ``loss="poisson"`` what
        the rate is a function of.

        Parameters
        ----------
        mean, variance : float or array-like of shape (d,), default=0.0, 1.0
            Of the columns: those of the experiment's design, or ``X.mean(axis=0)`` and
            ``X.var(axis=0)``. The fit keeps neither.
        groups : sequence of sequences of int, optional
            Columns of each group, to have indices of groups. Default: of each column.

        Returns
        -------
        SobolIndices
            ``first`` and ``total``, one row an output and one column a group; ``variance`` of
            the outputs; ``remainder``, a bound on the error, which is 0 but for very steep units.

        Raises
        ------
        ValueError
            If the network has not exactly one hidden layer, or an argument does not fit X.

        See Also
        --------
        active_subspace : Along which directions the output varies.
        scipy.stats.sobol_indices : By simulation, for any function and independent inputs.

        Notes
        -----
        O(d k²), some milliseconds; `spectral_nn.models.network.sensitivity` has the equations.
        What columns do to the *network*, which may have learned less than y holds.

        Examples
        --------
        >>> import numpy as np
        >>> from spectral_estimators import MLPRegressor
        >>> X = np.random.default_rng(0).standard_normal((2000, 3))
        >>> net = MLPRegressor(activation="square", init="random", random_state=0)
        >>> net.fit(X, X[:, 0] * X[:, 1]).sobol_indices().total.round(2).tolist()
        [[1.0, 1.0, 0.0]]
        """
        coefs, intercepts = self._one_hidden_layer("sobol_indices")
        d = coefs[0].shape[0]
        if groups is not None:
            groups = [_check_group(group, d) for group in groups]
        return sobol_indices(
            coefs,
            intercepts,
            self.activation,
            mean=_numbers("mean", mean, d),
            variance=_variances("variance", variance, d),
            groups=groups,
        )

    def active_subspace(self, mean: ArrayLike = 0.0, covariance: ArrayLike = 1.0) -> ActiveSubspace:
        r"""Directions along which the output varies most, in closed form for Gaussian inputs.

        They are the eigenvectors of :math:`E[g g^T]`, with the gradient g of the output, before
        ``out_activation_``, by columns in units of their standard deviations.

        Parameters
        ----------
        mean : float or array-like of shape (d,), default=0.0
            Of the columns of X.
        covariance : float or array-like of shape (d,) or (d, d), default=1.0
            Variances of independent columns, or their covariance, such as ``np.cov(X.T)``.

        Returns
        -------
        ActiveSubspace
            ``eigenvalues`` (q, r), ``directions`` (q, d, r) and ``matrix`` (q, d, d), one row an
            output; a row x of X is at ``(x - mean) / deviation @ directions[0]``.

        Raises
        ------
        ValueError
            If the network has not exactly one hidden layer, or an argument does not fit X.

        See Also
        --------
        sobol_indices : Which columns the output depends on.
        ActiveSubspaceDisplay : The output against the first directions.

        Notes
        -----
        O(d k² + k³ q).

        Examples
        --------
        >>> import numpy as np
        >>> from spectral_estimators import MLPRegressor
        >>> X = np.random.default_rng(0).standard_normal((2000, 2))
        >>> net = MLPRegressor(activation="tanh", init="random", tol=1e-3, random_state=0)
        >>> found = net.fit(X, np.tanh(X[:, 0] + X[:, 1])).active_subspace()
        >>> np.abs(found.directions[0, :, 0]).round(1).tolist()
        [0.7, 0.7]
        """
        coefs, intercepts = self._one_hidden_layer("active_subspace")
        d = coefs[0].shape[0]
        given = np.asarray(covariance, np.float64)
        return active_subspace(
            coefs,
            intercepts,
            self.activation,
            mean=_numbers("mean", mean, d),
            covariance=_check_covariance(given, d)
            if given.ndim == 2
            else _variances("covariance", given, d),
        )

    def _one_hidden_layer(self, method: str) -> tuple[list[NDArray], list[NDArray]]:
        """Coefs and intercepts on the host; ValueError for another depth."""
        check_is_fitted(self)
        depth = len(self.coefs_) - 1
        if depth != 1:
            raise ValueError(
                f"{method} is a closed form for networks with one hidden layer, and this one has "
                f"{depth}. Fit with hidden_layer_sizes=(k,), or simulate with predict "
                "(scipy.stats.sobol_indices)."
            )
        return [to_numpy(coef) for coef in self.coefs_], [to_numpy(b) for b in self.intercepts_]


def _numbers(name: str, values: ArrayLike, d: int) -> NDArray[np.float64]:
    """One finite number a column, (d,), else ValueError."""
    found = np.asarray(values, np.float64)
    if found.shape not in ((), (d,)):
        raise ValueError(
            f"{name} has shape {found.shape}; give one number, or one for each of the {d} columns "
            "of X."
        )
    if not np.isfinite(found).all():
        raise ValueError(f"{name} holds NaN or infinity; only finite inputs have indices.")
    return np.broadcast_to(found, d)


def _variances(name: str, values: ArrayLike, d: int) -> NDArray[np.float64]:
    """One variance a column, (d,), else ValueError."""
    found = _numbers(name, values, d)
    if (found < 0).any():
        at = int(np.argmin(found))
        raise ValueError(f"{name} is {found[at]:g} in column {at}; variances are not negative.")
    return found


def _check_covariance(sigma: NDArray[np.float64], d: int) -> NDArray[np.float64]:
    """A covariance (d, d), else ValueError."""
    if sigma.shape != (d, d) or not np.isfinite(sigma).all():
        raise ValueError(
            f"covariance has shape {sigma.shape}, or is not finite; give a finite ({d}, {d}) "
            "matrix, as X has that many columns, or their variances."
        )
    values = np.linalg.eigvalsh(sigma)
    rounding = _ROUNDING * np.abs(values).max()
    if np.abs(sigma - sigma.T).max() > rounding or values[0] < -rounding:
        raise ValueError(
            "covariance is no covariance: it is not symmetric, or has an eigenvalue of "
            f"{values[0]:.3g} below zero."
        )
    return sigma


def _check_group(group: Sequence[int], d: int) -> list[int]:
    """Columns of a group, else ValueError."""
    found = np.asarray(group)
    whole = found.ndim == 1 and found.size > 0 and found.dtype.kind in "iu"
    if not whole or found.min() < 0 or found.max() >= d or len(set(found.tolist())) < found.size:
        raise ValueError(
            f"groups holds {group!r}; a group is a list of different columns of X, "
            f"from 0 to {d - 1}."
        )
    return found.tolist()
