"""Arrays of other libraries and on other devices: to the host, and back to where they came from."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, Self

import array_api_compat

from spectral_nn.arrays import (
    Array,
    from_numpy,
    get_namespace,
    is_foreign,
    require_one_device,
    to_numpy,
    where_it_lives,
)
from spectral_nn.blas import one_blas_thread
from spectral_nn.data import Sequences
from spectral_nn.runners.base import Runner, runner

__all__ = [
    "MovableMixin",
    "at_home",
    "check_device",
    "home_of",
    "move_fields",
    "on_host",
    "runner_at",
]


class MovableMixin:
    """Fitted arrays that move between the host and a device."""

    def move_to_host(self) -> Self:
        """Turn fitted arrays (attributes that end in "_") into NumPy's, in place.

        Returns
        -------
        self
        """
        return self._move(to_numpy)

    def move_to_device(self, like: Array) -> Self:
        """Move fitted arrays to where another array is, in place.

        Parameters
        ----------
        like : array of any shape
            Of the library, and on the device, that they shall be of.

        Returns
        -------
        self
        """
        return self._move(lambda x: at_home(to_numpy(x), like))

    def _move(self, put: Callable[[Any], Any]) -> Self:
        for name, value in list(vars(self).items()):
            if name.endswith("_"):
                setattr(self, name, _moved(value, put))
        return self


def check_device(estimator: Any) -> None:
    """Check that ``device`` is the name of a device; ValueError naming it."""
    device = estimator.device
    if device is not None and not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise ValueError(
            f"The 'device' parameter of {type(estimator).__name__} must be 'cuda', 'cuda:1' (or "
            f"another number), 'cpu' or None. Got {device!r} instead."
        )


def home_of(X: Any, name: str = "X") -> Array | None:
    """A small array where X is, None for the host.

    Parameters
    ----------
    X : array, Sequences, list of arrays, or anything else.
    name : of the argument, for errors.

    Raises
    ------
    ValueError
        If X is a list of arrays of several libraries or devices.
    """
    if isinstance(X, Sequences):
        X = X.values
    if isinstance(X, (list, tuple)) and any(map(is_foreign, X)):
        arrays = [x for x in X if array_api_compat.is_array_api_obj(x)]
        require_one_device(**{f"{name}[{i}]": x for i, x in enumerate(arrays)})
        X = arrays[0]
    if not is_foreign(X):
        return None
    xp = get_namespace(X)
    # Whole numbers have no say in the precision of what is put beside them.
    return xp.zeros(1, dtype=xp.int64, device=array_api_compat.device(X))


def on_host(X: Any) -> Any:
    """X with arrays of other libraries as NumPy's; all else as it is."""
    if isinstance(X, Sequences) and is_foreign(X.values):
        return Sequences(to_numpy(X.values), X.offsets)
    if isinstance(X, (list, tuple)) and any(map(is_foreign, X)):
        return [to_numpy(x) if is_foreign(x) else x for x in X]
    return to_numpy(X) if is_foreign(X) else X


def at_home(x: Any, home: Array | None) -> Any:
    """A result, an array or `Sequences`, where the data came from."""
    if home is None:
        return x
    if isinstance(x, Sequences):
        return Sequences(from_numpy(x.values, like=home), x.offsets)
    return from_numpy(x, like=home)


@contextmanager
def runner_at(
    home: Array | None, n_jobs: int | None, device: str | None, remote: bool
) -> Iterator[Runner]:
    """Open the runner that suits the data; BLAS has one thread while it is open.

    Parameters
    ----------
    home : see `home_of`.
    n_jobs, device, remote : see `spectral_nn.runners.base.runner`.

    Raises
    ------
    ValueError
        If data that live on a device are to be computed on another.
    """
    if home is not None and device is not None:
        raise ValueError(
            f"device={device!r} goes with NumPy arrays, but X is of {where_it_lives(home)}, and "
            "is computed on where it lives. Leave device=None."
        )
    if home is not None and not _on_processor(home):
        from spectral_nn.runners.device import runner_like

        with one_blas_thread():
            yield runner_like(home)
    else:
        with runner(n_jobs, device=device, remote=remote) as run:
            yield run


def _on_processor(x: Array) -> bool:
    """Whether an array is in the memory of the host, where compiled loops are the fastest."""
    return where_it_lives(x).endswith(("on cpu", "on CPU_DEVICE"))


def move_fields(value: Any, put: Callable[[Any], Any]) -> Any:
    """A dataclass of arrays, and of dataclasses of them, with its arrays put elsewhere."""
    if not is_dataclass(value) or isinstance(value, type):
        return _moved(value, put)
    names = [field.name for field in fields(value)]
    return replace(value, **{name: move_fields(getattr(value, name), put) for name in names})


def _moved(value: Any, put: Callable[[Any], Any]) -> Any:
    """Arrays, and those in lists and tuples, put elsewhere."""
    if isinstance(value, (list, tuple)) and not hasattr(value, "_make"):
        return type(value)(_moved(one, put) for one in value)
    strings = getattr(getattr(value, "dtype", None), "kind", "") in ("S", "U", "T")
    return put(value) if array_api_compat.is_array_api_obj(value) and not strings else value
