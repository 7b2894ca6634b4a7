"""The parameters of a hidden Markov model, whatever its observations are.

Conventions used everywhere in the package, for K states:

* ``startprob[k] = P(h_1 = k)``,
* ``transmat[i, j] = P(h_{t+1} = j | h_t = i)``: rows sum to one,
* ``emission``: the law of an observation in each state, see `spectral_nn.emissions`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from spectral_nn.emissions import CategoricalEmission, Emission

__all__ = ["HMMParameters", "n_parameters", "stationary"]

E = TypeVar("E", bound=Emission)


@dataclass(frozen=True, eq=False)
class HMMParameters(Generic[E]):
    """Start and transition probabilities of a chain, and the law of its observations.

    The arrays are stored as float64; only their shapes are checked. Whether the rows are
    probabilities is the caller's affair (an estimator checks what its user gave).

    Parameters
    ----------
    startprob : ndarray of shape (K,)
        Distribution of the first state.
    transmat : ndarray of shape (K, K)
        Row i is the distribution of the state that follows state i.
    emission : Emission
        Law of an observation in each of the K states.

    Raises
    ------
    ValueError
        If the three do not belong to one model.

    See Also
    --------
    spectral_estimators.CategoricalHMM : Has the same arrays as attributes.

    Examples
    --------
    >>> import numpy as np
    >>> parameters = HMMParameters.categorical([.5, .5], [[.9, .1], [.2, .8]], np.eye(2, 3))
    >>> parameters.n_components, parameters.emission.n_symbols
    (2, 3)
    """

    startprob: NDArray[np.float64]
    transmat: NDArray[np.float64]
    emission: E

    def __post_init__(self) -> None:
        """Store float64 arrays and check that their shapes fit together."""
        if not hasattr(self.emission, "n_components"):
            _warn("HMMParameters of an array of emissions", "HMMParameters.categorical")
            emission: Any = self.emission
            object.__setattr__(self, "emission", CategoricalEmission(emission))
        for name in ("startprob", "transmat"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        K = self.emission.n_components
        if self.startprob.shape != (K,) or self.transmat.shape != (K, K) or K < 1:
            raise ValueError(
                "startprob, transmat and emission must be of one K >= 1, with the shapes (K,) and "
                f"(K, K); got {self.startprob.shape}, {self.transmat.shape} and an emission of {K} "
                "states."
            )

    @classmethod
    def categorical(
        cls, startprob: Any, transmat: Any, emissionprob: Any
    ) -> HMMParameters[CategoricalEmission]:
        """Parameters of a model whose states emit symbols.

        Parameters
        ----------
        startprob : array-like of shape (K,)
            Distribution of the first state.
        transmat : array-like of shape (K, K)
            Row i is the distribution of the state that follows state i.
        emissionprob : array-like of shape (K, d)
            Row k is the distribution of the symbols of state k.

        Returns
        -------
        HMMParameters
        """
        emission = CategoricalEmission(emissionprob)
        return HMMParameters(startprob, transmat, emission)

    @property
    def emissionprob(self) -> NDArray[np.float64]:
        """Deprecated: `emission.probs`."""
        _warn("HMMParameters.emissionprob", "emission.probs")
        return self.emission.probs  # type: ignore[attr-defined]

    @property
    def n_components(self) -> int:
        """Number of states, K."""
        return self.emission.n_components

    @cached_property
    def stationary(self) -> NDArray[np.float64]:
        """Stationary distribution (K,), see `stationary`; every chunk of an E-step asks for it."""
        return stationary(self.transmat)


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} goes in the next release; use {new}.", FutureWarning, stacklevel=3)


def stationary(transmat: NDArray[np.floating]) -> NDArray[np.float64]:
    """Stationary distribution of a Markov chain.

    Solves ``[I - T^T; 1^T] p = [0; 1]`` in the least-squares sense (singular values, so the system
    is never squared). The solution is the stationary distribution where there is only one; where
    the chain falls apart into several closed classes it is the one of least norm.

    Parameters
    ----------
    transmat : ndarray of shape (K, K)
        Transition probabilities, rows summing to one.

    Returns
    -------
    ndarray of shape (K,)
        Float64, non-negative, summing to one.

    Notes
    -----
    Cost: O(K^3).

    Examples
    --------
    >>> import numpy as np
    >>> stationary(np.array([[0.9, 0.1], [0.2, 0.8]])).round(4)
    array([0.6667, 0.3333])
    """
    matrix = np.asarray(transmat, dtype=np.float64)
    n_components = matrix.shape[0]
    system = np.vstack([np.eye(n_components) - matrix.T, np.ones(n_components)])
    target = np.append(np.zeros(n_components), 1.0)
    solution = np.linalg.lstsq(system, target, rcond=None)[0]
    probabilities: NDArray[np.float64] = np.clip(solution, 0.0, None)
    return probabilities / probabilities.sum()


def n_parameters(parameters: HMMParameters) -> int:
    """Count the free parameters, as AIC and BIC need them.

    Each row of probabilities has one degree of freedom less than entries:
    ``(K - 1) + K (K - 1)``, and those of the emissions.

    Parameters
    ----------
    parameters : HMMParameters
        A model with K states.

    Examples
    --------
    >>> import numpy as np
    >>> even = np.full((2, 2), 0.5)
    >>> n_parameters(HMMParameters.categorical([.5, .5], even, np.full((2, 3), 1 / 3)))
    7
    """
    K = parameters.n_components
    return (K - 1) + K * (K - 1) + parameters.emission.n_parameters
