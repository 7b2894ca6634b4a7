"""Expected counts of a hidden Markov model: what an E-step sums, and the M-step that uses it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_nn.models.chains.parameters import HMMParameters

_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class HMMStatistics:
    """Expected counts of a chunk of data; ``a + b`` are those of both chunks.

    Attributes
    ----------
    start : (K,) expected number of sequences that start in each state.
    trans : (K, K) expected number of transitions.
    emit : (D, K) expected number of times that each state emits each code.
    log_likelihood : total, nats.
    disagreement : summed L1 distance between the two filters of every cut between lanes.
    n_cuts : number of cuts looked at.
    """

    start: NDArray[np.float64]
    trans: NDArray[np.float64]
    emit: NDArray[np.float64]
    log_likelihood: float
    disagreement: float = 0.0
    n_cuts: int = 0

    @property
    def lane_error(self) -> float:
        """Mean L1 distance of the two filters at a cut; 0 where nothing is cut."""
        return self.disagreement / max(self.n_cuts, 1)

    def __add__(self, other: HMMStatistics) -> HMMStatistics:
        """Statistics of both chunks."""
        return HMMStatistics(
            self.start + other.start,
            self.trans + other.trans,
            self.emit + other.emit,
            self.log_likelihood + other.log_likelihood,
            self.disagreement + other.disagreement,
            self.n_cuts + other.n_cuts,
        )


@dataclass(frozen=True, eq=False)
class Priors:
    """Dirichlet pseudo-counts, ``alpha - 1``, of the three parameters.

    Attributes
    ----------
    start, trans, emit : broadcastable to (K,), (K, K) and (K, d).
    """

    start: NDArray[np.float64] | float = 0.0
    trans: NDArray[np.float64] | float = 0.0
    emit: NDArray[np.float64] | float = 0.0

    def log_density(self, parameters: HMMParameters) -> float:
        """Logarithm of the prior density up to a constant: ``sum (alpha - 1) log p``.

        With alpha < 1 the density is infinite where p = 0; it is taken at p = 1e-300 there.

        Parameters
        ----------
        parameters : K states, d symbols.

        Returns
        -------
        float, nats; -inf where p = 0 and alpha > 1.

        Notes
        -----
        O(K (K + d)).
        """
        pairs = (
            (self.start, parameters.startprob),
            (self.trans, parameters.transmat),
            (self.emit, parameters.emissionprob),
        )
        total = 0.0
        for pseudo, p in pairs:
            pseudo = np.broadcast_to(pseudo, p.shape)
            used = pseudo != 0
            bounded = np.where(pseudo < 0, np.maximum(p, _TINY), p)
            with np.errstate(divide="ignore"):
                total += float(np.sum(pseudo[used] * np.log(bounded[used])))
        return total


def emission_counts(emit: NDArray[np.float64], n_symbols: int) -> NDArray[np.float64]:
    """Counts of symbols from those of codes: labels summed, missing dropped.

    Parameters
    ----------
    emit : (D, K) counts of codes, D = d + 1 or (d + 1)(K + 1).
    n_symbols : d.

    Returns
    -------
    (K, d) counts.
    """
    by_label = emit.reshape(-1, n_symbols + 1, emit.shape[1])
    return by_label.sum(axis=0)[:n_symbols].T


def maximise(
    statistics: HMMStatistics, parameters: HMMParameters, priors: Priors, update: str = "ste"
) -> HMMParameters:
    """M-step: each row of probabilities proportional to ``max(pseudo-count + count, 0)``.

    The posterior mode under Dirichlet priors (Rabiner 1989, eq. 40a-c, with pseudo-counts).  A
    row without any count keeps its value.

    Parameters
    ----------
    statistics : expected counts under `parameters`.
    parameters : what stays where `update` leaves it out, or where a row has no count.
    priors : pseudo-counts.
    update : which of "s"tart, "t"ransitions and "e"missions to re-estimate.

    Returns
    -------
    HMMParameters

    Notes
    -----
    O(K (K + D)).
    """
    counts = {
        "startprob": ("s", priors.start + statistics.start),
        "transmat": ("t", priors.trans + statistics.trans),
        "emissionprob": (
            "e",
            priors.emit + emission_counts(statistics.emit, parameters.n_symbols),
        ),
    }
    return HMMParameters(
        **{
            name: _normalised(count, getattr(parameters, name))
            if letter in update
            else getattr(parameters, name)
            for name, (letter, count) in counts.items()
        }
    )


def _normalised(counts, otherwise):
    counts = np.maximum(counts, 0.0)
    total = counts.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, counts / total, otherwise)


def relax(old: HMMParameters, new: HMMParameters, power: float) -> HMMParameters:
    """Reach beyond an M-step: ``old * (new / old)^power``, renormalised; `new` at power 1.

    Parameters
    ----------
    old : where the step began.
    new : where the M-step led.
    power : at least 1.

    Returns
    -------
    HMMParameters; zeros of `new` stay zero, and a row that would not be finite is that of `new`.

    Notes
    -----
    O(K (K + d)).  Over-relaxation after Salakhutdinov, Roweis 2003, see
    `spectral_nn.trainers.em.em`.
    """
    return HMMParameters(
        *(
            _relaxed(getattr(old, name), getattr(new, name), power)
            for name in ("startprob", "transmat", "emissionprob")
        )
    )


def _relaxed(old, new, power):
    if new is old:  # a part that is not re-estimated stays as it is, to the last bit
        return old
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        reached = np.where(new > 0, new * (new / old) ** (power - 1), 0.0)
    usable = np.isfinite(reached).all(axis=-1, keepdims=True)
    reached = np.where(usable, reached, new)
    return reached / reached.sum(axis=-1, keepdims=True)
