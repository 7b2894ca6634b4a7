"""What a learning rule is, what it is given, and the trainer that follows one."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from spectral_nn.arrays import Array, beside, get_namespace, to_numpy
from spectral_nn.trainers.base import Batch, LayeredProblem, Minimum, OnIterate, RowOrder
from spectral_nn.trainers.layers import DenseLayer, Gradient, forward, pull_back
from spectral_nn.trainers.minibatch import MiniBatchTrainer

__all__ = [
    "Memory",
    "Rule",
    "RuleTrainer",
    "backpropagate",
    "views",
]


@dataclass
class Memory:
    """What a rule keeps beside the network.

    Attributes
    ----------
    learned : arrays that the optimiser moves along with the network's, such as heads of layers.
    fixed : anything that it does not, such as feedback matrices.
    """

    learned: list[Array] = field(default_factory=list)
    fixed: Any = None


@dataclass(frozen=True)
class Rule(ABC):
    """How a batch of rows becomes a direction: a gradient, an estimate of one, or a stand-in.

    A frozen dataclass of settings, which knows layers but neither network nor optimiser.

    Attributes
    ----------
    optimizer : takes the steps, with the settings of the estimator: "adam" or "sgd".
    name : in messages and tables.
    exact : whether the direction is the gradient of the batch, to rounding.
    unbiased : whether it is so on average.
    uses_backward : whether errors pass backwards from layer to layer.
    locks_layers : whether a layer has to wait for those above it before it can learn.
    needs : see `spectral_nn.trainers.base.Trainer`.
    """

    name: ClassVar[str]
    exact: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    uses_backward: ClassVar[bool] = False
    locks_layers: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"rows", "hidden layers"})

    optimizer: Literal["adam", "sgd"] = "adam"

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.optimizer not in ("adam", "sgd"):
            raise ValueError(
                f"optimizer={self.optimizer!r} takes no steps on batches; use 'adam' or 'sgd'"
            )

    def init(
        self, layers: Sequence[DenseLayer], n_outputs: int, rng: np.random.Generator
    ) -> Memory:
        """Return what is kept beside the network, at the first.

        Parameters
        ----------
        layers : sequence of DenseLayer
            All of them, the last of which is linear; what is kept is of their library.
        n_outputs : int
            Columns of the targets.
        rng : numpy.random.Generator
            Draws it.

        Returns
        -------
        Memory
        """
        return Memory()

    def n_stages(self, n_layers: int) -> int:
        """Return in how many stages the epochs are done, each with a new optimiser.

        Parameters
        ----------
        n_layers : int

        Returns
        -------
        int
        """
        return 1

    def learning(self, stage: int, n_layers: int) -> list[bool] | None:
        """Return which layers learn in a stage, None for all.

        Parameters
        ----------
        stage : int
        n_layers : int

        Returns
        -------
        list of bool, or None
        """
        return None

    @abstractmethod
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
        """Write the direction of a batch; return the loss of the network on it.

        Parameters
        ----------
        layers : sequence of DenseLayer
            Of the network, as it is.
        batch : Batch
            Rows and targets.
        into : sequence of pairs of arrays, (fan_in, fan_out) and (fan_out,)
            Where directions of weights and intercepts go; zeros where a layer does not learn.
        memory : Memory
            See `init`; what is in `fixed` may be changed in place.
        into_learned : sequence of arrays, as ``memory.learned`` of `init`
            Where their directions go.
        rng : numpy.random.Generator
            What the rule draws from.
        stage : int
            See `n_stages`.

        Returns
        -------
        float
        """


def views(layers: Sequence[DenseLayer]) -> list[Gradient]:
    """Return weights and intercepts of layers, as where gradients are written to."""
    return [(layer.coef, layer.intercept) for layer in layers]


def backpropagate(layers: Sequence[DenseLayer], batch: Batch, into: Sequence[Gradient]) -> float:
    """Write the gradient of a batch, and return its mean loss.

    Rumelhart, Hinton, Williams, *Learning representations by back-propagating errors*, Nature 323
    (1986), equations 4 to 7. 6 flops a weight and row (4 for the first layer's); the values of all
    layers are kept.
    """
    traces = forward(layers, batch.X)
    value, error = batch.loss(traces[-1].out)
    pull_back(layers, traces, error, into)
    return value


@dataclass(eq=False)
class RuleState:
    """What a rule and its optimiser need to go on.

    Attributes
    ----------
    optimizer : state of the last stage's.
    memory : of the rule.
    """

    optimizer: Any
    memory: Memory


@dataclass(frozen=True)
class RuleTrainer:
    """A rule, and the optimiser that takes the steps: a `spectral_nn.trainers.base.Trainer`.

    Parameters of the network and what the rule learns beside it are one vector to the optimiser.

    Attributes
    ----------
    rule : makes directions.
    optimizer : moves along them.
    """

    rule: Rule
    optimizer: MiniBatchTrainer

    @property
    def name(self) -> str:
        """Name of the rule."""
        return self.rule.name

    @property
    def needs(self) -> frozenset[str]:
        """What the rule needs."""
        return self.rule.needs

    @property
    def max_iter(self) -> int:
        """Most epochs, of all stages."""
        return self.optimizer.max_iter

    @property
    def tol(self) -> float:
        """Of the optimiser."""
        return self.optimizer.tol

    @property
    def learning_rate_init(self) -> float:
        """Of the optimiser."""
        return self.optimizer.learning_rate_init

    def with_max_iter(self, max_iter: int) -> Self:
        """Return the trainer with another number of most epochs."""
        return replace(self, optimizer=self.optimizer.with_max_iter(max_iter))

    def train(
        self,
        problem: LayeredProblem,
        start: Array,
        *,
        rng: RowOrder,
        state: Any = None,
        on_iterate: OnIterate | None = None,
    ) -> Minimum:
        """Follow the rule from a start (p,), or go on from the `state` of an earlier `Minimum`.

        Each of several stages has its share of the epochs.  A state goes on with the last stage.
        """
        draws = rng
        if not isinstance(draws, np.random.Generator):  # scikit-learn's numbers, of which a rule
            seed = 0 if self.rule.exact else rng.permutation(1 << 16)[:8]  # that draws takes more
            draws = np.random.default_rng(seed)
        n_layers = len(problem.layers(start))
        n_stages = self.rule.n_stages(n_layers)
        if isinstance(state, RuleState):
            kept = copy.deepcopy(state.memory)
            memory = Memory(beside(kept.learned, start), beside(kept.fixed, start))
            optimizer_state = state.optimizer
            stages = range(n_stages - 1, n_stages)
        else:
            layers = problem.layers(start)
            memory = self.rule.init(layers, int(layers[-1].intercept.shape[0]), draws)
            optimizer_state, stages = None, range(n_stages)
        x, history, cosines = start, [], []
        for stage in stages:
            epochs = _share(self.max_iter, stage - stages[0], len(stages))
            followed = _Followed(problem, self.rule, memory, draws, stage)
            found = self.optimizer.with_max_iter(epochs).train(
                followed,
                followed.extend(x),
                rng=rng,
                state=optimizer_state,
                on_iterate=followed.tell(on_iterate),
            )
            x, memory = followed.take(found.x)
            history += found.history
            cosines += followed.cosines
        return replace(
            found,
            x=x,
            history=history,
            state=RuleState(found.state, memory),
            cosines=cosines,
        )


def _share(total: int, part: int, n_parts: int) -> int:
    """Epochs of one of some nearly equal parts."""
    return total * (part + 1) // n_parts - total * part // n_parts


class _Followed:
    """A problem whose batches give the directions of a rule, in the parameters of both."""

    def __init__(
        self,
        problem: LayeredProblem,
        rule: Rule,
        memory: Memory,
        rng: np.random.Generator,
        stage: int,
    ) -> None:
        self._problem, self._rule, self._rng = problem, rule, rng
        self._memory, self._stage = memory, stage
        self._compare_next = not rule.exact
        self.n_rows = problem.n_rows
        self.cosines: list[float] = []

    def extend(self, x: Array) -> Array:
        """Return the parameters (p + m,) of network and rule."""
        self._n = x.shape[0]
        self._learning = self._rule.learning(self._stage, len(self._problem.layers(x)))
        xp = get_namespace(x)
        return xp.concat([x, *(xp.reshape(part, (-1,)) for part in self._memory.learned)])

    def take(self, x: Array) -> tuple[Array, Memory]:
        """Return the network's parameters (p,), and what the rule keeps."""
        learned = [get_namespace(x).asarray(part, copy=True) for part in self._learned(x)]
        return x[: self._n], Memory(learned, self._memory.fixed)

    def tell(self, on_iterate: OnIterate | None) -> OnIterate:
        """Return who is told of each epoch: `on_iterate`, of the network's parameters alone."""

        def told(epoch: int, value: float, x: Array) -> bool | None:
            self._compare_next = not self._rule.exact
            return None if on_iterate is None else on_iterate(epoch, value, x[: self._n])

        return told

    def on_rows(self, x: Array, rows: slice | NDArray[np.intp], /) -> tuple[float, Array]:
        """Return the loss of a batch, and the direction (p + m,) of the rule."""
        direction = get_namespace(x).zeros_like(x)
        of_network = direction[: self._n]
        layers = self._problem.layers(x[: self._n], training=True)
        batch = self._problem.batch(rows)
        with np.errstate(all="ignore"):
            value = self._rule.write(
                layers,
                batch,
                views(self._problem.layers(of_network)),
                memory=Memory(self._learned(x), self._memory.fixed),
                into_learned=self._learned(direction),
                rng=self._rng,
                stage=self._stage,
            )
            if self._compare_next:
                self._compare_next = False
                self.cosines.append(self._cosine(layers, batch, of_network))
            value += self._problem.penalise(x[: self._n], of_network, batch, self._learning)
        return value, direction

    def _cosine(self, layers: Sequence[DenseLayer], batch: Batch, direction: Array) -> float:
        """Cosine of the direction of all hidden layers to their gradient; 0 where there is none."""
        gradient = get_namespace(direction).empty_like(direction)
        backpropagate(layers, batch, views(self._problem.layers(gradient)))
        one, other = (self._hidden(vector) for vector in (direction, gradient))
        norms = np.linalg.norm(one) * np.linalg.norm(other)
        return float(one @ other / norms) if norms > 0 else 0.0

    def _hidden(self, vector: Array) -> NDArray[np.floating]:
        """Entries of a vector (p,) that are of hidden layers, on the host."""
        hidden = views(self._problem.layers(vector))[:-1]
        parts = [to_numpy(part).ravel() for pair in hidden for part in pair]
        return np.concatenate([*parts, np.zeros(0)])

    def _learned(self, vector: Array) -> list[Array]:
        """Views of what the rule learns, or its direction."""
        parts, begin = [], self._n
        for part in self._memory.learned:
            end = begin + int(np.prod(part.shape))
            parts.append(get_namespace(vector).reshape(vector[begin:end], tuple(part.shape)))
            begin = end
        return parts
