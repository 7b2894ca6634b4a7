"""Networks of one hidden layer drawn at random, and regression samples of them."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spectral_nn.models.network.dense import Network

__all__ = ["orthonormal", "planted_network", "sample_network"]

MIXTURE_SPREAD = 0.3  # share of a column's variance that lies between the three components
AUTOCORRELATION = 0.6  # of neighbouring columns of correlated inputs
HEAVY_DOF = 5  # degrees of freedom of heavy-tailed inputs: the fourth moment exists, the fifth not
LOG_SD = 0.5  # of the logarithm of log-normal inputs


def planted_network(
    n_features: int,
    n_components: int,
    *,
    activation: str = "relu",
    kind: Literal["mixed", "orthonormal", "positive"] = "mixed",
    n_outputs: int = 1,
    rng: np.random.Generator,
) -> Network:
    r"""Draw a network of one hidden layer, to be recovered from samples of it.

    .. math:: f(x) = \sum_j a_j \, \sigma(w_j^\top x + b_j)

    Columns of W are uniform on the unit sphere, on the sphere of radius 2 for ``"tanh"`` (so that
    it bends); ``b ~ U(-0.5, 0.5)``; ``|a| ~ U(0.5, 1.5)`` with signs by the toss of a coin. There
    is no bias of the output.

    Parameters
    ----------
    n_features, n_components : int
        d and k.
    activation : str
        Name of sigma, as the network knows it.
    kind : {"mixed", "orthonormal", "positive"}
        What is said above; orthonormal columns of W with ``a = 1`` and ``b = 0``; or ``a > 0``.
    n_outputs : int
        q. Output weights are drawn for every output by itself.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Network
        ``coefs`` of shapes (d, k) and (k, q), ``intercepts`` of shapes (k,) and (q,).

    Raises
    ------
    ValueError
        If `kind` is unknown, or there are more orthonormal columns than dimensions.

    See Also
    --------
    sample_network : Rows of it.
    spectral_estimators.metrics.direction_angles : How far learned units are from its own.

    Notes
    -----
    Cost: O(d k + k q); O(d k^2) for orthonormal columns, which are the Q factor of a Gaussian
    matrix with the signs of R's diagonal, hence uniform (Mezzadri 2007, arXiv:math-ph/0609050).

    Examples
    --------
    >>> import numpy as np
    >>> network = planted_network(4, 3, rng=np.random.default_rng(0))
    >>> [coefs.shape for coefs in network.coefs]
    [(4, 3), (3, 1)]
    >>> np.linalg.norm(network.coefs[0], axis=0).round(12).tolist()
    [1.0, 1.0, 1.0]
    """
    if kind not in ("mixed", "orthonormal", "positive"):
        raise ValueError(
            f'kind={kind!r} is unknown: give "mixed", "orthonormal" or "positive".',
        )
    directions = rng.standard_normal((n_features, n_components))
    if kind == "orthonormal":
        W = orthonormal(directions)
        A = np.ones((n_components, n_outputs))
        b = np.zeros(n_components)
    else:
        norm = 2.0 if activation == "tanh" else 1.0
        W = norm * directions / np.linalg.norm(directions, axis=0)
        A = rng.uniform(0.5, 1.5, (n_components, n_outputs))
        if kind == "mixed":
            A *= rng.choice([-1.0, 1.0], A.shape)
        b = rng.uniform(-0.5, 0.5, n_components)
    return Network((W, A), (b, np.zeros(n_outputs)), activation, "identity")


def sample_network(
    network: Network,
    n: int,
    *,
    noise: float = 0.05,
    rng: np.random.Generator,
    inputs: Literal[
        "gaussian", "mixture", "uniform", "correlated", "heavy", "binary", "lognormal"
    ] = "gaussian",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw inputs and noisy targets of a network.

    All columns have mean 0 and variance 1 under every law of the inputs; they are independent
    but for two laws. A law is the same at every call, so that a second call draws test data.

    ================  ============================================================================
    ``"gaussian"``    standard normal
    ``"mixture"``     three spherical Gaussians with centres evenly spaced on a circle, 30 % of the
                      variance between them
    ``"uniform"``     on ``[-sqrt(3), sqrt(3)]``
    ``"correlated"``  Gaussian, columns i and j correlated ``0.6 ** abs(i - j)``
    ``"heavy"``       Student's t with 5 degrees of freedom
    ``"binary"``      -1 or 1 with equal chances
    ``"lognormal"``   exponential of a Gaussian of standard deviation 0.5
    ================  ============================================================================

    Parameters
    ----------
    network : Network
        The teacher, d inputs and q outputs.
    n : int
        Rows.
    noise : float
        Standard deviation of the Gaussian noise, in standard deviations of the signal in this
        sample; each output has its own.
    rng : numpy.random.Generator
        Source of randomness.
    inputs : str
        Law of the inputs, from the table.

    Returns
    -------
    X : float64 array of shape (n, d)
        Inputs.
    y : float64 array of shape (n,), (n, q) if q > 1
        Targets. With ``noise=0`` they are the network's values.

    Raises
    ------
    ValueError
        If the law is unknown.

    See Also
    --------
    planted_network : Draws a network.

    Notes
    -----
    Cost: O(n d k).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X, y = sample_network(planted_network(4, 3, rng=rng), 100, rng=rng)
    >>> X.shape, y.shape
    ((100, 4), (100,))
    """
    X = _draw_inputs(inputs, n, network.coefs[0].shape[0], rng)
    signal = np.asarray(network.decision(X), dtype=np.float64).reshape(n, -1)
    y = signal + noise * signal.std(axis=0) * rng.standard_normal(signal.shape)
    return X, y[:, 0] if y.shape[1] == 1 else y


def _draw_inputs(law: str, n: int, d: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Rows of a law of :func:`sample_network`, of shape (n, d)."""
    if law == "gaussian":
        return rng.standard_normal((n, d))
    if law == "mixture":
        turns = np.arange(3)[:, None] / 3.0 * 2.0 * np.pi + np.arange(d)
        centres = np.sqrt(2.0 * MIXTURE_SPREAD) * np.cos(turns)  # mean 0, mean square the spread
        within = np.sqrt(1.0 - MIXTURE_SPREAD) * rng.standard_normal((n, d))
        return centres[rng.integers(3, size=n)] + within
    if law == "uniform":
        return rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), (n, d))
    if law == "correlated":
        gaps = np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
        root = np.linalg.cholesky(AUTOCORRELATION**gaps)
        return rng.standard_normal((n, d)) @ root.T
    if law == "heavy":
        return rng.standard_t(HEAVY_DOF, (n, d)) * np.sqrt((HEAVY_DOF - 2.0) / HEAVY_DOF)
    if law == "binary":
        return rng.choice([-1.0, 1.0], (n, d))
    if law == "lognormal":
        growth = np.exp(LOG_SD**2)  # the mean is its root, the variance growth * (growth - 1)
        values = rng.lognormal(0.0, LOG_SD, (n, d))
        return (values - np.sqrt(growth)) / np.sqrt(growth * (growth - 1.0))
    raise ValueError(
        f'inputs={law!r} is unknown: give "gaussian", "mixture", "uniform", "correlated", '
        '"heavy", "binary" or "lognormal".'
    )


def orthonormal(G: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal columns, uniform if the entries of G (n_features, n_components) are normal."""
    if G.shape[1] > G.shape[0]:
        raise ValueError(
            f"n_components={G.shape[1]} orthonormal columns do not fit into "
            f"n_features={G.shape[0]} dimensions; ask for at most {G.shape[0]}."
        )
    Q, R = np.linalg.qr(G)
    return Q * np.sign(np.diag(R))
