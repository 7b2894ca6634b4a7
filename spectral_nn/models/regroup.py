"""Posteriors in which two components are one, and the one that is free is half of a third."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cut_by_axis", "find_overlaps", "merge_and_split"]

_SIDES = 0.9  # of a row goes to the half of a component that it lies in


def find_overlaps(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines (K, K) between the posteriors (n, K) of components, above the diagonal."""
    overlap = mass.T @ mass
    norm = np.sqrt(np.maximum(overlap.diagonal(), 1e-300))
    return np.triu(overlap / np.outer(norm, norm), 1)


def merge_and_split(
    mass: NDArray[np.float64],
    kept: int,
    free: int,
    split: int,
    halve: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Posteriors (n, K) after component `free` has gone to `kept`, and half of `split` to `free`.

    `halve` takes how much of each row belongs to a component, (n,), and tells what share of that
    one half gets.
    """
    moved = mass.copy()
    moved[:, kept] += moved[:, free]
    split = kept if split == free else split
    half = halve(moved[:, split])
    moved[:, free] = half * moved[:, split]
    moved[:, split] -= moved[:, free]
    return moved


def cut_by_axis(
    z: NDArray[np.float64], weight: NDArray[np.float64], rng: Any
) -> NDArray[np.float64]:
    """Share of each row (n, p) that goes to one side of the mean of a component.

    Across a principal axis of its rows, which weigh (n,); long ones are drawn the more often.
    """
    share = weight / weight.sum()
    z = z - share @ z
    values, vectors = np.linalg.eigh((z * share[:, None]).T @ z)
    values = np.maximum(values, 0.0) + 1e-12
    axis = vectors[:, rng.choice(values.size, p=values / values.sum())]
    return np.where(z @ axis > 0, _SIDES, 1 - _SIDES)
