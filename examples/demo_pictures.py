"""The pictures that ``make demo`` draws."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")  # files, no window

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from bench.words_data import Split
from bench.words_fits import Tagger
from spectral_estimators import (
    CategoricalHMM,
    EmissionDisplay,
    GaussianHMM,
    LatentDirichletAllocation,
    LossDisplay,
    RecoveryDisplay,
    SeriesDisplay,
    SpectrumDisplay,
    TopicsDisplay,
)
from spectral_estimators.datasets import DIGIT, OTHER
from spectral_estimators.displays import state_order

FOLDER = Path("build/demo")  # below the current folder; git ignores it
OURS, THEIRS, INK = "#2b6ca3", "#c8642b", "#333333"
SIGNS = {DIGIT: "#", OTHER: "…"}  # alphabet of `encode_characters`: any digit, anything else
STRIP = 72  # characters in a line of text

Curve = Sequence[tuple[float, float]]  # seconds, bits a character


def market(
    model: GaussianHMM,
    days: NDArray[np.datetime64],
    prices: NDArray[np.float64],
    n_train: int,
) -> Figure:
    """Prices and returns, the states of the days behind them; the model saw the first returns."""
    returns = 100 * np.diff(np.log(prices))[:, None]
    unknown = np.full(model.n_components_, np.nan)  # the model says nothing of prices
    figure, axes = plt.subplots(2, 1, figsize=(9.6, 4.6), layout="constrained", sharex=True)
    SeriesDisplay(
        np.column_stack([prices[1:], returns]),
        model.predict(returns),
        means=np.column_stack([unknown, model.means_]),
        spreads=np.column_stack([unknown, np.sqrt(model.covars_.ravel())]),
        index=days[1:],
        columns=["S&P 500", "return, %"],
    ).plot(ax=axes)
    axes[0].get_legend().remove()
    axes[0].set_yscale("log")
    axes[0].minorticks_off()
    axes[0].set_yticks([700, 1000, 1500, 2000, 3000], ["700", "1000", "1500", "2000", "3000"])
    for ax in axes:
        ax.axvline(days[1 + n_train], color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes[0].annotate(
        "held out from here",
        (days[1 + n_train], 0.04),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=9,
        color=INK,
    )
    _title(axes[0], "Four states found in daily returns of the S&P 500")
    return figure


def likelihood_against_time(ours: Sequence[Curve], theirs: Sequence[Curve]) -> Figure:
    """Best training likelihood so far against wall time; restarts of theirs one after another."""
    figure, ax = plt.subplots(figsize=(8.4, 4.6), layout="constrained")
    for curve in theirs:
        ax.plot(*np.transpose(curve), color=THEIRS, linewidth=0.9, alpha=0.35)
    their_best = best_so_far([point for curve in theirs for point in curve])
    ax.step(*their_best.T, where="post", color=THEIRS, linewidth=2.2)
    our_best = [best_so_far(curve) for curve in ours]
    for curve in our_best:
        ax.step(*curve.T, where="post", color=OURS, linewidth=1.4)
        ax.plot(*curve[0], "o", color="white", markeredgecolor=OURS, markersize=5)
        ax.plot(*curve[-1], "o", color=OURS, markersize=6)
    low = min(curve[:, 1].min() for curve in [*our_best, their_best])
    left = min(curve[0, 0] for curve in our_best) / 3  # on a logarithmic scale, in proportion
    ax.set(
        xscale="log",
        xlim=(left, 1.25 * their_best[-1, 0]),
        ylim=(low - 0.025, low + 0.225),
        xlabel="seconds since the start, one thread",
        ylabel="bits a character, training text (less is better)",
    )
    _name_the_curves(ax, our_best, their_best, len(theirs))
    _title(ax, "Ten hidden states learn the Python manual")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.grid(axis="y", color="#e8eaed", linewidth=0.8)
    ax.set_axisbelow(True)
    return figure


def states(model: CategoricalHMM, alphabet: str, text: NDArray[np.int32]) -> Figure:
    """What each state writes, and the states behind a line of held-out text and of a sample."""
    weights = model.get_stationary_distribution()
    order = state_order(model.transmat_, weights)
    colours = [0.45 + 0.55 * np.array(to_rgb(f"C{i}")) for i in range(len(order))]
    figure, (ax, *strips) = plt.subplots(
        3, 1, figsize=(11, 6), layout="constrained", height_ratios=[10, 1, 1]
    )
    symbols = [SIGNS.get(character, character) for character in alphabet]
    EmissionDisplay.from_estimator(
        model,
        symbols=symbols,
        labels=[f" {share:.0%} " for share in weights],
        order=order,
        max_symbols=len(alphabet),
        ax=ax,
    )
    for label, colour in zip(ax.get_yticklabels(), colours, strict=True):
        label.set_bbox({"facecolor": colour, "edgecolor": "none", "boxstyle": "round,pad=0.25"})
    ax.tick_params(axis="x", labelsize=12)
    ax.tick_params(axis="y", pad=6)
    ax.set_xlabel("character: ␣ blank, # any digit, … anything else", fontsize=9)
    ax.set_ylabel("state and its share of the text", labelpad=8)
    _title(ax, "What the ten states write")

    rank = np.argsort(order)
    start = next(i for i in range(20_000, text.size) if symbols[text[i - 2]] == ".")  # a sentence
    _strip(
        strips[0], text[start : start + STRIP], model.predict(text)[start:], rank, symbols, colours
    )
    _title(
        strips[0],
        "Held-out text, each character in the colour of its state on the most likely path",
        10,
    )
    sample, path = model.sample(STRIP, random_state=0)
    _strip(strips[1], sample[:, 0], path, rank, symbols, colours)
    _title(strips[1], "What the model writes by itself", 10)
    return figure


def words(
    text: Split, taggers: Mapping[str, Tagger], states: Mapping[str, NDArray[np.int64]]
) -> Figure:
    """How often the states of each side meet each tag; states named by their commonest words."""
    names, codes = np.unique(text.test_tags, return_inverse=True)
    by_frequency = np.argsort(np.argsort(-np.bincount(codes), kind="stable"))
    figure, axes = plt.subplots(1, len(taggers), figsize=(12.4, 5.4), layout="constrained")
    for ax, (side, tagger) in zip(axes, taggers.items(), strict=True):
        probs = tagger.parameters.emission.probs
        table = np.zeros((len(probs), names.size))
        np.add.at(table, (states[side], codes), 1)
        sizes = table.sum(axis=1)
        EmissionDisplay(
            table / np.maximum(sizes, 1)[:, None],
            symbols=names,
            labels=[" ".join(text.vocabulary[three]) for three in np.argsort(-probs)[:, :3]],
            order=np.lexsort([-sizes, by_frequency[table.argmax(axis=1)]]),
            weights=sizes / sizes.sum(),
        ).plot(ax=ax)
        ax.set(xlabel="", ylabel="")
        _title(ax, f"{side}: {tagger.score.accuracy:.0f} % right", 11)
    figure.suptitle(
        "Seventeen states of Portuguese words, and the parts of speech that they turned out to be",
        x=0.01,
        ha="left",
        fontsize=12.5,
        color=INK,
    )
    return figure


def spectrum(model: CategoricalHMM, noise: NDArray[np.float64]) -> Figure:
    """Singular values of the moments, above those of the same characters shuffled."""
    figure, ax = plt.subplots(figsize=(7.2, 4.0), layout="constrained")
    SpectrumDisplay.from_estimator(model, ax=ax)
    rank = np.arange(1, len(noise) + 1)
    ax.fill_between(rank[1:], 1e-3, noise[1:], color=THEIRS, alpha=0.15, linewidth=0)
    ax.plot(rank[1:], noise[1:], color=THEIRS, linewidth=1.2)
    ax.text(
        rank[1] + 0.3,
        noise[-1] * 0.92,
        "the same characters, shuffled",
        color=THEIRS,
        va="top",
        bbox={"facecolor": "#f7e9e1", "edgecolor": "none", "pad": 1},
    )
    ax.set_ylim(noise.min() / 1.5, 6)
    _title(ax, "No gap in the spectrum of a text: K is for you to choose")
    return figure


def network_loss(curves: Mapping[str, Any], noise_loss: float) -> Figure:
    """Training loss against wall time; restarts one after another."""
    figure, ax = plt.subplots(figsize=(8.4, 4.6), layout="constrained")
    ax.axhline(noise_loss, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    LossDisplay(curves).plot(time_scale="linear", ax=ax)
    ax.annotate(
        "noise: the loss of the planted network itself",
        (ax.get_xlim()[1], noise_loss),
        xytext=(0, -4),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=9,
        color=INK,
    )
    ax.text(
        1,
        0.98,
        "thick: the best start so far; thin: each start, one after another\n"
        "dots: ends of fits (scikit-learn keeps no curve with L-BFGS)",
        transform=ax.transAxes,
        ha="right",
        va="top",
        fontsize=9,
        color=INK,
    )
    ax.set(xlabel="seconds since the start, one thread", ylabel="training loss (less is better)")
    _title(ax, "A planted network of ten ReLUs: from moments, and from random starts")
    return figure


def network_recovery(angles: Sequence[Mapping[str, NDArray[np.float64]]]) -> Figure:
    """Angles of hidden units to those of planted networks, a panel each."""
    figure, axes = plt.subplots(
        1, len(angles), figsize=(9.6, 2.7), layout="constrained", sharex=True
    )
    for i, (ax, of_sides) in enumerate(zip(axes, angles, strict=True)):
        RecoveryDisplay(of_sides).plot(ax=ax)
        _title(ax, f"Planted network {i}", 11)
        if i:
            ax.set_yticklabels([])
        ax.set_xlabel("degrees")
    least = min(values.min() for of_sides in angles for values in of_sides.values())
    axes[0].set_xlim(least / 1.6)
    figure.suptitle(
        "Angle of each of the ten learned units to the true one; the number is the largest",
        x=0.01,
        ha="left",
        fontsize=12.5,
        color=INK,
    )
    return figure


def topics(model: LatentDirichletAllocation, X: Any, words: Sequence[str]) -> Figure:
    """The likeliest words of the ten most coherent topics."""
    best = np.argsort(-model.coherence(X))[:10]
    figure = TopicsDisplay.from_estimator(model, X, feature_names=words, topics=best).figure_
    figure.suptitle(
        "Ten of twenty topics of news: their likeliest words",
        x=0.01,
        ha="left",
        fontsize=12.5,
        color=INK,
    )
    return figure


def save(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write each figure as a PNG of its name, and close it."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=120)
        plt.close(figure)
    return paths


def best_so_far(curve: Curve) -> NDArray[np.float64]:
    """Rows (seconds, lowest bits until then) of a curve, where it improves, and its end."""
    points = np.array(curve)
    lowest = np.minimum.accumulate(points[:, 1])
    kept = np.r_[True, np.diff(lowest) < 0]
    kept[-1] = True
    return np.column_stack([points[:, 0], lowest])[kept]


def _name_the_curves(
    ax: Axes, ours: list[NDArray[np.float64]], theirs: NDArray[np.float64], n_restarts: int
) -> None:
    """Name the curves where they are, rather than in a legend."""
    left, (low, high) = ax.get_xlim()[0], ax.get_ylim()
    ends = [curve[-1, 0] for curve in ours]
    first = min(curve[0, 0] for curve in ours)
    ax.text(
        left * 1.1,
        max(curve[0, 1] for curve in ours) + 0.03 * (high - low),
        f"spectral-nn, {len(ours)} seeds:\n{min(ends):.1f} to {max(ends):.1f} s",
        color=OURS,
        fontsize=11,
    )
    ax.text(
        left * 1.1,
        low + 0.72 * (high - low),
        f"hmmlearn (Baum-Welch):\nbest of {n_restarts} restarts so far,\n{theirs[-1, 0]:.0f} s; "
        "thin: each restart",
        color=THEIRS,
        fontsize=11,
    )
    ax.axvspan(left, first, ymax=0.07, color=OURS, alpha=0.13, linewidth=0)
    ax.text(
        first * 1.05,
        low + 0.035 * (high - low),
        "until here: count, decompose, race",
        color=OURS,
        fontsize=8,
        va="center",
    )


def _strip(
    ax: Axes,
    codes: NDArray[np.integer],
    path: NDArray[np.integer],
    rank: NDArray[np.intp],
    symbols: list[str],
    colours: list[NDArray[np.float64]],
) -> None:
    """A line of text, every character on the colour of its state."""
    shown = rank[path[: len(codes)]][None, :]
    ax.imshow(shown, cmap=ListedColormap(colours), vmin=0, vmax=len(colours) - 1, aspect="auto")
    for i, code in enumerate(codes):
        ax.text(i, 0, symbols[code], ha="center", va="center", fontsize=11, color=INK)
    ax.set_axis_off()


def _title(ax: Axes, text: str, size: float = 12.5) -> None:
    """Set a title at the left, and remove one in the middle."""
    ax.set_title("")
    ax.set_title(text, loc="left", fontsize=size, color=INK)
