"""Probabilistic automata drawn at random, strings of theirs, and the perplexity of a model of them.

After the competition PAutomaC (Verwer, Eyraud, de la Higuera, "PAutomaC: a probabilistic automata
and hidden Markov models learning competition", Machine Learning 96, 2014): sparse machines, hidden
Markov models and nondeterministic automata in turn, whose strings end by chance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MEAN_LENGTHS = (6.0, 20.0)
N_STATES, N_SYMBOLS = (5, 60), (5, 20)
SHARES = {"hidden Markov model": (3.0, 0.3), "automaton": (2.0, 0.5)}
_LONGEST = 1000


@dataclass(frozen=True, eq=False)
class Automaton:
    """A machine that writes strings.

    Attributes
    ----------
    start : (n,) distribution of the first state; no string ends there.
    steps : (n, a, n), probability of writing a symbol and going to a state.
    stop : (n,) probability that the string ends; with `steps` it sums to one.
    """

    start: NDArray[np.float64]
    steps: NDArray[np.float64]
    stop: NDArray[np.float64]

    @property
    def n_states(self) -> int:
        """How many states there are."""
        return self.start.size

    @property
    def n_symbols(self) -> int:
        """Size of the alphabet, without an end."""
        return self.steps.shape[1]

    def log_probabilities(self, strings: list[NDArray[np.int32]]) -> NDArray[np.float64]:
        """Logarithms of the probabilities of strings, nats."""
        found = np.empty(len(strings))
        for i, string in enumerate(strings):
            state = self.start
            for symbol in string:
                state = state @ self.steps[:, symbol]
            found[i] = np.log(state @ self.stop)
        return found

    def sample(self, m: int, rng: np.random.Generator) -> list[NDArray[np.int32]]:
        """Draw m strings, all side by side."""
        n, a = self.n_states, self.n_symbols
        ways = np.concatenate([self.steps.reshape(n, -1), self.stop[:, None]], axis=1).cumsum(
            axis=1
        )
        ways /= ways[:, -1:]
        alive, state = np.arange(m), rng.choice(n, size=m, p=self.start)
        string, written = [], []
        for _ in range(_LONGEST):
            way = (rng.random(alive.size)[:, None] >= ways[state]).sum(axis=1)
            goes_on = way < n * a
            alive, way = alive[goes_on], way[goes_on]
            if not alive.size:
                break
            string.append(alive)
            written.append(way // n)
            state = way % n
        which, symbols = np.concatenate(string), np.concatenate(written).astype(np.int32)
        order = np.argsort(which, kind="stable")
        lengths = np.bincount(which, minlength=m)
        return np.split(symbols[order], np.cumsum(lengths)[:-1])

    def distinct(self, m: int, rng: np.random.Generator) -> list[NDArray[np.int32]]:
        """Draw until there are m different strings."""
        found: dict[bytes, NDArray[np.int32]] = {}
        while len(found) < m:
            for string in self.sample(m, rng):
                if len(found) < m:
                    found.setdefault(string.tobytes(), string)
        return list(found.values())


def draw_automaton(seed: int) -> Automaton:
    """The machine of a seed: a hidden Markov model if it is even, else any automaton.

    5 to 60 states, 5 to 20 symbols.  A state of a hidden Markov model goes to 3 others on average,
    and emits 3 in 10 symbols; in an automaton one state and symbol in two go on, to one state as a
    rule.  Strings have 6 to 20 symbols on average; half of the states end more of them.
    """
    rng = np.random.default_rng(seed)
    n, a = int(rng.integers(N_STATES[0], N_STATES[1] + 1)), int(rng.integers(5, N_SYMBOLS[1] + 1))
    mean = rng.uniform(*MEAN_LENGTHS)
    tendency = 0.05 + np.where(rng.random(n) < 0.5, rng.gamma(1.0, 1.0, n), 0.0)
    start = _sparse((1, n), min(1.0, 3 / n), rng)[0]
    if seed % 2 == 0:
        transitions, emissions = _sparse((n, n), min(1.0, 3 / n), rng), _sparse((n, a), 0.3, rng)
        steps = emissions[:, :, None] * transitions[:, None, :]
    else:
        steps = _sparse((n, a, n), min(1.0, 2 / n) / 2, rng)
    tendency[start > 0] = 0
    low, high = 1e-4, 1e3  # how much of the tendency gives strings of the mean length
    for _ in range(60):
        stop = np.minimum(tendency * np.sqrt(low * high), 0.9)
        chain = steps.sum(axis=1) * (1 - stop)[:, None]
        length = np.linalg.solve(np.eye(n) - chain.T, start) @ (1 - stop)
        low, high = (np.sqrt(low * high), high) if length > mean else (low, np.sqrt(low * high))
    return Automaton(start, steps * (1 - stop)[:, None, None], stop)


def count_free(automaton: Automaton, seed: int) -> int:
    """Free parameters of the machine of a seed, where it is known which of them are zero."""
    steps, parts = automaton.steps > 0, [automaton.start > 0]
    if seed % 2 == 0:
        parts += [np.asarray(steps.any(axis=axis)) for axis in (1, 2)]
    else:
        parts += [steps.reshape(automaton.n_states, -1)]
    n_free = sum(int(np.atleast_2d(part).sum() - np.atleast_2d(part).shape[0]) for part in parts)
    return n_free + int((automaton.stop > 0).sum())


def perplexity(true: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """``2^(-sum p log2 q)`` of log-probabilities, normalised over the strings."""
    p, q = np.exp(true - np.logaddexp.reduce(true)), found - np.logaddexp.reduce(found)
    return float(2 ** (-(p @ q) / np.log(2)))


def _sparse(shape: tuple[int, ...], share: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Distributions, one for each entry of the first axis, with a share of their entries."""
    kept = rng.random((shape[0], int(np.prod(shape[1:])))) < share
    for row in np.flatnonzero(~kept.any(axis=1)):
        kept[row, rng.integers(kept.shape[1])] = True
    weights = kept * rng.gamma(1.0, 1.0, kept.shape)
    return (weights / weights.sum(axis=1, keepdims=True)).reshape(shape)
