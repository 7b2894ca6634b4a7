"""Dense networks: parameters, predictions, and loss with its gradient as a sum over rows.

The conventions are those of scikit-learn 1.9's multi-layer perceptrons: the layout of the
weights, the losses and the penalty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse

from spectral_nn.arrays import Array, from_numpy, get_namespace, to_numpy
from spectral_nn.models.network.activations import ACTIVATIONS, logistic
from spectral_nn.models.network.passes import (
    Block,
    HostPasses,
    LibraryPasses,
    same_kind,
    softmax,
    split,
    take,
)

__all__ = [
    "OUTPUTS",
    "Network",
    "Objective",
    "flatten",
    "mean_loss",
    "random_network",
    "row_losses",
    "unflatten",
]

OUTPUTS = ("identity", "logistic", "softmax")
"""Output functions, scikit-learn's ``out_activation_``."""

_ROWS = 1 << 16  # of a block of predictions


@dataclass(frozen=True, eq=False)
class Network:
    """A dense feed-forward network.

    Attributes
    ----------
    coefs : arrays (fan_in, fan_out), one a layer
    intercepts : arrays (fan_out,), one a layer
    activation : of the hidden layers, a key of `ACTIVATIONS`
    output : "identity", "logistic" (each output on its own) or "softmax" (outputs add up to one)
    """

    coefs: tuple[Array, ...]
    intercepts: tuple[Array, ...]
    activation: str
    output: str

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together and functions that there are not."""
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation={self.activation!r} is unknown; use one of {sorted(ACTIVATIONS)}"
            )
        if self.output not in OUTPUTS:
            raise ValueError(f"output={self.output!r} is unknown; use one of {OUTPUTS}")
        shapes = [tuple(coef.shape) for coef in self.coefs]
        chained = all(a[-1] == b[0] for a, b in pairwise(shapes))
        if not shapes or not chained or any(len(shape) != 2 for shape in shapes):
            raise ValueError(f"coefs have shapes {shapes}; each layer must take the last one's")
        if [tuple(b.shape) for b in self.intercepts] != [shape[1:] for shape in shapes]:
            raise ValueError(
                f"intercepts have shapes {[tuple(b.shape) for b in self.intercepts]}, coefs have "
                f"{shapes}; give one intercept an output of each layer"
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers, from the inputs to the outputs."""
        return (self.coefs[0].shape[0], *(coef.shape[1] for coef in self.coefs))

    def hidden(self, X: Array) -> Array:
        """Return the values of the last hidden layer.

        Parameters
        ----------
        X : array or CSR array (n, d)

        Returns
        -------
        H : array (n, k), `X` itself where there is no hidden layer
        """
        if len(self.coefs) == 1:
            return X
        return _by_rows(self._hidden, X)

    def decision(self, X: Array) -> Array:
        """Return the outputs (n, q) before the output function, of X (n, d)."""
        return _by_rows(lambda rows: self._layer(self._hidden(rows), -1), X)

    def predict(self, X: Array) -> Array:
        """Return the outputs (n, q) after the output function, of X (n, d)."""
        Z = self.decision(X)
        if self.output == "logistic":
            return logistic(Z)
        return softmax(Z, axis=1) if self.output == "softmax" else Z

    def _hidden(self, X: Array) -> Array:
        activation = ACTIVATIONS[self.activation]
        for layer in range(len(self.coefs) - 1):
            X = activation.value(self._layer(X, layer))
        return X

    def _layer(self, X: Array, layer: int) -> Array:
        Z = X @ self.coefs[layer]
        Z += self.intercepts[layer]
        return Z


def random_network(
    sizes: Sequence[int],
    activation: str,
    output: str,
    rng: np.random.Generator,
    *,
    like: Array | None = None,
) -> Network:
    """Draw a network as scikit-learn does (Glorot, Bengio 2010, equation 16).

    Weights and intercepts of a layer are uniform on ±sqrt(6 / (fan_in + fan_out)), ±sqrt(2 / ...)
    for the logistic activation.

    Parameters
    ----------
    sizes : widths of all layers, from the inputs to the outputs
    activation, output : see `Network`
    rng : Generator
        scikit-learn's own numbers come from a ``numpy.random.RandomState``.
    like : array, optional
        Its library, device and precision are those of the network; NumPy's float64 by default.

    Returns
    -------
    Network

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.models.network.dense import random_network
    >>> random_network((30, 10, 1), "relu", "identity", np.random.default_rng(0)).sizes
    (30, 10, 1)
    """
    like = np.empty(0) if like is None else like
    coefs, intercepts = [], []
    for fan_in, fan_out in pairwise(sizes):
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (fan_in + fan_out))
        coefs.append(from_numpy(rng.uniform(-bound, bound, (fan_in, fan_out)), like=like))
        intercepts.append(from_numpy(rng.uniform(-bound, bound, fan_out), like=like))
    return Network(tuple(coefs), tuple(intercepts), activation, output)


def flatten(network: Network) -> Array:
    """Return all parameters as one array (p,): the weights of each layer, then the intercepts."""
    xp = get_namespace(*network.coefs)
    return xp.concat([xp.reshape(part, (-1,)) for part in (*network.coefs, *network.intercepts)])


def unflatten(vector: Array, like: Network) -> Network:
    """Return the network whose parameters `flatten` would lay out as `vector`.

    Parameters
    ----------
    vector : array (p,)
        A NumPy array becomes arrays of the library, device and precision of `like`.
    like : Network
        Gives shapes and functions.

    Returns
    -------
    Network
        Its arrays are copies.
    """
    coefs, intercepts = split(same_kind(vector, like.coefs[0]), like.sizes)
    xp = get_namespace(*coefs)
    return Network(
        tuple(xp.asarray(part, copy=True) for part in coefs),
        tuple(xp.asarray(part, copy=True) for part in intercepts),
        like.activation,
        like.output,
    )


def mean_loss(network: Network, X: Array, Y: Array, sample_weight: Array | None = None) -> float:
    """Return the average loss of a network over rows, without a penalty; see `Objective`."""
    return Objective(X, Y, network, sample_weight=sample_weight).value(flatten(network))


def row_losses(network: Network, X: Array, Y: Array) -> np.ndarray:
    """Return the loss of each row, (n,) on the host; their average is `mean_loss`."""
    found, Y = to_numpy(network.predict(X)), to_numpy(Y)
    if network.output == "identity":
        return 0.5 * np.mean((found - Y) ** 2, axis=1)
    tiny = np.finfo(found.dtype).eps
    found = np.clip(found, tiny, 1 - tiny)
    likelihood = Y * np.log(found)
    if network.output == "logistic":
        likelihood += (1 - Y) * np.log(1 - found)
    return -np.sum(likelihood, axis=1)


class Objective:
    """Loss of a network on given rows and its gradient, as functions of its parameters.

    With weights w_i that add up to s, and layers W_l,

        ``f = 1/s Σ_i w_i loss(y_i, p_i) + alpha / (2 s) Σ_l |W_l|²``

    where the loss is half the squared error averaged over the outputs (output "identity"), minus
    the log likelihood of each output on its own ("logistic") or of the class ("softmax"), with
    probabilities clipped to a rounding error away from 0 and 1. These are the losses of
    scikit-learn 1.9. The gradient is the gradient of this function; scikit-learn's, with several
    outputs and squared errors, is larger by the number of outputs in all but the penalty
    (scikit-learn issue 8349).

    Parameters
    ----------
    X : array (n, d), or a SciPy sparse array of NumPy numbers
    Y : array (n, q)
        Targets; for classes 0 and 1, one column a class unless there are only two.
    template : Network
        Gives shapes, functions, library and precision; its parameters do not matter.
    alpha : float
        Penalty.
    sample_weight : array (n,), optional

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
    """

    def __init__(
        self,
        X: Array,
        Y: Array,
        template: Network,
        alpha: float = 0.0,
        sample_weight: Array | None = None,
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
        passes = HostPasses if isinstance(template.coefs[0], np.ndarray) else LibraryPasses
        self._passes: HostPasses | LibraryPasses = passes(
            sizes, ACTIVATIONS[template.activation], template.output, template.coefs[0]
        )
        self._X = X.tocsr() if sparse.issparse(X) else X
        self._targets = Y
        self._weight = sample_weight
        self._alpha = alpha
        self._blocks: list[Block] | None = None

    def __call__(self, vector: Array) -> tuple[float, Array]:
        """Return value and gradient (p,) at the parameters `vector` (p,), laid out as `flatten`.

        The gradient is an array of NumPy's float64 where the vector is one of NumPy, of the
        data's library and precision otherwise.
        """
        return self._evaluate(vector, self._all_blocks())

    def value(self, vector: Array) -> float:
        """Return the value alone, at about half the cost."""
        return self._evaluate(vector, self._all_blocks(), with_gradient=False)[0]

    def on_rows(self, vector: Array, rows: slice | Array) -> tuple[float, Array]:
        """Return value and gradient for some rows only, as if there were no others.

        Parameters
        ----------
        vector : array (p,)
        rows : slice or integer array (m,)
            Should be few, such as a batch: they pass as one block, and work space is kept for each
            number of rows met.

        Returns
        -------
        value : float
        gradient : array (p,)
        """
        return self._evaluate(vector, [self._block(rows)])

    def _evaluate(
        self, vector: Array, blocks: Sequence[Block], *, with_gradient: bool = True
    ) -> tuple[float, Array]:
        passes = self._passes
        loss = total = 0.0
        with np.errstate(all="ignore"):
            passes.load(vector)
            for block in blocks:
                total += block.weight_sum
                loss += passes.add(block, with_gradient=with_gradient)
            if self._alpha:
                loss += self._alpha / 2 * passes.squared_norm()
            gradient = passes.gradient(self._alpha, total) if with_gradient else None
            return loss / total, gradient

    def _all_blocks(self) -> list[Block]:
        if self._blocks is None:
            n_rows = self._X.shape[0]
            n_blocks = max(1, math.ceil(n_rows / self._passes.rows_a_block))
            ends = [n_rows * block // n_blocks for block in range(n_blocks + 1)]
            self._blocks = [self._block(slice(*pair)) for pair in pairwise(ends)]
        return self._blocks

    def _block(self, rows: slice | Array) -> Block:
        X, targets = take(self._X, rows), take(self._targets, rows)
        if self._weight is None:
            return Block(X, targets.T, None, float(X.shape[0]))
        weight = take(self._weight, rows)
        return Block(X, targets.T, weight, float(get_namespace(weight).sum(weight)))


def _by_rows(function: Callable[[Array], Array], X: Array) -> Array:
    """Apply a function of rows block by block, and put the results together."""
    n_rows, step = X.shape[0], _ROWS
    if n_rows <= step:
        return function(X)
    results = [function(take(X, slice(start, start + step))) for start in range(0, n_rows, step)]
    return get_namespace(*results).concat(results)
