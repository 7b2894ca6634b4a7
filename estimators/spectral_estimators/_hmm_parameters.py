"""Checks of the parameters and the settings of a hidden Markov model; errors name the argument."""

import warnings
from typing import Any

import numpy as np

from spectral_nn.arrays import to_numpy
from spectral_nn.models.chains.parameters import HMMParameters

__all__ = [
    "check_letters",
    "check_priors",
    "check_shapes",
    "checked_parameters",
    "checked_symbols",
    "kept_parts",
    "probabilities",
    "warn_of_overwriting",
]

PARTS = ("startprob", "transmat", "emissionprob")


def checked_parameters(
    startprob: Any, transmat: Any, emissionprob: Any, n_components: Any, n_features: int | None
) -> HMMParameters:
    """Parameters that a model holds (fitted, or set by hand), checked.

    Raises
    ------
    ValueError
        Naming the attribute: not numbers, wrong shape, negative entries, rows that do not sum to 1.
    """
    given = {"startprob": startprob, "transmat": transmat, "emissionprob": emissionprob}
    parts = {part: probabilities(value, f"{part}_") for part, value in given.items()}
    k = len(parts["startprob"]) if n_components == "auto" else n_components
    check_shapes(parts, k, n_features)
    return HMMParameters(**parts)


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


def kept_parts(estimator: Any) -> dict[str, np.ndarray]:
    """Parts that a fit does not start anew: those set, and not named in ``init_params``.

    Raises
    ------
    ValueError
        Naming the attribute that is no probability or has the wrong shape.
    """
    kept = {
        part: probabilities(getattr(estimator, f"{part}_"), f"{part}_")
        for part in PARTS
        if part[0] not in estimator.init_params and hasattr(estimator, f"{part}_")
    }
    if kept and estimator.n_components == "auto":
        raise ValueError(
            f"n_components='auto' tries several K, so it cannot start from {', '.join(kept)} as "
            "they stand. Use init_params='ste'."
        )
    check_shapes(kept, estimator.n_components, estimator.get_params(deep=False)["n_features"])
    return kept


def check_shapes(parts: dict[str, np.ndarray], k: int, d: int | None) -> None:
    """Check the shapes of startprob, transmat and emissionprob, as far as they are given.

    Raises
    ------
    ValueError
        Naming the attribute.
    """
    columns: Any = "n_features" if d is None else d
    shapes = {"startprob": (k,), "transmat": (k, k), "emissionprob": (k, columns)}
    for part, array in parts.items():
        free = part == "emissionprob" and d is None
        wanted = (k, *array.shape[1:2]) if free else shapes[part]
        if array.shape != wanted or array.ndim != len(shapes[part]):
            shown = str(shapes[part]).replace("'", "")
            raise ValueError(
                f"{part}_ must have shape {shown}, from n_components={k} and n_features={d}; got "
                f"{array.shape}."
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


def check_priors(estimator: Any, n_symbols: int) -> None:
    """Check Dirichlet priors given as arrays: shape, and entries that are positive and finite.

    Raises
    ------
    ValueError
        Naming the prior.
    """
    k = estimator.n_components
    shapes = {"startprob": (k,), "transmat": (k, k), "emissionprob": (k, n_symbols)}
    for part, shape in shapes.items():
        name = f"{part}_prior"
        prior = getattr(estimator, name)
        if prior is None:
            continue
        if k == "auto" and np.ndim(prior) > 0:
            raise ValueError(f"{name} is an array, which n_components='auto' cannot use.")
        try:
            array = np.asarray(prior, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be a number or an array of numbers: {error}") from error
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
    """Check that ``params`` and ``init_params`` are made of the letters s, t and e.

    Parameters
    ----------
    estimator : with both attributes, strings.

    Raises
    ------
    ValueError
        Naming the one that holds another letter.
    """
    for name in ("params", "init_params"):
        value = getattr(estimator, name)
        extra = sorted(set(value) - set("ste"))
        if extra:
            raise ValueError(
                f"{name} may contain 's' (startprob), 't' (transmat) and 'e' (emissionprob); "
                f"got {value!r}."
            )


def warn_of_overwriting(estimator: Any) -> None:
    """Warn of attributes that were set by hand and that ``init_params`` tells a fit to start anew.

    What an earlier fit has put there is overwritten in silence.

    Warns
    -----
    UserWarning
        For each attribute, in hmmlearn's words.
    """
    fitted = getattr(estimator, "_fitted", None)
    for part in PARTS:
        value = getattr(estimator, f"{part}_", None)
        if value is None or part[0] not in estimator.init_params:
            continue
        if fitted is None or not np.array_equal(to_numpy(value), getattr(fitted, part)):
            warnings.warn(
                f"Even though the '{part}_' attribute is set, it will be overwritten during "
                f"initialization because 'init_params' contains '{part[0]}'.",
                UserWarning,
                stacklevel=5,
            )
