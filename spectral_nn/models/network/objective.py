"""The loss of a network and its gradient: sums over rows, of a table here or of chunks elsewhere.

The losses and the penalty are those of scikit-learn 1.9's multi-layer perceptrons.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from spectral_nn.additive import Additive, tree_sum
from spectral_nn.arrays import Array, from_numpy, get_namespace, to_numpy
from spectral_nn.data.rows import CHUNK_ROWS, Rows
from spectral_nn.data.table import Table
from spectral_nn.models.network.dense import Network, Shape, split, take
from spectral_nn.models.network.outputs import OUTPUTS, Output
from spectral_nn.models.network.passes import passes_of
from spectral_nn.models.network.scaling import Penalty, of_each_weight
from spectral_nn.runners.base import Runner, SerialRunner
from spectral_nn.trainers.base import Batch, Problem
from spectral_nn.trainers.layers import DenseLayer
from spectral_nn.trainers.rules.base import backpropagate, views

__all__ = [
    "LossSums",
    "Objective",
    "WalkedObjective",
    "loss_sums",
    "objective_of",
    "row_losses",
]


@dataclass(frozen=True, eq=False)
class LossSums(Additive):
    """Sums over rows.

    Attributes
    ----------
    loss : of weighted losses.
    weight : of weights.
    gradient : (p,) of `loss`, or 0 where it was not asked for.
    """

    loss: float
    weight: float
    gradient: Any


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of the data: X (rows, d), targets as `Passes` have them, weight None for ones."""

    X: Array
    targets: Array
    weight: Array | None
    total_weight: float


@dataclass(frozen=True, eq=False)
class NetworkBatch:
    """Rows that pass together: X (rows, d), targets (rows, q), weight (rows, 1) or None for ones.

    Attributes
    ----------
    total_weight : sum of the weights.
    output : whose loss it is.
    """

    X: Array
    targets: Array
    weight: Array | None
    total_weight: float
    output: Output

    def loss(self, outputs: Array) -> tuple[float, Array]:
        """Return the mean loss of outputs (rows, q), which may be overwritten, and its gradient."""
        value, error = self.output.error(outputs, self.targets, self.weight, axis=1)
        error *= 1 / self.total_weight
        return value / self.total_weight, error


class Objective:
    """Loss of a network on given rows and its gradient, as functions of its parameters.

    With weights w_i that add up to s, and layers W_l,

        ``f = 1/s Σ_i w_i loss(y_i, p_i) + alpha / (2 s) Σ_l |W_l|²``

    where the loss is half the squared error averaged over the outputs (output "identity"), half the
    Poisson deviance summed over them ("exp", "softplus"), or minus the log likelihood of each
    output on its own ("logistic") or of the class ("softmax"). These are the losses of scikit-learn
    1.9 (which has no "softplus"), which clips probabilities to a rounding error away from 0 and 1.
    The gradient is the gradient of this function; scikit-learn's, with several outputs and squared
    errors, is larger by the number of outputs in all but the penalty (scikit-learn issue 8349).

    Parameters
    ----------
    X : array (n, d), or a SciPy sparse array of NumPy numbers
    Y : array (n, q)
        Targets; for classes 0 and 1, one column a class unless there are only two.
    template : Network
        Gives shapes, functions, library and precision; its parameters do not matter.  A `Shape`
        leaves library and precision to Y.
    alpha : float, or a `Penalty` where it is not the same for all weights
        Penalty.
    sample_weight : array (n,), optional
    rng : Generator, optional
        Draws the layers that batches go around; only where ``template.depth_drop`` is not 0.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Notes
    -----
    Rows pass in blocks of at most 4096 with a work space of about 2 MB, which stays in the cache,
    each as (units, rows): nothing of n rows is allocated. In single precision, sums over blocks
    are double. An evaluation costs 3 n multiply-adds a weight (2 n for the first layer's), one
    call of the activation and one of its derivative a unit and row. A loss that is not finite is
    returned as it is, without a warning. An objective must not be called from two threads at a
    time.

    Blocks are summed by chunks of 16,384 rows, and then these: `WalkedObjective` makes the same
    additions in the same order.
    """

    def __init__(
        self,
        X: Array,
        Y: Array,
        template: Network | Shape,
        alpha: float | Penalty = 0.0,
        sample_weight: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        sizes = template.sizes
        n_rows = X.shape[0]
        if X.ndim != 2 or X.shape[1] != sizes[0] or tuple(Y.shape) != (n_rows, sizes[-1]):
            raise ValueError(
                f"X has shape {tuple(X.shape)} and Y {tuple(Y.shape)}; a network of sizes {sizes} "
                f"needs (n, {sizes[0]}) and (n, {sizes[-1]})"
            )
        if sample_weight is not None and tuple(sample_weight.shape) != (n_rows,):
            raise ValueError(
                f"sample_weight has shape {tuple(sample_weight.shape)}; give one number a row: "
                f"({n_rows},)"
            )
        if isinstance(template, Network):
            self._shape, like = template.shape, template.coefs[0]
        else:
            self._shape, like = template, Y
        self._alpha = of_each_weight(alpha, self._shape)
        self._output = OUTPUTS[self._shape.output]
        self._passes = passes_of(self._shape, like)
        self._X = X.tocsr() if sparse.issparse(X) else X
        self._targets = Y
        self._rng = np.random.default_rng(0) if rng is None else rng
        self._weight = _drop_equal_weights(sample_weight)
        self._chunks: list[list[Block]] | None = None

    def __call__(self, vector: Array) -> tuple[float, Array]:
        """Return value and gradient (p,) at the parameters `vector` (p,), laid out as `flatten`.

        The gradient is an array of NumPy's float64 where the vector is one of NumPy, of the
        data's library and precision otherwise.
        """
        sums = self.sums(vector)
        return _penalise(sums, vector, self._shape, self._alpha)

    def value(self, vector: Array) -> float:
        """Return the value alone, at about half the cost."""
        sums = self.sums(vector, with_gradient=False)
        return _penalise(sums, vector, self._shape, self._alpha)[0]

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self._X.shape[0])

    def on_rows(self, vector: Array, rows: slice | Array) -> tuple[float, Array]:
        """Return value and gradient for some rows only, as if there were no others.

        Parameters
        ----------
        vector : array (p,)
        rows : slice or array (m,) of int
            Should be few, such as a batch: they pass as one block.

        Returns
        -------
        value : float
        gradient : array (p,), a new one
        """
        gradient = get_namespace(vector).empty_like(vector)
        with np.errstate(all="ignore"):
            batch = self.batch(rows)
            layers = self.layers(vector, training=True)
            value = backpropagate(layers, batch, views(self.layers(gradient)))
            return value + self.penalise(vector, gradient, batch), gradient

    def layers(self, vector: Array, *, training: bool = False) -> list[DenseLayer]:
        """Return the layers whose parameters are views of a vector (p,).

        Parameters
        ----------
        vector : array (p,), of the data's library and device.
        training : whether to draw which layers are gone around, where that is left to chance.
        """
        gates = None
        if training and self._shape.depth_drop:
            gates = [float(self._rng.random() < share) for share in self._shape.survival]
        return self._shape.layers(*split(vector, self._shape.sizes), gates)

    def batch(self, rows: slice | Array) -> Batch:
        """Return some rows, and their mean loss as a function of outputs."""
        X, targets = take(self._X, rows), take(self._targets, rows)
        weight = None if self._weight is None else take(self._weight, rows)[:, None]
        total = X.shape[0] if weight is None else float(get_namespace(weight).sum(weight))
        return NetworkBatch(X, targets, weight, total, self._output)

    def penalise(
        self,
        vector: Array,
        gradient: Array,
        batch: Batch,
        learning: Sequence[bool] | None = None,
    ) -> float:
        """Add the penalty's gradient to that of a batch, in place, and return the penalty.

        Parameters
        ----------
        vector, gradient : arrays (p,)
        batch : of this objective.
        learning : which layers learn; weights of the others are free.  None: all.
        """
        if not isinstance(self._alpha, np.ndarray) and not self._alpha:
            return 0.0
        penalty = 0.0
        start = 0
        for layer, (fan_in, fan_out) in enumerate(pairwise(self._shape.sizes)):
            part = slice(start, start + fan_in * fan_out)
            start = part.stop
            if learning is not None and not learning[layer]:
                continue
            alpha = self._alpha
            if isinstance(alpha, np.ndarray):
                alpha = from_numpy(alpha[part], like=vector)
            pull = vector[part] * (alpha / batch.total_weight)
            gradient[part] += pull
            penalty += 0.5 * float(get_namespace(pull).vecdot(pull, vector[part]))
        return penalty

    def sums(self, vector: Array, *, with_gradient: bool = True) -> LossSums:
        """Return sums over all rows, without penalty."""
        if self._chunks is None:
            edges = [*range(0, self.n_rows, self._rows_a_chunk), self.n_rows]
            self._chunks = [self._blocks(*pair) for pair in pairwise(edges)]
        with np.errstate(all="ignore"):
            return tree_sum(self._sums_of(vector, blocks, with_gradient) for blocks in self._chunks)

    @property
    def _rows_a_chunk(self) -> int:
        return max(CHUNK_ROWS, self._passes.rows_a_block)

    def _sums_of(self, vector: Array, blocks: Sequence[Block], with_gradient: bool) -> LossSums:
        passes = self._passes
        passes.load(vector)
        loss = weight = 0.0
        for block in blocks:
            outputs = passes.forward(block.X)
            lost, error = self._output.error(outputs, block.targets, block.weight, passes.axis)
            if with_gradient:
                passes.backward(block.X, error)
            loss += lost
            weight += block.total_weight
        return LossSums(loss, weight, passes.gradient() if with_gradient else 0.0)

    def _blocks(self, begin: int, end: int) -> list[Block]:
        """Nearly equal blocks of a chunk."""
        n_blocks = max(1, math.ceil((end - begin) / self._passes.rows_a_block))
        edges = [begin + (end - begin) * block // n_blocks for block in range(n_blocks + 1)]
        return [self._block(slice(*pair)) for pair in pairwise(edges)]

    def _block(self, rows: slice | Array) -> Block:
        X, targets = take(self._X, rows), take(self._targets, rows)
        weight = None if self._weight is None else take(self._weight, rows)
        total = X.shape[0] if weight is None else get_namespace(weight).sum(weight)
        if self._passes.axis == 0:
            targets = targets.T
        elif weight is not None:
            weight = weight[:, None]
        return Block(X, targets, weight, float(total))


class WalkedObjective:
    """The same function of rows in chunks, each evaluation a walk by a runner.

    Parameters
    ----------
    chunks : parts that the runner can load, each a `Rows`; walked in every evaluation.
    run : who computes.
    shape : of the network; vectors are NumPy's.
    alpha : penalty.
    """

    def __init__(
        self, chunks: Iterable[Any], run: Runner, shape: Shape, alpha: float | Penalty
    ) -> None:
        self._chunks, self._run = chunks, run
        self._shape, self._alpha = shape, of_each_weight(alpha, shape)

    def __call__(self, vector: Array) -> tuple[float, Array]:
        """Return value and gradient (p,) at the parameters `vector` (p,)."""
        return self._evaluate(vector, with_gradient=True)

    def value(self, vector: Array) -> float:
        """Return the value alone."""
        return self._evaluate(vector, with_gradient=False)[0]

    def _evaluate(self, vector: Array, *, with_gradient: bool) -> tuple[float, Array]:
        statistic = partial(
            loss_sums, vector=vector, shape=self._shape, with_gradient=with_gradient
        )
        sums = self._run.total(statistic, self._chunks)
        with np.errstate(all="ignore"):
            return _penalise(sums, vector, self._shape, self._alpha)


def objective_of(rows: Table, run: Runner, template: Network, alpha: float | Penalty) -> Problem:
    """Objective of a table, walked by the runner unless this thread may as well look at its rows.

    The shape is that of the template, the precision that of the table.
    """
    alone = type(run) is SerialRunner or rows.n_rows <= CHUNK_ROWS
    if isinstance(rows, Rows) and alone:
        return Objective(rows.X, rows.Y, template.shape, alpha, rows.weight)
    return WalkedObjective(rows.chunks(), run, template.shape, alpha)


def loss_sums(rows: Rows, vector: Array, shape: Shape, with_gradient: bool) -> LossSums:
    """Loss and gradient of a chunk, as sums, at parameters (p,); costs as `Objective`."""
    objective = Objective(rows.X, rows.Y, shape, sample_weight=rows.weight)
    return objective.sums(vector, with_gradient=with_gradient)


def row_losses(network: Network, X: Array, Y: Array) -> np.ndarray:
    """Return the loss of each row, (n,) on the host; unpenalised."""
    found, Y = to_numpy(network.decision(X)), to_numpy(Y)
    return OUTPUTS[network.output].losses(found, Y, axis=1)[0].sum(axis=1)


def _penalise(
    sums: LossSums, vector: Array, shape: Shape, alpha: float | np.ndarray
) -> tuple[float, Array]:
    """Mean loss with its penalty, and the gradient, which takes the place of its sums."""
    loss, gradient, weights = sums.loss, sums.gradient, vector[: shape.n_weights]
    xp, pull = get_namespace(weights), None
    if isinstance(alpha, np.ndarray):
        pull = from_numpy(alpha, like=weights) * weights
        loss += 0.5 * float(xp.sum(weights * pull))
    elif alpha:
        pull = alpha * weights
        loss += alpha / 2 * float(xp.sum(weights * weights))
    if isinstance(gradient, float):
        return loss / sums.weight, gradient
    if pull is not None:
        gradient[: shape.n_weights] += pull
    gradient /= sums.weight
    return loss / sums.weight, gradient


def _drop_equal_weights(weight: Array | None) -> Array | None:
    """Weights, or None where all of them are one."""
    if weight is None or bool(get_namespace(weight).all(weight == 1)):
        return None
    return weight
