"""Deep equilibrium networks: one layer that is applied until it changes nothing any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import Array, from_numpy, get_namespace, to_numpy
from spectral_nn.data.rows import Rows
from spectral_nn.models.equilibrium.fixed_point import (
    Answers,
    FixedPoint,
    Iteration,
    States,
    answer_rows,
)
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.dense import Network, flatten, take, unflatten
from spectral_nn.models.network.outputs import OUTPUTS
from spectral_nn.trainers.base import Vector

__all__ = [
    "CONTRACTIVE",
    "GRADIENTS",
    "EquilibriumNetwork",
    "EquilibriumObjective",
    "cap_norm",
]

Matrix: TypeAlias = NDArray[np.float64]

CONTRACTIVE = ("relu", "tanh", "logistic", "softplus", "identity")
"""Activations whose slope is 1 at most."""

GRADIENTS = ("implicit", "jacobian-free", "unrolled")


@dataclass(frozen=True, eq=False)
class EquilibriumNetwork:
    r"""A hidden layer that feeds itself.

    .. math:: z = \sigma(z W + x U + b), \qquad f(x) = g(z V + c)

    Attributes
    ----------
    recurrent : array (k, k)
        W, whose spectral norm is below 1, so that there is one such z for each x.
    network : Network
        U (d, k), V (k, q), b and c, σ and g: the network that is left where W is zero.
    """

    recurrent: Array
    network: Network

    @classmethod
    def from_perceptron(cls, network: Network) -> EquilibriumNetwork:
        """Return a network with one hidden layer as it is: W is zero."""
        U = network.coefs[0]
        return cls(from_numpy(np.zeros((U.shape[1],) * 2), like=U), network)

    def on(self, like: Array) -> EquilibriumNetwork:
        """Return the network in the library, on the device and in the precision of an array."""
        recurrent = from_numpy(to_numpy(self.recurrent), like=like)
        return EquilibriumNetwork(recurrent, self.network.on(like))

    def drive(self, X: Array) -> Array:
        """Return what comes from outside, x U + b, (n, k)."""
        U = self.network.coefs[0]
        return X @ U + self.network.intercepts[0]

    def find_states(
        self, drive: Array, iteration: Iteration, path: list[States] | None = None
    ) -> FixedPoint:
        """Find z (n, k) of a drive (n, k), from zero."""
        activation = ACTIVATIONS[self.network.activation]

        def update(states: States) -> States:
            return [activation.value(states[0] @ self.recurrent + drive)]

        return iteration.run(update, [get_namespace(drive).zeros_like(drive)], path)

    def read_out(self, z: Array) -> Array:
        """Return the outputs (n, q), before g, of states (n, k)."""
        return z @ self.network.coefs[1] + self.network.intercepts[1]

    def answer(self, X: Array, iteration: Iteration) -> Answers:
        """Return outputs (n, q), before g, of X (n, d)."""

        def find(rows: Array) -> tuple[Array, FixedPoint]:
            found = self.find_states(self.drive(rows), iteration)
            return self.read_out(found.states[0]), found

        return answer_rows(find, X)


class EquilibriumObjective:
    r"""Loss of an equilibrium network and its gradient, as functions of its parameters.

    The loss, its weights and its penalty, which W has too, are those of
    `spectral_nn.models.network.objective.Objective`.

    The parameters are (R, U, V, b, c), in one vector, with
    :math:`W = R \min(1, \text{max\_norm} / \|R\|_2)`: whatever a trainer does to R, W is a
    contraction.  The gradient is that of the loss with respect to R.

    Parameters
    ----------
    rows : Rows
        In memory.  They, and all that is computed of them, stay where they are.
    template : EquilibriumNetwork
        Gives shapes and functions; its parameters do not matter.
    alpha : float
        Penalty.
    max_norm : float
        Largest spectral norm of W.
    gradient : {"implicit", "jacobian-free", "unrolled"}
        With e the error at z, D the slopes of σ there, and f one step of the iteration:
        "implicit" solves :math:`a = e + a D W^\top` by the same iteration as the states
        (Bai, Kolter, Koltun, *Deep equilibrium models*, NeurIPS 2019, theorem 1);
        "jacobian-free" has a = e (Wu Fung et al., *JFB: Jacobian-free backpropagation for implicit
        networks*, AAAI 2022, equation 12); "unrolled" goes back through all steps.
    iteration : Iteration
        Of the states, and of a.

    Notes
    -----
    With T steps, T n k² multiply-adds for the states and as many for a; "jacobian-free" saves the
    latter.  Memory is O(n k) whatever T, but for "unrolled", O(T n k).  The norm of R takes
    7 k³ / 3.
    """

    def __init__(
        self,
        rows: Rows,
        template: EquilibriumNetwork,
        alpha: float = 0.0,
        max_norm: float = 0.9,
        gradient: str = "implicit",
        iteration: Iteration | None = None,
    ) -> None:
        self._rows, self._alpha, self._max_norm = rows, alpha, max_norm
        self._template = template.on(np.empty(0))
        self._gradient = gradient
        self._iteration = iteration or Iteration()

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self._rows.n_rows

    def flatten(self, model: EquilibriumNetwork) -> Vector:
        """Return parameters (p,) of a network whose W is within bounds."""
        parts = to_numpy(model.recurrent).reshape(-1), to_numpy(flatten(model.network))
        return np.concatenate(parts).astype(np.float64)

    def unflatten(self, x: Vector) -> EquilibriumNetwork:
        """Return the network of parameters (p,), on the host, its W within bounds."""
        R, network = self._split(x)
        return EquilibriumNetwork(cap_norm(R, self._max_norm)[0], network)

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Return value and gradient (p,) at the parameters x (p,), on all rows at once."""
        return self.on_rows(x, slice(0, self.n_rows))

    def value(self, x: Vector) -> float:
        """Return the value alone."""
        return self(x)[0]

    def on_rows(self, x: Vector, rows: slice | NDArray[np.intp]) -> tuple[float, Vector]:
        """Return value and gradient (p,) for some rows only, as if there were no others.

        Parameters
        ----------
        x : array (p,)
        rows : slice or array (m,) of int
        """
        if not np.isfinite(x).all():  # there is no norm of R
            return np.nan, np.full_like(x, np.nan)
        with np.errstate(all="ignore"):
            return self._evaluate(x, Rows(*(take(part, rows) for part in self._rows)))

    def _evaluate(self, x: Vector, rows: Rows) -> tuple[float, Vector]:
        R, network = self._split(x)
        W, pull_back = cap_norm(R, self._max_norm)
        model = EquilibriumNetwork(W, network).on(rows.like)
        path: list[States] | None = [] if self._gradient == "unrolled" else None
        drive = model.drive(rows.X)
        found = model.find_states(drive, self._iteration, path)
        z = found.states[0]
        output = OUTPUTS[network.output]
        loss, error = output.error(model.read_out(z), rows.Y, rows.weight[:, None], axis=1)
        at_z = error @ model.network.coefs[1].T
        if path is not None:
            of_W, local = _unroll(model, drive, path, found.n_steps, at_z)
        else:
            local = self._local_errors(model, drive, z, at_z)
            of_W = z.T @ local
        xp = get_namespace(z)
        parts = rows.X.T @ local, z.T @ error, xp.sum(local, axis=0), xp.sum(error, axis=0)
        of_W, of_U, of_V, of_b, of_c = (to_numpy(part) for part in (of_W, *parts))
        U, V = network.coefs
        total, alpha = rows.total_weight, self._alpha
        loss += alpha / 2 * sum(float(np.vdot(part, part)) for part in (W, U, V))
        of_R = pull_back(of_W + alpha * W)
        gradient = of_R, of_U + alpha * U, of_V + alpha * V, of_b, of_c
        return loss / total, np.concatenate([part.reshape(-1) for part in gradient]) / total

    def _local_errors(
        self, model: EquilibriumNetwork, drive: Array, z: Array, at_z: Array
    ) -> Array:
        """Errors before σ, (n, k), at states z, of errors behind it."""
        activation = ACTIVATIONS[model.network.activation]
        before = z @ model.recurrent + drive
        slopes = activation.derivative(before, activation.value(before))
        if self._gradient == "implicit":
            W = model.recurrent.T

            def update(errors: States) -> States:
                return [at_z + (errors[0] * slopes) @ W]

            at_z = self._iteration.run(update, [at_z]).states[0]
        return at_z * slopes

    def _split(self, x: Vector) -> tuple[Matrix, Network]:
        k = self._template.recurrent.shape[0]
        R, rest = x[: k * k].reshape(k, k), x[k * k :]
        return R, unflatten(rest, self._template.network)


def _unroll(
    model: EquilibriumNetwork, drive: Array, path: list[States], n_steps: Array, errors: Array
) -> tuple[Array, Array]:
    """Sums over all steps of the gradient of W, (k, k), and of errors before σ, (n, k)."""
    xp, W = get_namespace(drive), model.recurrent
    activation = ACTIVATIONS[model.network.activation]
    of_W, local = xp.zeros_like(W), xp.zeros_like(drive)
    last = len(path) - 1
    for t in range(last, -1, -1):
        z = path[t][0]
        before = z @ W + drive
        moved = ((n_steps > t) | (t == last))[:, None]
        slopes = activation.derivative(before, activation.value(before))
        here = xp.where(moved, errors * slopes, xp.zeros_like(errors))
        of_W += z.T @ here
        local += here
        errors = xp.where(moved, here @ W.T, errors)
    return of_W, local


def cap_norm(R: Matrix, max_norm: float) -> tuple[Matrix, Callable[[Matrix], Matrix]]:
    r"""Scale a matrix down to a spectral norm of `max_norm`, if its own is larger.

    Parameters
    ----------
    R : array (k, k)
    max_norm : float

    Returns
    -------
    W : array (k, k)
    pull_back : callable
        Turns a gradient G with respect to W into one with respect to R.  With the largest singular
        value s of R and its vectors u, v, where s is above the bound c, that is

        .. math:: \frac{c}{s} \Big(G - \frac{\langle G, R \rangle}{s}\, u v^\top\Big)

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.models.equilibrium.deep import cap_norm
    >>> W, pull_back = cap_norm(np.diag([3.0, 1.0]), 0.9)
    >>> W.round(6).tolist(), pull_back(np.ones((2, 2))).round(6).tolist()
    ([[0.9, 0.0], [0.0, 0.3]], [[-0.1, 0.3], [0.3, 0.3]])
    """
    norm, u, v = _largest_singular(R)
    if norm <= max_norm:
        return R, lambda gradient: gradient

    def pull_back(gradient: Matrix) -> Matrix:
        across = float(np.vdot(gradient, R)) / norm
        return (gradient - across * np.outer(u, v)) * (max_norm / norm)

    return R * (max_norm / norm), pull_back


def _largest_singular(R: Matrix) -> tuple[float, Vector, Vector]:
    """Largest singular value of R (k, k), and its left and right vectors."""
    size, k = float(np.abs(R).max()), R.shape[1]
    if size == 0:
        return 0.0, np.zeros(k), np.zeros(k)
    scaled = R / size  # squares neither overflow nor vanish
    # all of them: LAPACK's search for the last alone finds none where a matrix falls in blocks
    v = np.linalg.eigh(scaled.T @ scaled).eigenvectors[:, -1]
    image = scaled @ v
    norm = float(np.linalg.norm(image))
    return norm * size, image / norm, v
