"""How good a model is: its likelihood in bits, and its distance from a known truth."""

import math

import numpy as np
from numpy.typing import NDArray

from spectral_nn.models.hmm.parameters import HMMParameters
from spectral_nn.tensors import match_components


def bits_per_symbol(log_likelihood_nats: float, n_symbols: int) -> float:
    """Cost of coding one symbol: ``-log_likelihood / (n log 2)``.

    Parameters
    ----------
    log_likelihood_nats : float
        Total log likelihood of the data, natural logarithm.
    n_symbols : int
        Number of symbols in the data (tokens, not kinds).

    Returns
    -------
    float
        Bits a symbol; lower is better.

    Raises
    ------
    ValueError
        If there are no symbols.

    Examples
    --------
    >>> import math
    >>> bits_per_symbol(100 * math.log(1 / 8), 100)
    3.0
    """
    if n_symbols < 1:
        raise ValueError(f"n_symbols must be at least 1, the length of the data; got {n_symbols}.")
    return -float(log_likelihood_nats) / (n_symbols * math.log(2.0))


def smooth(parameters: HMMParameters, weight: float = 1e-3) -> HMMParameters:
    """Mix every distribution of a model with the uniform one, before held-out data are scored.

    A symbol that training never showed costs a model without priors an infinite number of bits; to
    compare models of different makers, smooth all of them alike.

    Parameters
    ----------
    parameters : HMMParameters
        The model.
    weight : float in [0, 1]
        Share of the uniform distribution.

    Returns
    -------
    HMMParameters
        ``(1 - weight) * row + weight / row.size`` for start, transitions and emissions.

    Examples
    --------
    >>> certain = HMMParameters([1.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]])
    >>> smooth(certain, 0.5).startprob.tolist()
    [0.75, 0.25]
    """
    return HMMParameters(
        *(
            (1.0 - weight) * rows / rows.sum(axis=-1, keepdims=True) + weight / rows.shape[-1]
            for rows in (parameters.startprob, parameters.transmat, parameters.emissionprob)
        )
    )


def parameter_errors(estimated: HMMParameters, true: HMMParameters) -> dict[str, float]:
    """Distance of an estimated hidden Markov model from the true one, states matched.

    States have no names: they are paired one to one so that the L1 distances between rows of
    the two emission matrices have the least sum, and that pairing serves the transitions as well.

    Parameters
    ----------
    estimated, true : HMMParameters
        Models of the same K and d.

    Returns
    -------
    dict
        ``"emissionprob"`` and ``"transmat"``: the mean over states of
        ``sum_v |estimated[k, v] - true[k, v]|``, between 0 and 2.

    Raises
    ------
    ValueError
        If the two models differ in shape.

    Notes
    -----
    Cost: O(K^2 d + K^3). The pairing is the Hungarian method's (Kuhn 1955).

    Examples
    --------
    >>> import numpy as np
    >>> true = HMMParameters([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], [[0.7, 0.3], [0.1, 0.9]])
    >>> renamed = HMMParameters([0.5, 0.5], [[0.8, 0.2], [0.1, 0.9]], [[0.1, 0.9], [0.7, 0.3]])
    >>> parameter_errors(renamed, true)
    {'emissionprob': 0.0, 'transmat': 0.0}
    """
    if estimated.emissionprob.shape != true.emissionprob.shape:
        raise ValueError(
            "estimated and true must have the same number of states and symbols; got emissionprob "
            f"of shapes {estimated.emissionprob.shape} and {true.emissionprob.shape}."
        )
    order = match_components(true.emissionprob, estimated.emissionprob)
    return {
        "emissionprob": _mean_distance(estimated.emissionprob[order], true.emissionprob),
        "transmat": _mean_distance(estimated.transmat[np.ix_(order, order)], true.transmat),
    }


def _mean_distance(rows: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Mean over rows of the L1 distance between two matrices."""
    return float(np.abs(rows - others).sum(axis=1).mean())
