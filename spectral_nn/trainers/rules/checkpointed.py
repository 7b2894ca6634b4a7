"""Backpropagation that computes values twice, to keep fewer of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from spectral_nn.trainers.base import Batch
from spectral_nn.trainers.layers import DenseLayer, Gradient, forward, pull_back
from spectral_nn.trainers.rules.base import Memory, Rule

__all__ = ["Checkpointed"]


@dataclass(frozen=True)
class Checkpointed(Rule):
    r"""Backpropagation in segments of layers: the same numbers, with the memory of fewer layers.

    The way forward keeps the input of each segment only. On the way back, the values inside a
    segment are computed again from its input, and go when the error has passed.

    Parameters
    ----------
    optimizer : {"adam", "sgd"}, default="adam"
        Takes the steps, with the settings of the estimator.
    segments : int, optional
        How many, of nearly equal numbers of layers. The root of the number of layers by default,
        which keeps the fewest values.

    Raises
    ------
    ValueError
        If ``optimizer`` is not one of these, or ``segments`` is below 1; in a fit, if layers are
        fewer than ``segments``.

    See Also
    --------
    Backprop : the same numbers in less time.
    RandomizedAD : less memory still, for a gradient that is right on average.

    Notes
    -----
    With L layers in s segments, values of at most about s + L / s layers are kept at a time, where
    backpropagation keeps L. All segments but the last pass forward twice: 8 flops a weight and row,
    where backpropagation takes 6.

    References
    ----------
    .. [1] Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost",
       arXiv 1604.06174, 2016, section 4.1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_estimators import MLPClassifier
    >>> from spectral_estimators.trainers import Checkpointed
    >>> X, y = load_digits(return_X_y=True)
    >>> settings = {"init": "random", "learning_rate": "cosine", "max_iter": 5, "random_state": 0}
    >>> net = MLPClassifier((32,) * 8, solver=Checkpointed(), **settings).fit(X / 16, y)
    >>> same = MLPClassifier((32,) * 8, solver="adam", **settings).fit(X / 16, y)
    >>> bool((net.predict_proba(X / 16) == same.predict_proba(X / 16)).all())
    True
    """

    name: ClassVar[str] = "checkpointed"
    exact: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True
    uses_backward: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"rows"})

    segments: int | None = None

    def __post_init__(self) -> None:
        """Check the number of segments."""
        super().__post_init__()
        if self.segments is not None and self.segments < 1:
            raise ValueError(
                f"segments={self.segments}: give one at least, or None for the root of the number "
                "of layers"
            )

    def init(
        self, layers: Sequence[DenseLayer], n_outputs: int, rng: np.random.Generator
    ) -> Memory:
        """Return nothing to keep; ValueError if there are fewer layers than segments."""
        if self.segments is not None and self.segments > len(layers):
            raise ValueError(
                f"segments={self.segments}: the network has {len(layers)} layers, that of the "
                "outputs among them; give at most as many segments, or None"
            )
        return Memory()

    def write(
        self, layers: Sequence[DenseLayer], batch: Batch, into: Sequence[Gradient], **how: Any
    ) -> float:
        """Write the gradient of a batch; return its loss."""
        *before, last = self._cut(len(layers))
        inputs = [batch.X]
        for segment in before:
            inputs.append(forward(layers[segment], inputs[-1])[-1].out)
        traces = forward(layers[last], inputs.pop())
        value, error = batch.loss(traces[-1].out)
        error = pull_back(layers[last], traces, error, into[last], to_input=bool(before))
        for segment in reversed(before):
            del traces
            traces = forward(layers[segment], inputs.pop())
            error = pull_back(
                layers[segment], traces, error, into[segment], to_input=segment.start > 0
            )
        return value

    def _cut(self, n_layers: int) -> list[slice]:
        """Segments of layers."""
        n = self.segments or round(math.sqrt(n_layers))
        return [slice(*ends) for ends in pairwise(n_layers * i // n for i in range(n + 1))]
