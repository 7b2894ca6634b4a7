"""Forward gradients: slopes along guesses, for want of errors that go back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

import numpy as np

from spectral_nn.arrays import Array, from_numpy, get_namespace, numpy_dtype
from spectral_nn.trainers.base import Batch
from spectral_nn.trainers.layers import DenseLayer, Gradient, Trace, forward
from spectral_nn.trainers.rules.base import Memory, Rule, views
from spectral_nn.trainers.rules.heads import HeadKind, HeadPass, as_heads, draw_heads, pass_head

__all__ = ["ForwardGradient"]

Target: TypeAlias = Literal["global", "local"]
Guess: TypeAlias = Literal["isotropic", "local", "ntk", "fixed-ntk", "global"]
Space: TypeAlias = Literal["weight", "activity", "network"]
_CHOICES = {"target": Target, "guess": Guess, "space": Space, "head": HeadKind}

Direction: TypeAlias = tuple[Array, Array]
"""Tangents of weights and intercepts: (fan_in, fan_out) and (fan_out,) where weights move, None and
(rows, fan_out) where the sums of each row do."""


@dataclass(frozen=True)
class ForwardGradient(Rule):
    r"""Forward gradients: guesses of a gradient, as long as the slope along them says.

    A tangent that is pushed forward through a network gives the slope of the loss along one
    direction. For each hidden layer, or block, with a target gradient :math:`g` that nobody
    computes, and a guess :math:`v` of it,

    .. math:: \hat g = \langle g, v \rangle\, v \quad (v \text{ isotropic}), \qquad
        \hat g = \frac{\langle g, v \rangle}{|v|^2}\, v \quad (v \text{ informed})

    The first is the gradient on average, the second its projection on the guess. The last layer
    takes its gradient, for which no error has to go back.

    Parameters
    ----------
    optimizer : {"adam", "sgd"}, default="adam"
        Takes the steps, with the settings of the estimator.
    target : {"global", "local"}, default="global"
        Whose slope is measured: that of the network's loss, or of the loss of a head on the block.
    guess : {"isotropic", "local", "ntk", "fixed-ntk", "global"}, default="local"
        Normal numbers; or the gradient of the loss of a head that learns; of one that is random,
        new for each batch or the same throughout; or of the network, by backpropagation, to
        compare with.
    space : {"weight", "activity", "network"}, default="weight"
        What moves: all weights of a block at once; the sums that enter its units, with a slope for
        each row; or all weights of all layers at once, the last one too, along one isotropic
        direction.
    n_directions : int, default=1
        How many guesses are averaged, of those that are drawn: "isotropic" and "ntk".
    head : {"linear", "mlp"}, default="mlp"
        Heads of blocks: linear, or with one hidden layer of 64 units.

    Raises
    ------
    ValueError
        If a setting is not one of these, ``n_directions`` is above 1 for a guess that is not drawn,
        or ``space="network"`` comes with another target than "global", or guess than "isotropic".

    See Also
    --------
    Backprop : what is estimated.

    Notes
    -----
    ``target="global", guess="isotropic", space="network"`` is the rule of [1]_;
    ``target="local", guess="isotropic", space="activity"`` that of [2]_; target and guess "local"
    learn each block by its own loss, and "global" by backpropagation. In the space of activities,
    isotropic guesses are zero where a unit's derivative is: it would be noise.

    Heads that learn do so by their own gradient, as a part of the network to the optimiser.

    A target that is global takes 2 flops a weight and row for each block below the weight. A guess
    that is informed takes 6 for each weight of its head, and 2 for each of the block where weights
    move. All blocks keep values, guesses and tangents until the slopes are known: three times what
    backpropagation keeps.

    References
    ----------
    .. [1] Baydin, Pearlmutter, Syme, Wood, Torr, "Gradients without backpropagation",
       arXiv 2202.08587, 2022, definition 1.
    .. [2] Ren, Kornblith, Liao, Hinton, "Scaling forward gradient with local losses", ICLR 2023,
       section 3.
    .. [3] Fournier, Rivaud, Belilovsky, Eickenberg, Oyallon, "Can forward gradient match
       backpropagation?", ICML 2023, section 3.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_estimators import MLPClassifier
    >>> from spectral_estimators.trainers import ForwardGradient
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier((32, 32), solver=ForwardGradient("sgd"), init="random", max_iter=20,
    ...                     learning_rate="cosine", learning_rate_init=0.1, random_state=0)
    >>> net.fit(X[:1500] / 16, y[:1500]).score(X[1500:] / 16, y[1500:]) > 0.85
    True
    """

    name: ClassVar[str] = "forward gradient"

    target: Target = "global"
    guess: Guess = "local"
    space: Space = "weight"
    n_directions: int = 1
    head: HeadKind = "mlp"

    def __post_init__(self) -> None:
        """Check the settings, alone and with each other."""
        super().__post_init__()
        for name, kind in _CHOICES.items():
            if (found := getattr(self, name)) not in get_args(kind):
                raise ValueError(f"{name}={found!r}: choose one of {list(get_args(kind))}")
        if self.n_directions < 1:
            raise ValueError(f"n_directions={self.n_directions}: give one at least")
        if self.n_directions > 1 and self.guess not in ("isotropic", "ntk"):
            raise ValueError(
                f"n_directions={self.n_directions}: guess={self.guess!r} is one direction; set "
                "n_directions=1, or guess to 'isotropic' or 'ntk'"
            )
        if self.space == "network" and (self.target, self.guess) != ("global", "isotropic"):
            raise ValueError(
                "space='network' moves all weights along one random direction, but target="
                f"{self.target!r} and guess={self.guess!r}; set target='global' and "
                "guess='isotropic', or space='weight'"
            )

    @property
    def exact(self) -> bool:  # type: ignore[override]
        """Whether the direction is the gradient: only if that is guessed."""
        return (self.target, self.guess) == ("global", "global")

    @property
    def unbiased(self) -> bool:  # type: ignore[override]
        """Whether it is so on average: if the guess is isotropic."""
        return self.target == "global" and self.guess in ("isotropic", "global")

    @property
    def uses_backward(self) -> bool:  # type: ignore[override]
        """Whether errors pass backwards: for the guess of backpropagation."""
        return self.guess == "global"

    @property
    def locks_layers(self) -> bool:  # type: ignore[override]
        """Whether a block has to wait for those above it."""
        return "global" in (self.target, self.guess)

    def init(
        self, layers: Sequence[DenseLayer], n_outputs: int, rng: np.random.Generator
    ) -> Memory:
        """Return heads: those that learn, and those that stay as they are."""

        def draw() -> list[Array]:
            return draw_heads(self.head, layers[:-1], n_outputs, rng)

        learned = draw() if "local" in (self.target, self.guess) else []
        return Memory(learned, draw() if self.guess == "fixed-ntk" else None)

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
        """Write an estimate of the gradient of a batch, and the heads' own; return its loss."""
        traces = forward(layers, batch.X)
        value, error = batch.loss(traces[-1].out)
        if self.space == "network":
            self._write_network(layers, traces, error, into, rng)
            return value
        layers[-1].write_gradient(traces[-1], error, into[-1])
        blocks = list(zip(layers[:-1], traces[:-1], strict=True))
        passes = _pass_heads(blocks, batch, memory.learned, into_learned)
        if self.guess == "isotropic":
            guesses = [
                [self._draw(*block, rng) for _ in range(self.n_directions)] for block in blocks
            ]
        else:
            if self.guess == "global":
                errors = _errors(layers, traces, error)
            elif self.guess == "local":
                errors = [[each.out_error] for each in passes]
            else:
                errors = self._random_errors(blocks, batch, memory.fixed, rng)
            guesses = [
                [self._direction(*block, each) for each in found]
                for block, found in zip(blocks, errors, strict=True)
            ]
        if self.target == "global":
            slopes = _slopes(layers, traces, error, guesses)
        else:
            slopes = [
                _slopes([layer, *head.layers], [trace, *head.traces], head.error, [guess])[0]
                for (layer, trace), head, guess in zip(blocks, passes, guesses, strict=True)
            ]
        for block, guess, slope, place in zip(blocks, guesses, slopes, into[:-1], strict=True):
            self._write_block(*block, guess, slope, place)
        return value

    def _draw(self, layer: DenseLayer, trace: Trace, rng: np.random.Generator) -> Direction:
        """Draw normal numbers."""
        if self.space == "weight":
            return _normal(layer.coef, rng), _normal(layer.intercept, rng)
        assert layer.activation is not None, "a hidden layer has an activation"
        derivative = layer.activation.derivative(trace.sums, trace.active)
        moves = get_namespace(derivative).astype(derivative != 0, derivative.dtype)
        return None, _normal(trace.active, rng) * moves

    def _random_errors(
        self,
        blocks: Sequence[tuple[DenseLayer, Trace]],
        batch: Batch,
        fixed: Sequence[Array] | None,
        rng: np.random.Generator,
    ) -> list[list[Array]]:
        """Errors of what leaves each block, from random heads on it."""
        hidden = [layer for layer, _ in blocks]
        errors: list[list[Array]] = [[] for _ in blocks]
        for _ in range(self.n_directions):
            arrays = fixed or draw_heads(self.head, hidden, batch.targets.shape[1], rng)
            for each, head, (_, trace) in zip(
                errors, as_heads(arrays, hidden), blocks, strict=True
            ):
                each.append(pass_head(head, trace.out, batch).out_error)
        return errors

    def _direction(self, layer: DenseLayer, trace: Trace, error: Array) -> Direction:
        """Gradient of a block, from the error of what leaves it."""
        sums_error = layer.sums_error(trace, error)
        if self.space == "activity":
            return None, sums_error
        xp = get_namespace(sums_error)
        gradient = xp.empty_like(layer.coef), xp.empty_like(layer.intercept)
        layer.write_gradient(trace, sums_error, gradient)
        return gradient

    def _write_block(
        self,
        layer: DenseLayer,
        trace: Trace,
        guesses: Sequence[Direction],
        slopes: Array,
        place: Gradient,
    ) -> None:
        """Write the mean of guesses as long as their slopes (guesses, rows) say."""
        xp = get_namespace(slopes)
        if self.space == "activity":
            lengths = [
                self._length(slopes[k, :], xp.sum(sums * sums, axis=1))
                for k, (_, sums) in enumerate(guesses)
            ]
            pairs = zip(lengths, guesses, strict=True)
            error = sum(length[:, None] * sums for length, (_, sums) in pairs)
            layer.write_gradient(trace, error, place)
            return
        lengths = [
            self._length(xp.sum(slopes[k, :]), xp.sum(coef * coef) + xp.sum(intercept * intercept))
            for k, (coef, intercept) in enumerate(guesses)
        ]
        for part in range(2):
            pairs = zip(lengths, guesses, strict=True)
            place[part][...] = sum(length * guess[part] for length, guess in pairs)

    def _length(self, slope: Array, square: Array) -> Array:
        """How often a guess with that slope and square goes into the estimate."""
        slope = slope / self.n_directions
        if self.guess == "isotropic":
            return slope
        xp = get_namespace(slope)
        return slope / xp.where(square > 0, square, xp.ones_like(square))

    def _write_network(
        self,
        layers: Sequence[DenseLayer],
        traces: Sequence[Trace],
        error: Array,
        into: Sequence[Gradient],
        rng: np.random.Generator,
    ) -> None:
        """Write the mean of random directions of all weights as long as their slopes say."""
        for place in into:
            place[0][...], place[1][...] = 0.0, 0.0
        for _ in range(self.n_directions):
            tangent, moves = None, []
            for layer, trace in zip(layers, traces, strict=True):
                moves.append((_normal(layer.coef, rng), _normal(layer.intercept, rng)))
                tangent = layer.push_forward(trace, tangent, *moves[-1])
            length = get_namespace(error).sum(error * tangent) / self.n_directions
            for place, move in zip(into, moves, strict=True):
                for part, moved in zip(place, move, strict=True):
                    part += length * moved


def _pass_heads(
    blocks: Sequence[tuple[DenseLayer, Trace]],
    batch: Batch,
    learned: Sequence[Array],
    into: Sequence[Array],
) -> list[HeadPass]:
    """Pass the heads that learn, if there are any, and write their gradients."""
    if not learned:
        return []
    hidden = [layer for layer, _ in blocks]
    return [
        pass_head(head, trace.out, batch, views(place))
        for head, place, (_, trace) in zip(
            as_heads(learned, hidden), as_heads(into, hidden), blocks, strict=True
        )
    ]


def _errors(
    layers: Sequence[DenseLayer], traces: Sequence[Trace], error: Array
) -> list[list[Array]]:
    """Errors of what leaves each hidden layer, by backpropagation."""
    errors = [layers[-1].error_below(error, error)]
    for layer, trace in zip(layers[-2:0:-1], traces[-2:0:-1], strict=True):
        errors.append(layer.pull_back(trace, errors[-1] + 0, None))
    return [[each] for each in reversed(errors)]


def _slopes(
    layers: Sequence[DenseLayer],
    traces: Sequence[Trace],
    error: Array,
    guesses: Sequence[Sequence[Direction]],
) -> list[Array]:
    """Slopes (guesses, rows) along the guesses of each of the first layers."""
    xp = get_namespace(error)
    tangents: list[Array] = []
    for i, (layer, trace) in enumerate(zip(layers, traces, strict=True)):
        for block, tangent in enumerate(tangents):  # in place of what is no longer needed
            tangents[block] = layer.push_forward(trace, tangent)
        if i < len(guesses):
            tangents.append(xp.stack([layer.push_forward(trace, None, *v) for v in guesses[i]]))
    return [xp.sum(error * tangent, axis=-1) for tangent in tangents]


def _normal(like: Array, rng: np.random.Generator) -> Array:
    """Normal numbers in an array like another."""
    draws = rng.standard_normal(tuple(like.shape), dtype=numpy_dtype(like.dtype).type)
    return from_numpy(draws, like=like)
