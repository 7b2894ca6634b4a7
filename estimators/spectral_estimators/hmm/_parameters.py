"""Checks of the parameters and the settings of a hidden Markov model; errors name the argument."""

from numbers import Real
from typing import Any

import numpy as np

from spectral_estimators._sklearn_compat import Interval
from spectral_estimators.hmm._rows import LARGEST
from spectral_nn.arrays import to_numpy
from spectral_nn.warn import warn

__all__ = [
    "PRIOR",
    "as_floats",
    "broadcastable",
    "check_concentration",
    "check_covariances",
    "check_letters",
    "check_shape",
    "checked_symbols",
    "kept_parts",
    "probabilities",
    "real_numbers",
    "warn_of_overwriting",
]

PRIOR = [Interval(Real, 0, None, closed="neither"), "array-like"]
"""What a Dirichlet prior may be, for scikit-learn's check of constructor arguments."""


def checked_symbols(symbols: Any, n_symbols: int) -> np.ndarray:
    """The strings that symbols stand for (found by a fit, or set by hand), checked.

    Raises
    ------
    ValueError
        Naming ``symbols_``: no strings, not sorted or not distinct, or of another number.
    """
    array = np.asarray(symbols)
    if array.ndim != 1 or array.dtype.kind not in "SUT" or array.size != n_symbols:
        raise ValueError(
            f"symbols_ must hold {n_symbols} strings, one for each column of emissionprob_; got "
            f"shape {array.shape} of {array.dtype}."
        )
    if not (array[:-1] < array[1:]).all():
        raise ValueError("symbols_ must be sorted and distinct, as np.unique makes them.")
    return array


def kept_parts(estimator: Any) -> dict[str, Any]:
    """Parts that a fit does not start anew: those set, and not named in ``init_params``.

    Raises
    ------
    ValueError
        Naming the attribute that is no probability or has the wrong shape.
    """
    names = [
        name
        for letter, name in estimator._parts.items()
        if letter not in estimator.init_params and hasattr(estimator, name)
    ]
    if names and estimator.n_components == "auto":
        kept = ", ".join(name.strip("_") for name in names)
        raise ValueError(
            f"n_components='auto' tries several K, so it cannot start from {kept} as "
            f"they stand. Use init_params='{''.join(estimator._parts)}'."
        )
    k = estimator.n_components
    chain = {"startprob_": (k,), "transmat_": (k, k)}
    found: dict[str, Any] = {}
    for name in chain.keys() & names:
        array = probabilities(getattr(estimator, name), name)
        check_shape(array, name, chain[name], k)
        found[name.removesuffix("_")] = array
    emission = [name for name in names if name not in chain]
    if emission:
        found["emission"] = estimator._kept_emission(emission)
    return found


def check_shape(
    array: np.ndarray, name: str, wanted: tuple[Any, ...], k: Any, d: Any = ...
) -> None:
    """Check the shape of a part that goes with others.

    Parameters
    ----------
    array : the part.
    name : of the attribute.
    wanted : sizes; None for any, shown as ``n_features``.
    k, d : n_components, and n_features where it plays a role.

    Raises
    ------
    ValueError
        Naming the attribute.
    """
    fits = array.ndim == len(wanted) and all(
        size in (None, there) for size, there in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        shown = str(tuple("n_features" if size is None else size for size in wanted))
        given = f"n_components={k}" + ("" if d is ... else f" and n_features={d}")
        raise ValueError(
            f"{name} must have shape {shown.replace(chr(39), '')}, from {given}; got {array.shape}."
        )


def probabilities(value: Any, name: str) -> np.ndarray:
    """An array of float64 whose last axis holds distributions.

    Raises
    ------
    ValueError
        Naming the array and the first offending entry or row.
    """
    try:
        array = np.asarray(to_numpy(value), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of probabilities: {error}") from error
    if array.size == 0 or array.ndim == 0:
        raise ValueError(f"{name} must be an array of probabilities, got shape {array.shape}.")
    bad = np.argwhere(~(np.isfinite(array) & (array >= 0)))
    if bad.size:
        raise ValueError(
            f"{name} must hold probabilities; entry {bad[0].tolist()} is {array[tuple(bad[0])]}."
        )
    sums = np.atleast_1d(array.sum(axis=-1))
    off = np.flatnonzero(~np.isclose(sums, 1))
    if off.size:
        which = name if array.ndim == 1 else f"row {off[0]} of {name}"
        raise ValueError(f"{which} must sum to 1, got {sums.flat[off[0]]:.6g}. Normalise {name}.")
    return array


def real_numbers(value: Any, name: str) -> np.ndarray:
    """An array of float64 without NaN or infinity.

    Raises
    ------
    ValueError
        Naming the array.
    """
    array = np.asarray(to_numpy(value), dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers.")
    return array


def check_covariances(array: np.ndarray, name: str, matrices: bool) -> None:
    """Check that variances are positive, or that matrices (..., p, p) are positive-definite.

    Raises
    ------
    ValueError
        Naming the array, and the matrix in it.
    """
    if not matrices:
        if not (array > 0).all():
            raise ValueError(f"{name} must be positive; the least of them is {array.min()}.")
        return
    for index in np.ndindex(array.shape[:-2]):
        matrix = array[index]
        if not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix)[0] <= 0:
            which = f"{name}{list(index)}" if index else name
            raise ValueError(f"{which} must be symmetric, positive-definite.")


def as_floats(value: Any, name: str) -> np.ndarray:
    """An array of float64; ValueError naming the argument."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a number or an array of numbers: {error}") from error


def broadcastable(value: Any, name: str, *shapes: tuple[int, ...]) -> np.ndarray:
    """An array of numbers up to `LARGEST` that broadcasts to the first shape, or has another.

    Raises
    ------
    ValueError
        Naming the argument.
    """
    array = as_floats(value, name)
    try:
        fits = np.broadcast_shapes(array.shape, shapes[0]) == shapes[0]
    except ValueError:
        fits = False
    if not (fits or array.shape in shapes[1:]) or not np.isfinite(array).all():
        raise ValueError(
            f"{name} must be a number, or an array of finite numbers that broadcasts to "
            f"{shapes[0]}; got {value!r}."
        )
    if np.abs(array).max(initial=0.0) > LARGEST:
        raise ValueError(
            f"{name} holds {np.abs(array).max():.3g}: beyond {LARGEST:g} sums with it are not "
            "finite. Scale the columns of X, and priors with them."
        )
    return array


def check_concentration(prior: Any, name: str, shape: tuple[Any, ...], k: Any) -> None:
    """Check a Dirichlet prior: shape, and entries that are positive and finite.

    Parameters
    ----------
    prior : number or array; None is fine.
    name : of the argument.
    shape : that an array may be broadcast to.
    k : n_components.

    Raises
    ------
    ValueError
        Naming the prior.
    """
    if prior is None:
        return
    if k == "auto" and np.ndim(prior) > 0:
        raise ValueError(f"{name} is an array, which n_components='auto' cannot use.")
    array = as_floats(prior, name)
    try:
        fits = array.ndim == 0 or np.broadcast_shapes(array.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} must be a number or have shape {shape}; got {array.shape}.")
    if not (np.isfinite(array) & (array > 0)).all():
        at = np.argwhere(~(np.isfinite(array) & (array > 0)))[0]
        where = f" at {at.tolist()}" if array.ndim else ""
        raise ValueError(
            f"{name} holds {array[tuple(at)]}{where}; the parameters of a Dirichlet "
            "distribution must be positive and finite."
        )


def check_letters(estimator: Any) -> None:
    """Check that ``params`` and ``init_params`` are made of the letters of the parts."""
    for name in ("params", "init_params"):
        value = getattr(estimator, name)
        if set(value) - set(estimator._parts):
            *most, last = (f"{key!r} ({part.strip('_')})" for key, part in estimator._parts.items())
            raise ValueError(f"{name} may contain {', '.join(most)} and {last}; got {value!r}.")


def warn_of_overwriting(estimator: Any) -> None:
    """Warn of attributes that were set by hand and that ``init_params`` tells a fit to start anew.

    What an earlier fit has put there is overwritten in silence.

    Warns
    -----
    UserWarning
        For each attribute, in hmmlearn's words.
    """
    fitted = getattr(estimator, "_fitted", {})
    for letter, name in estimator._parts.items():
        value = getattr(estimator, name, None)
        if value is None or letter not in estimator.init_params:
            continue
        if name not in fitted or not np.array_equal(to_numpy(value), fitted[name]):
            shown = name.lstrip("_")
            warn(
                f"Even though the '{shown}' attribute is set, it will be overwritten during "
                f"initialization because 'init_params' contains '{letter}'.",
                UserWarning,
            )
