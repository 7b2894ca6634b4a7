"""MNIST-1D: signals of ten shapes, small enough for many fits and hard for linear models."""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter1d

__all__ = ["make_mnist1d"]

SHAPES = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)
"""One row a digit; each begins and ends at 5."""

MIN_PADDING, MAX_PADDING = 36, 60
LENGTH = SHAPES.shape[1] + MAX_PADDING  # of a signal before it is sampled
MAX_SHIFT = 47
HEIGHT = 1 / 6  # standard deviation of a shape
SCALE_SPREAD = 0.2
MAX_SLOPE = 0.375
SMOOTH_NOISE, SMOOTHNESS = 0.25, 2.0  # deviation of what a Gaussian filter of this width smooths
WHITE_NOISE = 0.02
N_FEATURES = 40


def make_mnist1d(
    n_samples: int = 5000, *, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw MNIST-1D: signals of 40 values, each a digit's shape somewhere in noise.

    A digit's shape has 12 values, the first and the last zero, of standard deviation 1/6. For each
    row it

    1. gets 36 to 60 zeros behind it, and is stretched to 72 values,
    2. is multiplied by 0.8 to 1.2,
    3. is shifted by 0 to 47 places; what leaves at the end comes back at the beginning,
    4. gets correlated noise where the zeros are, and white noise of deviation 0.02 everywhere,
    5. gets a line added, of slope -0.375 to 0.375 over the whole length,
    6. is sampled at 40 places,

    by uniform draws and linear interpolation. The data as a whole are centred and scaled to
    variance 1. Usually 4,000 rows are learned from and 1,000 held out. Its author reports test
    accuracies of 32 % for logistic regression, 68 % for a multilayer perceptron, 94 % for a
    convolutional network, and 96 % for a human.

    Parameters
    ----------
    n_samples : int
        n, rows. Digits are equally frequent, but for a remainder.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    X : float64 array of shape (n, 40)
        Signals, in random order.
    y : int64 array of shape (n,)
        Digits, 0 to 9.

    Raises
    ------
    ValueError
        If there are no rows.

    See Also
    --------
    planted_network : Networks to be recovered from samples.
    spectral_estimators.compare_trainers : Learning rules side by side, for instance on these.

    Notes
    -----
    Rows follow the law of the original data, which come from another generator of random numbers:
    no row is the same. Cost: O(n).

    References
    ----------
    Greydanus, "Scaling down deep learning", arXiv 2011.14439, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = make_mnist1d(rng=np.random.default_rng(0))
    >>> X.shape, np.bincount(y).tolist()
    ((5000, 40), [500, 500, 500, 500, 500, 500, 500, 500, 500, 500])
    >>> X_train, X_test, y_train, y_test = X[:4000], X[4000:], y[:4000], y[4000:]
    """
    if n_samples < 1:
        raise ValueError(f"n_samples={n_samples}: draw one row at least.")
    y = rng.permutation(np.arange(n_samples) % len(SHAPES))
    places = _draw_places(n_samples, rng)
    signal = _interpolate_shapes(places, y)
    signal *= rng.uniform(1 - SCALE_SPREAD, 1 + SCALE_SPREAD, (n_samples, 1))
    noise = SMOOTH_NOISE * rng.standard_normal(signal.shape)
    noise = gaussian_filter1d(noise, SMOOTHNESS, axis=1)
    X = np.where(places < SHAPES.shape[1], signal, noise)
    X += WHITE_NOISE * rng.standard_normal(X.shape)
    X += rng.uniform(-MAX_SLOPE, MAX_SLOPE, (n_samples, 1)) * np.linspace(-0.5, 0.5, LENGTH)
    X = make_interp_spline(np.linspace(0, 1, LENGTH), X, k=1, axis=1)(np.linspace(0, 1, N_FEATURES))
    return (X - X.mean()) / X.std(), y


def _draw_places(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where on the padded shape, in units of its values, those of each signal (n, 72) lie."""
    last = SHAPES.shape[1] - 1 + rng.integers(MIN_PADDING, MAX_PADDING + 1, (n, 1))
    shifts = rng.integers(MAX_SHIFT + 1, size=(n, 1))
    return (np.arange(LENGTH) - shifts) % LENGTH * last / (LENGTH - 1)


def _interpolate_shapes(places: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shapes of the digits y, zero at their ends and beyond, at places (n, 72)."""
    shapes = HEIGHT * (SHAPES - SHAPES[:, :1]) / SHAPES.std(axis=1, keepdims=True)
    values = np.empty_like(places)
    for digit, shape in enumerate(shapes):
        rows = y == digit
        values[rows] = np.interp(places[rows], np.arange(shape.size), shape)
    return values
