"""The picture of `bench.scale_law`: seconds of a pass, and what it makes of its workers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.scale_model import Costs, serial_pass

_COLOURS = "viridis"


def draw(
    counts: Sequence[int],
    curves: Mapping[float, Sequence[float]],
    costs: Costs,
    measured: Sequence[Mapping[str, Any]],
    path: Path,
) -> None:
    """Time and efficiency of a pass against workers.

    Parameters
    ----------
    counts : numbers of workers.
    curves : seconds of a pass with each of them, for each number of tokens.
    costs : of the pass, for what one process takes.
    measured : passes that were timed: workers, tokens, seconds.
    path : where to.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained")
    colours = plt.get_cmap(_COLOURS)(np.linspace(0.0, 0.85, len(curves)))
    for (n_tokens, seconds), colour in zip(curves.items(), colours, strict=True):
        one = serial_pass(costs, n_tokens)
        name = power(n_tokens)
        left.loglog(counts, seconds, color=colour)
        left.loglog(counts, one / np.array(counts), ":", color=colour, linewidth=1)
        left.annotate(
            name, (counts[0], seconds[0]), (6, 4), textcoords="offset points", color=colour
        )
        best = int(np.argmin(seconds))
        if best < len(counts) - 1:
            left.plot(counts[best], seconds[best], "v", color=colour, markersize=6)
        used = one / (np.array(counts) * np.array(seconds))
        right.semilogx(counts, 100 * used, color=colour, label=f"{name} tokens")
    points = [point for point in measured if point["parts"] == min(p["parts"] for p in measured)]
    left.plot(
        [point["workers"] for point in points],
        [point["seconds"] for point in points],
        "o",
        color="crimson",
        zorder=3,
        label=f"measured, {power(round(points[0]['tokens'], -6))} tokens",
    )
    left.plot([], [], "k-", label="simulated")
    left.plot([], [], "k:", linewidth=1, label="if workers cost nothing but their share")
    left.plot([], [], "kv", markersize=6, label="fastest")
    left.set_ylim(top=10 * left.get_ylim()[1])  # room for the topmost label
    left.set(xlabel="workers", ylabel="seconds", title="one EM step, K=30, by the number of tokens")
    left.legend(loc="lower left", fontsize=8)
    right.axhline(50, color="0.6", linestyle=":", linewidth=1)
    right.set(
        xlabel="workers",
        ylabel="% of the workers' time put to use",
        title="where adding workers stops paying",
        ylim=(0, 105),
    )
    right.legend(loc="lower left", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def power(number: float) -> str:
    """A number as a power of ten, where it is one, for a label."""
    mantissa, exponent = f"{number:.0e}".split("e")
    head = "" if mantissa == "1" else rf"{mantissa}\cdot"
    return rf"${head}10^{{{int(exponent)}}}$"
