"""How good a model is: its likelihood in bits, and its distance from a known truth."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_nn.arrays import to_numpy
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.tensors.matching import match_components, unit_columns


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

    See Also
    --------
    smooth : What to do to models first, so that all symbols are possible.

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
    weight : float in [0, 1], default=1e-3
        Share of the uniform distribution.

    Returns
    -------
    HMMParameters
        ``(1 - weight) * row + weight / row.size`` for start, transitions and emissions.

    Raises
    ------
    AttributeError
        If the model is not of symbols.

    See Also
    --------
    bits_per_symbol : What held-out symbols cost.

    Examples
    --------
    >>> import numpy as np
    >>> certain = HMMParameters.categorical([1.0, 0.0], np.eye(2), np.eye(2))
    >>> smooth(certain, 0.5).startprob.tolist()
    [0.75, 0.25]
    """
    return HMMParameters.categorical(
        *(
            (1.0 - weight) * rows / rows.sum(axis=-1, keepdims=True) + weight / rows.shape[-1]
            for rows in (
                parameters.startprob,
                parameters.transmat,
                parameters.emission.probs,
            )
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

    See Also
    --------
    direction_angles : The same for hidden units of networks.
    spectral_estimators.datasets.planted_hmm : Models to be recovered.

    Notes
    -----
    Cost: O(K^2 d + K^3). The pairing is the Hungarian method's (Kuhn 1955).

    Examples
    --------
    >>> import numpy as np
    >>> true = HMMParameters.categorical([.5, .5], [[.9, .1], [.2, .8]], [[.7, .3], [.1, .9]])
    >>> renamed = HMMParameters.categorical([.5, .5], [[.8, .2], [.1, .9]], [[.1, .9], [.7, .3]])
    >>> parameter_errors(renamed, true)
    {'emissionprob': 0.0, 'transmat': 0.0}
    """
    B, B_true = estimated.emission.mean(), true.emission.mean()
    if B.shape != B_true.shape:
        raise ValueError(
            "estimated and true must have the same number of states and symbols; got emissionprob "
            f"of shapes {B.shape} and {B_true.shape}."
        )
    order = match_components(B_true, B)
    return {
        "emissionprob": _mean_distance(B[order], B_true),
        "transmat": _mean_distance(estimated.transmat[np.ix_(order, order)], true.transmat),
    }


def direction_angles(
    W: ArrayLike, W_true: ArrayLike, *, signed: bool = False
) -> NDArray[np.float64]:
    r"""Angle between each true direction and the learned one that is matched to it, in degrees.

    .. math:: \max_\sigma \sum_j |\cos(w_{\sigma(j)}, w^*_j)|

    Units of a hidden layer have no names: the true ones are paired with different learned ones so
    that the absolute cosines have the largest sum. There may be more learned than true units; those
    that are left over do not count. A true unit that gets no partner, because there are fewer, and
    one whose partner is a column of zeros, are as far off as can be: 90 degrees (180 if signed
    and without a partner).

    Parameters
    ----------
    W : array of shape (d, k')
        Learned directions, in columns (as ``coefs_[0]`` has them); their lengths do not matter.
    W_true : array of shape (d, k)
        True directions, in columns.
    signed : bool
        Whether w and -w differ: cosines are then taken with their signs, for the matching too.

    Returns
    -------
    float64 array of shape (k,)
        Degrees, between 0 and 90 (180 if signed), in the order of the true directions.

    Raises
    ------
    ValueError
        If the directions differ in length, or an entry is not finite.

    See Also
    --------
    parameter_errors : The same for hidden Markov models.
    spectral_estimators.datasets.planted_network : Networks to be recovered.

    Notes
    -----
    Accurate for tiny angles: ``2 atan2(|u - v|, |u + v|)`` of unit vectors (Kahan 2006) instead of
    the arc cosine, which loses half of the digits. Cost: O(d k k' + k^2 k'), the pairing by the
    Hungarian method (Kuhn 1955).

    Examples
    --------
    >>> import numpy as np
    >>> direction_angles([[0.0, -2.0], [1.0, 0.0]], np.eye(2)).tolist()
    [0.0, 0.0]
    >>> direction_angles([[0.0, -2.0], [1.0, 0.0]], np.eye(2), signed=True).round(9).tolist()
    [90.0, 90.0]
    """
    # Slow to import, and needed by nothing else here.
    from scipy.optimize import linear_sum_assignment

    learned, true = (np.asarray(to_numpy(x), dtype=np.float64) for x in (W, W_true))
    if learned.ndim != 2 or true.ndim != 2 or learned.shape[0] != true.shape[0]:
        raise ValueError(
            f"W and W_true have shapes {learned.shape} and {true.shape}: both must be matrices "
            "with one direction a column, and as many rows as there are inputs."
        )
    if not (np.isfinite(learned).all() and np.isfinite(true).all()):
        raise ValueError("W or W_true holds NaN or infinity; directions must be finite.")
    learned, true = unit_columns(learned), unit_columns(true)
    cosines = true.T @ learned
    rows, columns = linear_sum_assignment(cosines if signed else np.abs(cosines), maximize=True)
    signs = 1.0 if signed else np.where(cosines[rows, columns] < 0, -1.0, 1.0)
    ours, theirs = learned[:, columns] * signs, true[:, rows]
    angles = np.full(true.shape[1], 180.0 if signed else 90.0)
    angles[rows] = np.degrees(
        2.0
        * np.arctan2(
            np.linalg.norm(ours - theirs, axis=0),
            np.linalg.norm(ours + theirs, axis=0),
        )
    )
    return angles


def _mean_distance(rows: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Mean over rows of the L1 distance between two matrices."""
    return float(np.abs(rows - others).sum(axis=1).mean())
