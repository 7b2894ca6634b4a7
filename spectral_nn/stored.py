"""Arrays that are not in memory: files mapped into it, zarr, HDF5, and dask's."""

from __future__ import annotations

from typing import Any

import numpy as np

from spectral_nn.arrays import is_foreign

__all__ = ["is_dask", "is_stored", "portable"]


def is_dask(X: Any) -> bool:
    """Tell dask's collections and delayed objects, without an import of dask."""
    return hasattr(X, "__dask_graph__")


def is_stored(X: Any) -> bool:
    """Tell arrays whose values are read as they are asked for.

    These are `numpy.memmap`, zarr arrays, HDF5 datasets, dask arrays, and whatever else has a
    shape, a dtype and items, but is no array in memory, data frame or sparse matrix.
    """
    if isinstance(X, np.ndarray):
        return isinstance(X, np.memmap)
    sliceable = all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__"))
    others = ("iloc", "tocsr", "__dataframe__", "__arrow_c_stream__")
    return sliceable and not is_foreign(X) and not any(hasattr(X, name) for name in others)


def portable(array: Any) -> Any:
    """An array that can be sent to other processes: HDF5 datasets are opened there again."""
    return _Dataset(array) if type(array).__module__.startswith("h5py.") else array


class _Dataset:
    """An HDF5 dataset, which worker processes open again by its file and name."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __getitem__(self, key: Any) -> Any:
        return self._dataset[key]

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (self._dataset.file.filename, self._dataset.name)


def _opened(filename: str, name: str) -> _Dataset:
    import h5py

    return _Dataset(h5py.File(filename, "r")[name])
