"""Hidden Markov models drawn at random, and sequences sampled from them."""

import numpy as np
from numpy.typing import NDArray

from spectral_nn.models.chains import recursions
from spectral_nn.models.chains.parameters import HMMParameters, stationary

__all__ = ["planted_hmm", "sample_hmm"]


def planted_hmm(
    n_components: int,
    n_symbols: int,
    *,
    stay: float | None = None,
    concentration: float = 0.3,
    rng: np.random.Generator,
) -> HMMParameters:
    """Draw the parameters of a hidden Markov model, to be recovered from samples of it.

    Rows of the emission matrix follow Dirichlet(concentration). Rows of the transition matrix
    follow Dirichlet(1); with ``stay``, they are ``stay`` on the diagonal and ``1 - stay`` times a
    Dirichlet(1) draw elsewhere. The chain starts in its stationary distribution.

    Parameters
    ----------
    n_components, n_symbols : int
        K and d.
    stay : float in [0, 1), optional
        Probability that a state follows itself, the same for all states (K >= 2).
    concentration : float
        Of the emissions: the smaller, the fewer symbols a state emits and the better the
        conditioning of the moments.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    HMMParameters
        Start (K,), transitions (K, K) and emissions (K, d).

    Raises
    ------
    ValueError
        If ``stay`` is given with a single state.

    See Also
    --------
    sample_hmm : Sequences of it.
    spectral_estimators.metrics.parameter_errors : How far an estimate is from it.

    Examples
    --------
    >>> import numpy as np
    >>> true = planted_hmm(3, 5, stay=0.9, rng=np.random.default_rng(0))
    >>> np.diag(true.transmat).round(6).tolist(), true.emission.probs.shape
    ([0.9, 0.9, 0.9], (3, 5))
    """
    emissionprob = rng.dirichlet(np.full(n_symbols, concentration), size=n_components)
    if stay is None:
        transmat = rng.dirichlet(np.ones(n_components), size=n_components)
    elif n_components < 2:
        raise ValueError(
            f"stay={stay} needs another state to leave for; got n_components={n_components}. "
            "Pass stay=None or n_components >= 2."
        )
    else:
        leave = rng.dirichlet(np.ones(n_components - 1), size=n_components)
        transmat = np.diag(np.full(n_components, stay))
        transmat[~np.eye(n_components, dtype=bool)] = (1.0 - stay) * leave.ravel()
    return HMMParameters.categorical(stationary(transmat), transmat, emissionprob)


def sample_hmm(
    parameters: HMMParameters, n: int, rng: np.random.Generator, n_sequences: int = 1
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Draw sequences of one length from a hidden Markov model.

    Parameters
    ----------
    parameters : HMMParameters
        The model, K states and d symbols.
    n : int
        Tokens in each sequence.
    rng : numpy.random.Generator
        Source of randomness.
    n_sequences : int
        Number of independent sequences.

    Returns
    -------
    codes, states : int32 arrays of shape (n_sequences, n)
        What was emitted, and from which state. ``list(codes)`` is a list of sequences.

    Raises
    ------
    ValueError
        If ``n`` or ``n_sequences`` is negative.

    See Also
    --------
    planted_hmm : Draws a model.
    spectral_estimators.CategoricalHMM.sample : Draws from a fitted one.

    Notes
    -----
    Cost: O(log K + log d) a token, in compiled code; about 40 bytes a token.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> codes, states = sample_hmm(planted_hmm(3, 5, rng=rng), 100, rng, n_sequences=2)
    >>> codes.shape, bool(codes.max() < 5), bool(states.max() < 3)
    ((2, 100), True, True)
    """
    codes = np.empty((n_sequences, n), dtype=np.int32)
    states = np.empty((n_sequences, n), dtype=np.int32)
    for row in range(n_sequences):
        codes[row], states[row] = recursions.sample(parameters, n, rng)
    return codes, states
