"""The parameters of a hidden Markov model with categorical emissions.

Conventions used everywhere in the package, for K states and d symbols:

* ``startprob[k] = P(h_1 = k)``,
* ``transmat[i, j] = P(h_{t+1} = j | h_t = i)``: rows sum to one,
* ``emissionprob[k, v] = P(x_t = v | h_t = k)``: rows sum to one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class HMMParameters:
    """Start, transition and emission probabilities of one model.

    The arrays are stored as float64; only their shapes are checked. Whether the rows are
    probabilities is the caller's affair (an estimator checks what its user gave).

    Parameters
    ----------
    startprob : array of shape (K,)
        Distribution of the first state.
    transmat : array of shape (K, K)
        Row i is the distribution of the state that follows state i.
    emissionprob : array of shape (K, d)
        Row k is the distribution of the symbol emitted in state k.

    Raises
    ------
    ValueError
        If the three shapes do not belong to one model.

    Examples
    --------
    >>> import numpy as np
    >>> parameters = HMMParameters([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], np.eye(2, 3))
    >>> parameters.n_components, parameters.n_symbols
    (2, 3)
    """

    startprob: NDArray[np.float64]
    transmat: NDArray[np.float64]
    emissionprob: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Store float64 arrays and check that their shapes fit together."""
        for name in ("startprob", "transmat", "emissionprob"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        n_components = self.startprob.shape[0] if self.startprob.ndim == 1 else -1
        if (
            n_components < 1
            or self.transmat.shape != (n_components, n_components)
            or self.emissionprob.ndim != 2
            or self.emissionprob.shape[0] != n_components
        ):
            raise ValueError(
                "startprob, transmat and emissionprob must have the shapes (K,), (K, K) and (K, d) "
                f"with one K >= 1; got {self.startprob.shape}, {self.transmat.shape} and "
                f"{self.emissionprob.shape}."
            )

    @property
    def n_components(self) -> int:
        """Number of states, K."""
        return self.emissionprob.shape[0]

    @property
    def n_symbols(self) -> int:
        """Number of symbols, d."""
        return self.emissionprob.shape[1]


def stationary(transmat: NDArray[np.floating]) -> NDArray[np.float64]:
    """Stationary distribution of a Markov chain.

    Solves ``[I - T^T; 1^T] p = [0; 1]`` in the least-squares sense (singular values, so the system
    is never squared). The solution is the stationary distribution where there is only one; where
    the chain falls apart into several closed classes it is the one of least norm.

    Parameters
    ----------
    transmat : array of shape (K, K)
        Transition probabilities, rows summing to one.

    Returns
    -------
    array of shape (K,)
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
    ``(K - 1) + K (K - 1) + K (d - 1)``.

    Parameters
    ----------
    parameters : HMMParameters
        A model with K states and d symbols.

    Returns
    -------
    int
        The number of free parameters.

    Examples
    --------
    >>> import numpy as np
    >>> n_parameters(HMMParameters(np.ones(2) / 2, np.full((2, 2), 0.5), np.full((2, 3), 1 / 3)))
    7
    """
    n_components, n_symbols = parameters.emissionprob.shape
    return (n_components - 1) + n_components * (n_components - 1) + n_components * (n_symbols - 1)
