"""Layer-wise training: each hidden layer has a head of its own, and a loss of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spectral_nn.arrays import Array
from spectral_nn.trainers.base import Batch
from spectral_nn.trainers.layers import DenseLayer, Gradient
from spectral_nn.trainers.rules.base import Memory, Rule, views
from spectral_nn.trainers.rules.heads import HEADS, HeadKind, as_heads, draw_heads, pass_head

__all__ = ["LayerWise"]


@dataclass(frozen=True)
class LayerWise(Rule):
    r"""Train each hidden layer to the targets by a head of its own; no error crosses layers.

    For hidden layer l, with head :math:`a_l` and the loss :math:`\ell` of the network,

    .. math:: \nabla W_l \approx \partial\, \ell\big(a_l(h_l), y\big) / \partial W_l, \qquad
        h_{l-1} \text{ held fixed}

    Heads learn by the same losses.  That of the last hidden layer is the output layer of the
    network; the others are dropped after the fit.

    Parameters
    ----------
    optimizer : {"adam", "sgd"}, default="adam"
        Takes the steps, with the settings of the estimator.
    head : {"linear", "mlp"}, default="mlp"
        On all hidden layers but the last: a linear map to the outputs, or one with 64 units
        between.
    staged : bool, default=False
        Whether layers are trained one after the other, each in its share of the epochs while those
        below stay as they are (Belilovsky et al.), rather than all at once.  Not for
        ``partial_fit``, which knows no last epoch, and trains the last hidden layer alone then.

    Raises
    ------
    ValueError
        If ``optimizer`` or ``head`` is not one of these.

    See Also
    --------
    Backprop : one loss for all layers.
    ForwardGradient : local losses as guesses of the gradient.

    Notes
    -----
    As many flops as backpropagation, and those of the heads.  Only one layer's values are kept at
    a time: memory does not grow with depth.

    References
    ----------
    .. [1] Belilovsky, Eickenberg, Oyallon, "Greedy layerwise learning can scale to ImageNet",
       ICML 2019, equation 2.
    .. [2] Nøkland, Eidnes, "Training neural networks with local error signals", ICML 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_estimators import MLPClassifier
    >>> from spectral_estimators.trainers import LayerWise
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier((32, 32), solver=LayerWise(), init="random", learning_rate="cosine",
    ...                     learning_rate_init=0.01, max_iter=20, random_state=0)
    >>> net.fit(X[:1500] / 16, y[:1500]).score(X[1500:] / 16, y[1500:]) > 0.88
    True
    """

    name: ClassVar[str] = "layer-wise"
    locks_layers: ClassVar[bool] = False

    head: HeadKind = "mlp"
    staged: bool = False

    def __post_init__(self) -> None:
        """Refuse heads that there are not."""
        super().__post_init__()
        if self.head not in HEADS:
            raise ValueError(f"head={self.head!r} is unknown; use one of {list(HEADS)}")

    def init(
        self, layers: Sequence[DenseLayer], n_outputs: int, rng: np.random.Generator
    ) -> Memory:
        """Draw the heads of all hidden layers but the last."""
        return Memory(learned=draw_heads(self.head, layers[:-2], n_outputs, rng))

    def n_stages(self, n_layers: int) -> int:
        """Return one stage, or one for each hidden layer."""
        return max(n_layers - 1, 1) if self.staged else 1

    def learning(self, stage: int, n_layers: int) -> list[bool]:
        """Return which layers learn: all, or that of the stage; the output layer with the last."""
        if not self.staged:
            return [True] * n_layers
        last = n_layers - 2
        return [i == stage or (i > last and stage == last) for i in range(n_layers)]

    def write(
        self,
        layers: Sequence[DenseLayer],
        batch: Batch,
        into: Sequence[Gradient],
        *,
        memory: Memory,
        into_learned: Sequence[Array],
        rng: np.random.Generator,
        stage: int,
    ) -> float:
        """Write the gradient of each layer's own loss; return that of the network."""
        learning, below = self.learning(stage, len(layers)), layers[:-2]
        heads = as_heads(memory.learned, below)
        into_heads = as_heads(into_learned, below)
        values = batch.X
        for i, layer in enumerate(below):
            trace = layer.forward(values)
            if learning[i]:
                error = pass_head(heads[i], trace.out, batch, views(into_heads[i])).out_error
                layer.write_gradient(trace, layer.sums_error(trace, error), into[i])
            values = trace.out
        return self._write_last(layers[-2:], values, batch, into[-2:], learning[-1])

    def _write_last(
        self,
        layers: Sequence[DenseLayer],
        values: Array,
        batch: Batch,
        into: Sequence[Gradient],
        learns: bool,
    ) -> float:
        """Write the gradient of the last hidden layer and the outputs; return their loss."""
        hidden, last = layers
        trace = hidden.forward(values)
        top = last.forward(trace.out)
        value, error = batch.loss(top.out)
        if learns:
            below = last.pull_back(top, error, into[1])
            hidden.write_gradient(trace, hidden.sums_error(trace, below), into[0])
        return value
