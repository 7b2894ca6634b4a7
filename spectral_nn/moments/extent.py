"""How large the numbers of a table are, and powers of two that bring them near one.

Squares and cubes of numbers far from one cannot be carried; a multiplication by a power of two
rounds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import Array, get_namespace, to_numpy
from spectral_nn.data.rows import Rows, by_blocks

__all__ = ["NOTHING", "Extent", "exponents", "extent", "largest", "powers"]

NOTHING = -9999  # the exponent of what is zero throughout: below all others


@dataclass(frozen=True, eq=False)
class Extent:
    """Largest and least numbers of rows; ``a + b`` holds those of both.

    Attributes
    ----------
    inputs : (d,) largest absolute value of each column of X.
    low, high : (q,) of the columns of Y.
    weight : the largest.
    """

    inputs: NDArray
    low: NDArray
    high: NDArray
    weight: float

    def __add__(self, other: Extent) -> Extent:
        return Extent(
            np.maximum(self.inputs, other.inputs),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            max(self.weight, other.weight),
        )


@by_blocks
def extent(rows: Rows) -> Extent:
    """Extent of a chunk; O(n (d + q)), sparse inputs as they are."""
    xp = get_namespace(rows.Y)
    low, high = xp.min(rows.Y, axis=0), xp.max(rows.Y, axis=0)
    return Extent(
        to_numpy(largest(rows.X)), to_numpy(low), to_numpy(high), float(xp.max(rows.weight))
    )


def largest(X: Array) -> Array:
    """Largest absolute value of each column, (d,) of X (n, d), dense or sparse."""
    if hasattr(X, "toarray"):
        return abs(X).max(axis=0).toarray().ravel()
    xp = get_namespace(X)
    return xp.maximum(xp.max(X, axis=0), -xp.min(X, axis=0))


def exponents(sizes: NDArray, ordinary: int) -> NDArray[np.int32]:
    """Exponents e with sizes / 2^e in [1/2, 1), or 0 for sizes within 2^±ordinary.

    Parameters
    ----------
    sizes : (m,) not negative, in the precision of what is to be divided.
    ordinary : power of two.

    Returns
    -------
    (m,) integers, `NOTHING` where there is nothing but zero.
    """
    most = np.finfo(sizes.dtype).maxexp - 2  # so that 2^e and 2^-e are numbers
    found = np.clip(np.frexp(sizes)[1], -most, most)
    found[np.abs(found) <= ordinary] = 0
    found[sizes == 0] = NOTHING
    return found


def powers(exponent: NDArray[np.int32] | int, dtype: Any) -> NDArray[np.float64]:
    """2^exponent, as far as a precision has it."""
    most = np.finfo(dtype).maxexp - 2
    return np.ldexp(1.0, np.clip(exponent, -most, most))
