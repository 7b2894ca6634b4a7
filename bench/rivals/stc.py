"""Spike-triggered covariance (Schwartz et al., Journal of Vision 2006), in NumPy."""

import numpy as np
from numpy.typing import NDArray


def directions(
    X: NDArray[np.floating], spikes: NDArray[np.floating], k: int
) -> NDArray[np.float64]:
    """Eigenvectors (d, k) of what spikes change most in the covariance of white inputs (n, d)."""
    weight = (spikes / spikes.sum())[:, None]
    mean = (weight * X).sum(axis=0)
    change = (X * weight).T @ X - np.outer(mean, mean) - X.T @ X / len(X)
    values, vectors = np.linalg.eigh(change.astype(np.float64))
    return vectors[:, np.argsort(-np.abs(values))[:k]]
