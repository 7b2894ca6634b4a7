"""Jacobi rotations that make several symmetric matrices diagonal at once, compiled."""

from __future__ import annotations

import numpy as np

from spectral_nn.compiled import Compiled

__all__ = ["rotate"]

_MAX_SWEEPS = 100
_SMALLEST_ANGLE = 1e-12
_SLOW = 0.5  # angle of a sweep over that of the sweep before, where it does not fall quadratically


@Compiled
def rotate(slices, V, tol):
    """Rotate slices (K, K, m), in place, to be most nearly diagonal; V (K, K) by the same.

    Angles of slices with a common basis fall quadratically from sweep to sweep, and sweeps go on
    until none is left. Those of slices with noise fall slowly in the end, along directions that
    hardly matter: then a sweep is the last if it adds no more than tol to the squares of diagonals.
    """
    K, m = slices.shape[0], slices.shape[2]
    before = np.inf
    for _ in range(_MAX_SWEEPS):
        largest, gain = 0.0, 0.0
        for p in range(K - 1):
            for q in range(p + 1, K):
                square, cross, other = 0.0, 0.0, 0.0
                for j in range(m):
                    difference = slices[p, p, j] - slices[q, q, j]
                    total = slices[p, q, j] + slices[q, p, j]
                    square += difference * difference
                    cross += difference * total
                    other += total * total
                away = square - other
                angle = 0.25 * np.arctan2(2 * cross, away)
                if abs(angle) <= _SMALLEST_ANGLE:
                    continue
                largest = max(largest, abs(angle))
                gain += (np.hypot(2 * cross, away) - away) / 4
                c, s = np.cos(angle), np.sin(angle)
                for i in range(K):
                    for j in range(m):
                        a, b = slices[p, i, j], slices[q, i, j]
                        slices[p, i, j], slices[q, i, j] = c * a + s * b, c * b - s * a
                for i in range(K):
                    for j in range(m):
                        a, b = slices[i, p, j], slices[i, q, j]
                        slices[i, p, j], slices[i, q, j] = c * a + s * b, c * b - s * a
                    a, b = V[i, p], V[i, q]
                    V[i, p], V[i, q] = c * a + s * b, c * b - s * a
        if largest == 0.0 or (gain <= tol and largest > _SLOW * before):
            return
        before = largest
