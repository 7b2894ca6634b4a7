"""A model and its data in figures: information criteria, and what each state is like."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_nn.data import Sequences
from spectral_nn.models.chains.inference import find_paths, smooth
from spectral_nn.models.chains.parameters import HMMParameters, n_parameters, stationary

__all__ = ["HMMSummary", "aic", "bic", "summarise"]

_MOST_COLUMNS = 8  # of the means, in the table


@dataclass(frozen=True, eq=False)
class HMMSummary:
    """A model and its data in figures, which print as a table.

    Attributes
    ----------
    n_components : int
        K.
    n_observations : int
        Observations that are not missing.
    n_parameters : int
        Free parameters.
    log_likelihood : float
        Nats, summed over sequences.
    aic, bic, icl : float
        Information criteria; lower is better.
    occupancy : ndarray of shape (K,)
        Expected share of the positions that each state holds, given the data.
    mean_stay : ndarray of shape (K,)
        Expected number of positions before the state is left, ``1 / (1 - T_kk)``; inf if it never
        is.
    start : ndarray of shape (K,)
        Distribution of the first state.
    stationary : ndarray of shape (K,)
        Distribution of states that the transitions leave as it is.
    mean : ndarray of shape (K, p)
        Expectation of an observation in each state; for symbols (K, d), their probabilities.
    symbols : ndarray of shape (d,), or None
        What the columns of ``mean`` are the probabilities of; None where observations are rows.
    """

    n_components: int
    n_observations: int
    n_parameters: int
    log_likelihood: float
    aic: float
    bic: float
    icl: float
    occupancy: NDArray[np.float64]
    mean_stay: NDArray[np.float64]
    start: NDArray[np.float64]
    stationary: NDArray[np.float64]
    mean: NDArray[np.float64]
    symbols: NDArray | None = None

    def __str__(self) -> str:
        """The model, then a line for each state; of wide means the first columns."""
        figures = [
            ("states", str(self.n_components)),
            ("observations", str(self.n_observations)),
            ("parameters", str(self.n_parameters)),
            ("log-likelihood", f"{self.log_likelihood:.2f}"),
            *((name.upper(), f"{getattr(self, name):.2f}") for name in ("aic", "bic", "icl")),
        ]
        width = max(len(value) for _, value in figures)
        lines = [f"{name:<14}  {value:>{width}}" for name, value in figures]
        shown = self.mean[:, :_MOST_COLUMNS]
        more = " ..." if shown.shape[1] < self.mean.shape[1] else ""
        head = "state  occupancy  mean stay   start  stationary  "
        wide = 9
        if self.symbols is None:
            lines += ["", head + "mean of an observation"]
        else:
            names = [str(symbol) for symbol in self.symbols[:_MOST_COLUMNS]]
            wide = max(wide, *map(len, names))
            named = " ".join(f"{name:>{wide}}" for name in names)
            lines += ["", head + "probability of a symbol", " " * len(head) + named + more]
        for k in range(self.n_components):
            mean = " ".join(f"{value:{wide}.4g}" for value in shown[k])
            lines.append(
                f"{k:5}  {self.occupancy[k]:9.3f}  {self.mean_stay[k]:9.4g}  {self.start[k]:6.3f}  "
                f"{self.stationary[k]:10.3f}  {mean}{more}"
            )
        return "\n".join(lines)


def aic(log_likelihood: float, n_parameters: int) -> float:
    """Akaike's information criterion, ``-2 log L + 2 p``.

    Parameters
    ----------
    log_likelihood : float
        Nats.
    n_parameters : int
        p.

    Examples
    --------
    >>> aic(-100.0, 7)
    214.0
    """
    return -2 * log_likelihood + 2 * n_parameters


def bic(log_likelihood: float, n_parameters: int, n_observations: int) -> float:
    """Bayesian information criterion, ``-2 log L + p log n``.

    Parameters
    ----------
    log_likelihood : float
        Nats; of data and path together, the criterion is the integrated complete likelihood.
    n_parameters : int
        p.
    n_observations : int
        n; 0 counts as 1.

    Examples
    --------
    >>> bic(-100.0, 7, 1)
    200.0
    """
    return -2 * log_likelihood + n_parameters * float(np.log(max(n_observations, 1)))


def summarise(
    parameters: HMMParameters,
    pieces: Iterable[Sequences],
    n_observed: Callable[[NDArray], int],
    symbols: NDArray | None = None,
) -> HMMSummary:
    """Walk once over data, piece by piece.

    Parameters
    ----------
    parameters : HMMParameters
        A model with K states.
    pieces : iterable of Sequences
        Codes or rows, without labels.
    n_observed : callable
        From the values of a piece to how many of them are not missing.
    symbols : ndarray of shape (d,), optional
        Names of the symbols; None: 0 .. d - 1, or observations are rows.

    Returns
    -------
    HMMSummary

    Notes
    -----
    Cost: 10 K^2 operations a position, for posteriors and paths; memory of the largest piece.

    Examples
    --------
    >>> import numpy as np
    >>> model = HMMParameters.categorical([1, 0], [[0.9, 0.1], [0, 1]], [[0.9, 0.1], [0.1, 0.9]])
    >>> data = Sequences(np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 8]))
    >>> print(summarise(model, [data], np.size))
    states              2
    observations        8
    parameters          5
    log-likelihood  -3.24
    AIC             16.47
    BIC             16.87
    ICL             17.32
    <BLANKLINE>
    state  occupancy  mean stay   start  stationary  probability of a symbol
                                                             0         1
        0      0.497         10   1.000       0.000        0.9       0.1
        1      0.503        inf   0.000       1.000        0.1       0.9
    """
    K, p = parameters.n_components, n_parameters(parameters)
    occupancy = np.zeros(K)
    log_likelihood = of_paths = 0.0
    n = 0
    for piece in pieces:
        posterior, found = smooth(parameters, piece)
        occupancy += posterior.sum(axis=0)
        log_likelihood += float(found.sum())
        of_paths += float(find_paths(parameters, piece)[1].sum())
        n += n_observed(piece.values)
    mean = parameters.emission.mean()
    if symbols is None and not parameters.emission.rows:
        symbols = np.arange(mean.shape[1])
    leaving = 1 - parameters.transmat.diagonal()
    with np.errstate(divide="ignore"):
        mean_stay = 1 / np.maximum(leaving, 0.0)
    return HMMSummary(
        n_components=K,
        n_observations=n,
        n_parameters=p,
        log_likelihood=log_likelihood,
        aic=aic(log_likelihood, p),
        bic=bic(log_likelihood, p, n),
        icl=bic(of_paths, p, n),
        occupancy=occupancy / occupancy.sum(),
        mean_stay=mean_stay,
        start=parameters.startprob,
        stationary=stationary(parameters.transmat),
        mean=mean,
        symbols=None if symbols is None else np.asarray(symbols),
    )
