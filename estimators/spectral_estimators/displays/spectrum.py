"""The singular values that say how many states, or hidden units, the data support."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from spectral_estimators.displays._style import (
    INK,
    NOISE,
    NOISE_EDGE,
    SIGNAL,
    new_axes,
    plain_numbers,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SpectrumDisplay"]


class SpectrumDisplay:
    """Singular values of the moments, largest first, with the number of components in use.

    A gap, or the place where the values level off into noise, suggests how many states, hidden
    units or topics there are.  Where the level of noise is known it is drawn, and values above it
    count.

    Parameters
    ----------
    singular_values : array (r,)
    n_components : int, optional
        States or units in use; marked in the picture.
    null_level : float, optional
        Largest singular value that noise alone would show.
    n_supported : int, optional
        Values that the fit took to be above the noise.  Default: those above ``null_level``.
    n_workable : int, optional
        Values with which moments can be whitened, which may be more than there are components;
        those beyond are shaded.

    Attributes
    ----------
    ax_, figure_ : the axes and figure of the last `plot`.

    See Also
    --------
    RankWarning : What a fit says where there are too few.
    TopicsDisplay : The topics that the values stand for.

    Examples
    --------
    >>> display = SpectrumDisplay([3.0, 1.0, 0.1, 0.05], n_components=2, null_level=0.2)
    >>> display.n_supported
    2
    """

    def __init__(
        self,
        singular_values: ArrayLike,
        *,
        n_components: int | None = None,
        null_level: float | None = None,
        n_supported: int | None = None,
        n_workable: int | None = None,
    ) -> None:
        self.singular_values = np.asarray(singular_values, dtype=float)
        self.n_components = n_components
        self.null_level = null_level
        if n_supported is None and null_level is not None:
            n_supported = int((self.singular_values > null_level).sum())
        self.n_supported = n_supported
        self.n_workable = n_workable

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None) -> Self:
        """Draw the spectrum that a fit found.

        Parameters
        ----------
        estimator : fitted estimator with ``report_``
            A hidden Markov model, a network, `TensorFeatures`, or `LatentDirichletAllocation`, of
            which the positive eigenvalues of the second moment are drawn.
        ax : matplotlib axes, optional

        Returns
        -------
        SpectrumDisplay

        Raises
        ------
        ValueError
            If the fit looked at no moments (``init="random"``, or parameters set by hand).
        """
        report = getattr(estimator, "report_", None)
        values = getattr(report, "singular_values", getattr(report, "eigenvalues", None))
        if values is None:
            raise ValueError(
                "The estimator has no singular values: fit it with init='tensor' first "
                "(report_.singular_values, or eigenvalues)."
            )
        display = cls(
            values,
            n_components=getattr(estimator, "n_components_", None) or len(estimator.components_),
            null_level=getattr(report, "null_level", None),
            n_supported=getattr(report, "n_supported", None),
            n_workable=getattr(report, "workable", None),
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw on ``ax``, or on a new figure.

        Parameters
        ----------
        ax : matplotlib axes, optional
            Default: those of a new figure.

        Returns
        -------
        self
        """
        ax = self.ax_ = new_axes(ax, (6.0, 3.6))
        self.figure_ = ax.figure
        values = self.singular_values[self.singular_values > 0]
        rank = np.arange(1, values.size + 1)
        k = values.size if self.n_components is None else min(self.n_components, values.size)
        stem = values.min(initial=1) * 1e-6  # to the bottom, wherever the limits are moved later
        ax.vlines(rank, stem, values, color=NOISE, linewidth=1, zorder=1)
        ax.plot(rank[k:], values[k:], "o", color=NOISE, markeredgecolor=NOISE_EDGE, markersize=5)
        ax.plot(rank[:k], values[:k], "o", color=SIGNAL, markersize=6)
        ax.set_yscale("log")
        if values.size:
            low = min(values.min(), self.null_level or np.inf)
            ax.set_ylim(low / 2, max(values.max(), self.null_level or 0) * 2)
        if self.null_level is not None:
            self._draw_noise(ax, values.size)
        if self.n_workable is not None:
            self._shade_unworkable(ax, self.n_workable, values.size)
        if self.n_components is not None and values.size:
            ax.axvline(k + 0.5, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
            bounded = self.null_level is not None or self.n_workable is not None
            at_left = k > 0.7 * values.size and bounded
            ax.annotate(
                self._label(values),
                (k + 0.5, 0.98),
                xycoords=("data", "axes fraction"),
                va="top",
                ha="right" if at_left else "left",
                fontsize=9,
                color=INK,
            )
        ax.set(xlabel="rank", ylabel="singular value", title="Spectrum of the moments")
        ax.locator_params(axis="x", integer=True)
        plain_numbers(ax.yaxis)
        tidy(ax)
        return self

    def _label(self, values: np.ndarray) -> str:
        """What stands beside the line at the number in use."""
        if self.null_level is not None:
            return f" {self.n_components} in use \n {self.n_supported} above the noise "
        if self.n_workable is not None:
            return f" {self.n_components} in use \n {self.n_workable} workable "
        k = min(self.n_components or values.size, values.size)
        ratio = values[k - 1] / values[0]
        return f" K = {self.n_components}\n $\\sigma_K/\\sigma_1$ = {ratio:.2g}"

    def _shade_unworkable(self, ax: Axes, n_workable: int, n_values: int) -> None:
        """Behind the values that moments cannot be whitened with."""
        right = n_values + 0.6
        ax.axvspan(min(n_workable + 0.5, right), right, color="#f1f3f5", linewidth=0, zorder=0)
        ax.set_xlim(0.4, right)

    def _draw_noise(self, ax: Axes, n_values: int) -> None:
        """The level that noise alone reaches, and all that lies below it."""
        assert self.null_level is not None
        left, right = 0.4, n_values + 0.6
        ax.fill_between([left, right], 1e-300, self.null_level, color="#f1f3f5", zorder=0)
        ax.plot([left, right], [self.null_level] * 2, color=NOISE_EDGE, linewidth=1, zorder=1)
        ax.text(
            right,
            self.null_level * 1.06,
            "noise alone reaches this",
            ha="right",
            va="bottom",
            fontsize=9,
            color="#6b757e",
        )
        ax.set_xlim(left, right)
