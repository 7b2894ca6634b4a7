"""CP decomposition by alternating least squares: the one place that knows TensorLy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any

import numpy as np

from spectral_nn.arrays import Array, from_numpy, to_numpy
from spectral_nn.results import Factors
from spectral_nn.tensors.contractions import relative_residual

__all__ = ["cp_als"]

# Ridge on the normal equations of a tensor of unit norm: keeps the solve from failing when a
# component vanishes (K above the rank), and lies below the rounding error otherwise.
_RIDGE = 1e-14


def cp_als(
    T: Array,
    n_components: int,
    *,
    init: str | Sequence[Array] = "svd",
    n_iter: int = 100,
    tol: float = 1e-8,
    rng: np.random.Generator,
) -> Factors:
    r"""Decompose a tensor into K rank-one terms by alternating least squares.

    .. math:: \min \Big\| T - \sum_{k=1}^{K} w_k\, a_k \otimes b_k \otimes c_k \Big\|_F

    Parameters
    ----------
    T : array (n_1, ..., n_M)
        A small dense core, usually whitened: (K, K, K) or (K, K, 2K).
    n_components : int
        K. A K above a mode's length is allowed.
    init : "svd" or sequence of M arrays (n_m, K)
        Start: the K leading left singular vectors of each unfolding, or given factors. The first
        mode is solved for first, so a given first factor has no influence.
    n_iter : int, default 100
        Most iterations, at least 1.
    tol : float, default 1e-8
        Stop once the relative residual changes by less. It cannot be measured below about 1e-8;
        0 runs all the iterations and saves its evaluation.
    rng : numpy.random.Generator
        Fills up the start of "svd" where K exceeds a mode's length.

    Returns
    -------
    Factors
        Vectors of unit norm, weights >= 0 (signs are in the vectors), in the order of the start,
        in the namespace and on the device of T.

    Raises
    ------
    ValueError
        If K or n_iter is below 1, a given start has another shape, or T is not finite.

    Notes
    -----
    On the host, in double precision, by :func:`tensorly.decomposition.parafac`. TensorLy is
    imported on the first call, and its backend is left as the caller has it.
    Cost: O(K prod n_m) per mode and iteration.
    Kolda and Bader, *Tensor decompositions and applications*, SIAM Review 51 (2009), figure 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from spectral_nn.tensors import compose, cp_als
    >>> rng = np.random.default_rng(0)
    >>> T = compose(np.array([3.0, 1.0]), [rng.standard_normal((4, 2)) for _ in range(3)])
    >>> cp_als(T, 2, rng=rng).residual < 1e-5
    True
    """
    host = np.asarray(to_numpy(T), dtype=np.float64)
    if n_components < 1 or n_iter < 1:
        raise ValueError(
            f"n_components={n_components} and n_iter={n_iter} must both be at least 1."
        )
    scale = float(np.linalg.norm(host))
    if not np.isfinite(scale):
        raise ValueError("T holds NaN or infinity (or overflows); only finite tensors decompose.")
    if isinstance(init, str) and init == "svd":
        start = _svd_start(host, n_components, rng)
    else:
        start = _given_start(init, host.shape, n_components)
    vectors, weights = _unit_columns(start)
    if scale > 0:
        factors = _parafac(
            host / scale,
            rank=n_components,
            init=(np.ones(n_components), vectors),
            n_iter_max=n_iter,
            tol=tol,
            l2_reg=_RIDGE,
        )
        vectors, weights = _unit_columns(factors)
    weights = scale * weights
    return Factors(
        weights=from_numpy(weights, like=T),
        vectors=tuple(from_numpy(vector, like=T) for vector in vectors),
        residual=relative_residual(host, weights, vectors),
    )


def _svd_start(T: np.ndarray, n_components: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return K left singular vectors of each unfolding, random columns where it has fewer."""
    factors = []
    for mode, n in enumerate(T.shape):
        U = np.linalg.svd(np.moveaxis(T, mode, 0).reshape(n, -1), full_matrices=False)[0]
        missing = max(n_components - U.shape[1], 0)
        factors.append(np.hstack([U[:, :n_components], rng.standard_normal((n, missing))]))
    return factors


def _given_start(
    init: str | Sequence[Array], shape: tuple[int, ...], n_components: int
) -> list[np.ndarray]:
    """Return the caller's factors on the host, or say what is wrong with them."""
    if isinstance(init, str):
        raise ValueError(f'init={init!r} is unknown: give "svd" or one factor a mode.')
    factors = [np.asarray(to_numpy(factor), dtype=np.float64) for factor in init]
    found = [factor.shape for factor in factors]
    wanted = [(n, n_components) for n in shape]
    if found != wanted:
        raise ValueError(
            f"init has factors of shapes {found}; a tensor of shape {shape} with "
            f"n_components={n_components} needs {wanted}."
        )
    return factors


def _unit_columns(factors: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Scale columns to unit norm (zeros stay) and return the products (K,) of their norms."""
    norms = [np.linalg.norm(factor, axis=0) for factor in factors]
    scaled = [f / np.where(norm > 0, norm, 1.0) for f, norm in zip(factors, norms, strict=True)]
    return scaled, np.prod(norms, axis=0)


def _parafac(tensor: np.ndarray, **options: Any) -> list[np.ndarray]:
    """Run TensorLy's ALS on NumPy arrays, whatever its backend is at the moment."""
    import tensorly
    from tensorly.decomposition import parafac

    def decompose() -> list[np.ndarray]:
        return list(parafac(tensor, **options).factors)

    if tensorly.get_backend() == "numpy":
        return decompose()

    def on_numpy() -> list[np.ndarray]:
        tensorly.set_backend("numpy", local_threadsafe=True)
        return decompose()

    return _in_own_thread(on_numpy)


def _in_own_thread(call: Callable[[], list[np.ndarray]]) -> list[np.ndarray]:
    """Call in a fresh thread, so that a thread-local setting is gone with it.

    TensorLy's own ``backend_context`` is no way out: on leaving, it sets the default backend of
    all threads.
    """
    outcome: list[list[np.ndarray]] = []
    failure: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(call())
        except BaseException as error:
            failure.append(error)

    thread = Thread(target=target)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
