"""Starts that users give to mixtures, checked as scikit-learn checks them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from spectral_estimators._devices import on_host

__all__ = ["check_means", "check_precisions", "check_ridge", "check_weights", "given_parts"]

_OFF = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-8}  # that weights may sum to less


_LEAST_RIDGE = 1e-30  # whose inverse, and its products with squares, are finite


def check_ridge(reg_covar: float) -> None:
    """Check that ``reg_covar`` is nothing, or large enough to be divided by.

    Raises
    ------
    ValueError
        Naming it.
    """
    if 0 < reg_covar < _LEAST_RIDGE:
        raise ValueError(
            f"reg_covar={reg_covar:g} is too little to keep a covariance from collapsing. Set it "
            f"to 0, or to {_LEAST_RIDGE:g} or more."
        )


def given_parts(estimator: Any, n_features: int) -> dict[str, NDArray[np.float64]]:
    """Parts of the start that the constructor was given: weights, means, covariances.

    Raises
    ------
    ValueError
        Naming the part: its shape, its range, or a precision that is not positive definite.
    """
    K, kind = estimator.n_components, estimator.covariance_type
    found = {}
    if estimator.weights_init is not None:
        found["weights"] = check_weights(estimator.weights_init, K)
    if estimator.means_init is not None:
        found["means"] = check_means(estimator.means_init, K, n_features)
    if estimator.precisions_init is not None:
        precisions = check_precisions(estimator.precisions_init, kind, K, n_features)
        matrices = kind in ("full", "tied")
        found["covariances"] = np.linalg.inv(precisions) if matrices else 1 / precisions
    return {name: part.astype(np.float64) for name, part in found.items()}


def check_weights(weights: Any, n_components: int) -> NDArray[np.floating]:
    """Weights (K,), which sum to 1."""
    weights = _numbers(weights)
    _check_shape(weights, (n_components,), "weights")
    low, high = weights.min(), weights.max()
    if low < 0 or high > 1:
        raise ValueError(
            f"The parameter 'weights' should be in the range [0, 1], but got max value {high:.5f}, "
            f"min value {low:.5f}"
        )
    if abs(1 - weights.sum()) > _OFF[weights.dtype]:
        raise ValueError(
            "The parameter 'weights' should be normalized, but got sum(weights) = "
            f"{weights.sum():.5f}"
        )
    return weights


def check_means(means: Any, n_components: int, n_features: int) -> NDArray[np.floating]:
    """Means (K, p)."""
    means = _numbers(means)
    _check_shape(means, (n_components, n_features), "means")
    return means


def check_precisions(
    precisions: Any, covariance_type: str, n_components: int, n_features: int
) -> NDArray[np.floating]:
    """Precisions in the shape of their type, positive definite."""
    precisions = _numbers(precisions)
    shapes = {
        "full": (n_components, n_features, n_features),
        "tied": (n_features, n_features),
        "diag": (n_components, n_features),
        "spherical": (n_components,),
    }
    _check_shape(precisions, shapes[covariance_type], f"{covariance_type} precision")
    if covariance_type in ("diag", "spherical"):
        if not (precisions > 0).all():
            raise ValueError(f"'{covariance_type} precision' should be positive")
        return precisions
    turned = np.swapaxes(precisions, -1, -2)
    if not np.allclose(precisions, turned) or not (np.linalg.eigvalsh(precisions) > 0).all():
        raise ValueError(f"'{covariance_type} precision' should be symmetric, positive-definite")
    return precisions


def _numbers(values: Any) -> NDArray[np.floating]:
    """Floats of any number of axes, finite."""
    how = {"dtype": [np.float64, np.float32], "ensure_2d": False, "allow_nd": True}
    return check_array(on_host(values), **how)


def _check_shape(values: NDArray[np.floating], shape: tuple[int, ...], name: str) -> None:
    if values.shape != shape:
        raise ValueError(
            f"The parameter '{name}' should have the shape of {shape}, but got {values.shape}"
        )
