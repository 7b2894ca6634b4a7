"""Coordinates of parameters in which there are no bounds, and confidence intervals made in them.

Standard errors need derivatives, also near the edge of what is allowed. Here probabilities move by
their logits and positive numbers by their logarithms; a step of any size leads to parameters that
are allowed. A step has the shape of the parameter that it moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

__all__ = ["Chance", "Positive", "Real", "Simplex", "Symmetric", "Vector"]

_LEAST_COUNT = 1.0


@dataclass(frozen=True, eq=False)
class Real:
    """Numbers without bounds, which move by ``unit * step``.

    Parameters
    ----------
    unit : float or ndarray of the shape of the parameter
        Such that steps mean the same in whatever units the data come.
    """

    unit: Any = 1.0

    def move(self, value: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
        """The parameter a step away."""
        return value + self.unit * step

    def scaled(self, slope: NDArray[np.float64]) -> NDArray[np.float64]:
        """The derivative by a step, from that by the number, logarithm or logit that it moves."""
        return self.unit * slope

    def known(self, support: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which entries data say something of, from the expected counts behind each."""
        return support >= _LEAST_COUNT

    def free(self, value: NDArray[np.float64], support: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which steps are free: as many entries as there are free parameters."""
        return self.known(support)

    def interval(
        self, value: NDArray[np.float64], error: NDArray[np.float64], z: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ends of intervals of z standard errors to each side."""
        return value - z * error, value + z * error


@dataclass(frozen=True, eq=False)
class Positive(Real):
    """Positive numbers, which move by their logarithms."""

    def move(self, value: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
        """``value exp(step)``."""
        return value * np.exp(step)

    def interval(
        self, value: NDArray[np.float64], error: NDArray[np.float64], z: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ends that are equally far from the value in logarithms."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            factor = np.exp(z * error / value)
        return value / factor, value * factor


@dataclass(frozen=True, eq=False)
class Chance(Real):
    """Probabilities that do not depend on each other, which move by their logits."""

    def move(self, value: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
        """``expit(logit(p) + step)``."""
        return expit(logit(value) + step)

    def interval(
        self, value: NDArray[np.float64], error: NDArray[np.float64], z: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ends that are equally far from the value in logits."""
        with np.errstate(divide="ignore", invalid="ignore"):
            step = z * error / (value * (1 - value))
        return expit(logit(value) - step), expit(logit(value) + step)


@dataclass(frozen=True, eq=False)
class Simplex(Chance):
    """Rows of probabilities that sum to one: the entries move by the logits of their softmax."""

    def move(self, value: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
        """``p e^step``, normalised."""
        moved = value * np.exp(step)
        return moved / moved.sum(axis=-1, keepdims=True)

    def known(self, support: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Entries of an expected count of 1, of rows that have two of them."""
        counted = support >= _LEAST_COUNT
        return counted & (counted.sum(axis=-1, keepdims=True) > 1)

    def free(self, value: NDArray[np.float64], support: NDArray[np.float64]) -> NDArray[np.bool_]:
        """All that are known but the largest of each row, which the others determine."""
        known = self.known(support)
        free = known.copy()
        largest = np.where(known, value, -1.0).argmax(axis=-1)
        np.put_along_axis(free, largest[..., None], False, axis=-1)
        return free


@dataclass(frozen=True, eq=False)
class Vector(Real):
    """Vectors (..., p), which move by ``root step``.

    Parameters
    ----------
    unit : ndarray of shape (..., p, p)
        A root of their covariance, in the units of which no direction is special.
    """

    def move(self, value: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
        """``value + root step``."""
        return value + (self.unit @ step[..., None])[..., 0]

    def scaled(self, slope: NDArray[np.float64]) -> NDArray[np.float64]:
        """``root^T slope``."""
        return (np.swapaxes(self.unit, -1, -2) @ slope[..., None])[..., 0]


@dataclass(frozen=True, eq=False)
class Symmetric(Real):
    """Symmetric matrices (..., p, p), which move by ``root step root^T``.

    Of a step the upper triangle counts, and stands for both.

    Parameters
    ----------
    unit : ndarray of shape (..., p, p)
        A root of the matrices, in the units of which no direction is special.
    """

    def move(self, value: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
        """``value + root step root^T``."""
        both = np.triu(step) + np.swapaxes(np.triu(step, 1), -1, -2)
        return value + self.unit @ both @ np.swapaxes(self.unit, -1, -2)

    def scaled(self, slope: NDArray[np.float64]) -> NDArray[np.float64]:
        """``root^T slope root``, twice off the diagonal, where a step moves two entries."""
        found = np.swapaxes(self.unit, -1, -2) @ slope @ self.unit
        return found * (2 - np.eye(found.shape[-1]))

    def free(self, value: NDArray[np.float64], support: NDArray[np.float64]) -> NDArray[np.bool_]:
        """The upper triangles."""
        return np.triu(self.known(support))

    def interval(
        self, value: NDArray[np.float64], error: NDArray[np.float64], z: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of variances in logarithms, of covariances plain."""
        plain, positive = super().interval(value, error, z), Positive().interval(value, error, z)
        diagonal = np.eye(value.shape[-1], dtype=bool)
        low, high = (np.where(diagonal, *pair) for pair in zip(positive, plain, strict=True))
        return low, high
