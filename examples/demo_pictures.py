"""The pictures that ``make demo`` leaves in ``examples/pictures``."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")  # files, no window

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from spectral_estimators import CategoricalHMM, EmissionDisplay, SpectrumDisplay
from spectral_estimators.displays import state_order
from spectral_nn.datasets import DIGIT, OTHER

FOLDER = Path(__file__).parent / "pictures"
OURS, THEIRS, INK, FAINT = "#2b6ca3", "#c8642b", "#333333", "#8a949e"

Curve = Sequence[tuple[float, float]]  # seconds, bits a character


def likelihood_against_time(ours: Sequence[Curve], theirs: Sequence[Curve]) -> Path:
    """Best training likelihood so far against wall time; restarts of theirs one after another."""
    figure, ax = plt.subplots(figsize=(8.4, 4.6), layout="constrained")
    for curve in theirs:
        seconds, bits = np.transpose(curve)
        ax.plot(seconds, bits, color=THEIRS, linewidth=0.9, alpha=0.35)
    theirs_so_far = best_so_far([point for curve in theirs for point in curve])
    ax.step(*theirs_so_far.T, where="post", color=THEIRS, linewidth=2.2)
    ours_so_far = [best_so_far(curve) for curve in ours]
    for curve in ours_so_far:
        ax.step(*curve.T, where="post", color=OURS, linewidth=1.4, alpha=0.9)
        ax.plot(*curve[0], "o", color=OURS, markersize=4)
        ax.plot(*curve[-1], "s", color=OURS, markersize=5)
    low = min(curve[:, 1].min() for curve in [*ours_so_far, theirs_so_far])
    ax.set(
        xscale="log",
        xlim=(0.05, 1.25 * theirs_so_far[-1, 0]),
        ylim=(low - 0.012, low + 0.22),
        xlabel="seconds since the start (one thread)",
        ylabel="training text, bits a character",
    )
    _label_curves(ax, ours_so_far, theirs_so_far, len(theirs))
    ax.set_title("Ten states learn the Python manual", loc="left", fontsize=13, color=INK)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _tidy(ax)
    return _save(figure, "likelihood.png")


def states(model: CategoricalHMM, alphabet: str) -> Path:
    """What each state writes: rows are states, columns characters grouped by the state they fit."""
    weights = model.get_stationary_distribution()
    order = state_order(model.transmat_, weights)
    figure, ax = plt.subplots(figsize=(11, 4.6), layout="constrained")
    display = EmissionDisplay.from_estimator(
        model,
        symbols=character_names(alphabet),
        labels=[f"{share:.0%}" for share in weights],
        order=order,
        max_symbols=len(alphabet),
        ax=ax,
    )
    ax.tick_params(axis="x", labelsize=12)
    ax.tick_params(axis="y", labelsize=10)
    ax.set_xlabel("character (␣ blank, # any digit, … anything else)")
    ax.set_ylabel("state, with its share of the text")
    ax.set_title(
        "What the ten states write", loc="left", fontsize=13, color=INK
    )
    assert display.image_ is not None
    return _save(figure, "states.png")


def spectrum(model: CategoricalHMM, noise: NDArray[np.float64]) -> Path:
    """Singular values of the moments, above those of the same characters shuffled."""
    figure, ax = plt.subplots(figsize=(7.2, 4.0), layout="constrained")
    SpectrumDisplay.from_estimator(model, ax=ax)
    return _save(figure, "spectrum.png")


def best_so_far(curve: Curve) -> NDArray[np.float64]:
    """Rows (seconds, lowest bits until then) of a curve, where it improves."""
    points = np.array(curve)
    lowest = np.minimum.accumulate(points[:, 1])
    improves = np.r_[True, np.diff(lowest) < 0]
    improves[-1] = True
    return np.column_stack([points[:, 0], lowest])[improves]


def character_names(alphabet: str) -> list[str]:
    """Alphabet of `encode_characters` with a sign for digits and one for all that is rare."""
    return [{DIGIT: "#", OTHER: "…"}.get(character, character) for character in alphabet]


def _label_curves(
    ax: Axes, ours: list[NDArray[np.float64]], theirs: NDArray[np.float64], n_restarts: int
) -> None:
    pass


def _tidy(ax: Axes) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.grid(axis="y", color="#e8eaed", linewidth=0.8)
    ax.set_axisbelow(True)


def _save(figure: Figure, name: str) -> Path:
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / name
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
