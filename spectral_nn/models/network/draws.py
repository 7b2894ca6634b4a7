"""The draws of scikit-learn's perceptrons, for fits that are to have their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ScikitDraws"]


class ScikitDraws:
    """What a random start, the split of validation rows and batches draw, as in scikit-learn 1.9.

    It takes the place of a Generator in a fit from ``init="random"``, whose draws then are those of
    scikit-learn: weights and intercepts layer by layer, the split, the order of each epoch.
    """

    def __init__(self, random_state: np.random.RandomState) -> None:
        self._random_state = random_state
        self._order = np.arange(0)

    def uniform(self, low: float, high: float, size: Any) -> NDArray[np.float64]:
        """Draw uniform numbers."""
        return self._random_state.uniform(low, high, size)

    def permutation(self, n: int) -> NDArray[np.intp]:
        """Shuffle the order of the last epoch once more."""
        if self._order.size != n:
            self._order = np.arange(n)
        self._order = self._order[self._random_state.permutation(n)]
        return self._order

    def split(
        self, n: int, share: float, groups: NDArray | None
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
        """Split n rows, group by group; None where scikit-learn refuses to, of a group of one."""
        # Slow to import, and needed by nothing else here.
        from sklearn.model_selection import train_test_split

        try:
            kept, held_out = train_test_split(
                np.arange(n), test_size=share, random_state=self._random_state, stratify=groups
            )
        except ValueError:
            return None
        return kept, held_out
