"""Simulated cells: subunits on a screen of white noise, and the spikes that they drive."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 16  # pixels
RATE = 0.5  # spikes a frame
THRESHOLD = 0.25  # of a subunit, in deviations of what reaches it
_SPACING, _JITTER = 5.0, 0.5  # pixels
_TEST_FRAMES = 50_000
_LEAST = 0.01  # of the mean rate: predictions below, negative ones too, count as that


@dataclass(frozen=True, eq=False)
class Cell:
    """What was shown and how often the cell fired, and its subunits.

    Attributes
    ----------
    X, test_X : (n, 256) pixels, standard normal.
    y, test_y : (n,) spikes.
    subunits : (256, 6) unit vectors.
    seed : of all this.
    """

    X: NDArray[np.float32]
    y: NDArray[np.float32]
    test_X: NDArray[np.float32]
    test_y: NDArray[np.float32]
    subunits: NDArray[np.float64]
    seed: int

    def bits(self, rates: NDArray[np.floating]) -> float:
        """Bits a spike that rates tell of the test frames, beyond the mean rate."""
        mean = self.y.mean()
        rates = np.maximum(rates, _LEAST * mean)
        nats = self.test_y * np.log(rates / mean) - (rates - mean)
        return float(nats.sum() / self.test_y.sum() / np.log(2))


def subunit_cell(seed: int, n: int = 100_000) -> Cell:
    """Six Gaussian blobs, each with a threshold (a ReLU); the rate is their sum."""
    rng = np.random.default_rng(seed)
    subunits = _normed([_blob(rng, spot) for spot in range(6)])
    return _shown(rng, n, subunits, lambda drive: np.maximum(drive - THRESHOLD, 0), seed)


def energy_cell(seed: int, n: int = 100_000) -> Cell:
    """Gratings under three of these blobs, at phases 90 degrees apart, rectified and squared."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    gratings = []
    for spot in range(3):
        blob, angle, phase = _blob(rng, spot), rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        wave = 2 * np.pi / 5 * (x * np.cos(angle) + y * np.sin(angle)).ravel() + phase
        gratings += [blob * np.cos(wave), blob * np.sin(wave)]
    return _shown(rng, n, _normed(gratings), lambda drive: np.maximum(drive, 0) ** 2, seed)


def _blob(rng: np.random.Generator, spot: int) -> NDArray[np.float64]:
    """A Gaussian on the screen, near one of six spots of two rows."""
    row, column = divmod(spot, 3)
    middle = (SIDE - 1) / 2
    x = middle + _SPACING * (column - 1) + rng.uniform(-_JITTER, _JITTER)
    y = middle + _SPACING * (row - 0.5) + rng.uniform(-_JITTER, _JITTER)
    at, width = np.arange(SIDE), rng.uniform(1.2, 1.6)
    distance = (at[None, :] - x) ** 2 + (at[:, None] - y) ** 2
    return np.exp(-distance / (2 * width**2)).ravel()


def _normed(rows: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    columns = np.stack(rows, axis=1)
    return columns / np.linalg.norm(columns, axis=0)


def _shown(
    rng: np.random.Generator,
    n: int,
    subunits: NDArray[np.float64],
    output: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    seed: int,
) -> Cell:
    """Show white noise, and count Poisson spikes at the sum of the subunits' outputs."""
    X = rng.standard_normal((n + _TEST_FRAMES, SIDE**2), dtype=np.float32)
    rate = output(X @ subunits).sum(axis=1)
    y = rng.poisson(RATE / rate.mean() * rate).astype(np.float32)
    return Cell(X[:n], y[:n], X[n:], y[n:], subunits, seed)
