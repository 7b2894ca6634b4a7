"""The steps of conjugate gradients between two products, one pass over the rows each.

Every column has a step length of its own. With NumPy, whose inner loops would run over the few
columns, these steps take longer than the product.
"""

from __future__ import annotations

from spectral_nn.compiled import Compiled

__all__ = ["curve", "descend", "turn"]


@Compiled
def curve(toward, product, alpha, curvature):
    """Make ``toward - alpha product`` of the product, and add its dot products with toward."""
    n, C = toward.shape
    for i in range(n):
        for c in range(C):
            product[i, c] = toward[i, c] - alpha * product[i, c]
            curvature[c] += toward[i, c] * product[i, c]


@Compiled
def descend(z, left, toward, product, length, units, squares):
    """Go by ``length`` (C,) in the direction; squares of what is left, and its size in units."""
    n, C = z.shape
    total = 0.0
    for i in range(n):
        size = 0.0
        for c in range(C):
            z[i, c] += length[c] * toward[i, c]
            left[i, c] -= length[c] * product[i, c]
            squares[c] += left[i, c] * left[i, c]
            size += abs(left[i, c])
        total += size * units[i, 0]
    return total


@Compiled
def turn(toward, left, shares):
    """The next direction, ``left + shares toward``."""
    n, C = left.shape
    for i in range(n):
        for c in range(C):
            toward[i, c] = left[i, c] + shares[c] * toward[i, c]
