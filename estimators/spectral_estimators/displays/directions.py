"""What a network looks at: its output along active directions, its units' weights as images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectral_estimators._devices import on_host
from spectral_estimators.displays._style import COLOURS, INK, NOISE_EDGE, SIGNAL, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

__all__ = ["ActiveSubspaceDisplay", "ReceptiveFieldDisplay"]

_MOST_DOTS = 5000
_BINS = 40
_GAP = 0.15  # between images, of their height
_TAIL = 1e-3  # share of the rows at either end that limits of the axes may leave out


class ActiveSubspaceDisplay:
    """Targets along the one or two directions in which the output of a network varies most.

    One direction: the rows as dots, and the mean target of forty groups of neighbours; a curve that
    the dots follow says that y depends on little else.  Two directions: the rows, coloured by y.

    Parameters
    ----------
    positions : array (n, m)
        Of the rows on m = 1 or 2 directions, in standard deviations of the inputs.
    y : array (n,)
    shares : array (m,), optional
        Share of the output's mean squared gradient along each direction, for the axes' labels.

    Attributes
    ----------
    ax_, figure_ : the axes and figure of the last `plot`.

    Raises
    ------
    ValueError
        If there are more than two directions, or the number of rows differs.

    See Also
    --------
    MLPRegressor.active_subspace : The directions themselves.
    ReceptiveFieldDisplay : The weights of single units.

    Examples
    --------
    >>> import numpy as np
    >>> display = ActiveSubspaceDisplay(np.linspace(-2, 2, 400)[:, None], np.arange(400.0))
    >>> display.means().shape
    (40, 2)
    """

    def __init__(
        self, positions: ArrayLike, y: ArrayLike, *, shares: ArrayLike | None = None
    ) -> None:
        self.positions = np.asarray(positions, dtype=float)
        self.y = np.asarray(y, dtype=float)
        self.shares = None if shares is None else np.asarray(shares, dtype=float)
        if self.positions.ndim != 2 or self.positions.shape[1] not in (1, 2):
            raise ValueError(
                f"positions has shape {self.positions.shape}; give one or two columns, of the "
                "directions to draw."
            )
        if self.y.shape != self.positions.shape[:1]:
            raise ValueError(
                f"y has shape {self.y.shape}, but there are {len(self.positions)} positions; give "
                "one number for each."
            )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        n_directions: int = 1,
        output: int = 0,
        ax: Axes | None = None,
    ) -> Self:
        """Draw rows in the active subspace of a network, under their own mean and covariance.

        Parameters
        ----------
        estimator : fitted MLPRegressor or MLPClassifier
            With one hidden layer.
        X : array or sparse matrix, shape (n, d)
        y : array, shape (n,) or (n, q)
            Of a classifier, labels: drawn is whether a row is of the class that the output is for.
        n_directions : {1, 2}
        output : int
            Which of several outputs, or classes.
        ax : matplotlib axes, optional

        Returns
        -------
        ActiveSubspaceDisplay

        Raises
        ------
        ValueError
            If the estimator has no active subspace, or an argument does not fit it.
        """
        if not hasattr(estimator, "active_subspace"):
            raise ValueError(
                f"{type(estimator).__name__} has no active_subspace: this picture is of a fitted "
                "MLPRegressor or MLPClassifier."
            )
        rows = on_host(X)
        rows = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, dtype=float)
        covariance = np.cov(rows, rowvar=False).reshape(rows.shape[1], -1)
        found = estimator.active_subspace(rows.mean(axis=0), covariance)
        n_outputs, r = found.eigenvalues.shape
        if n_directions not in (1, 2) or n_directions > r:
            raise ValueError(f"n_directions must be 1 or 2, and at most {r}; got {n_directions!r}.")
        if not 0 <= output < n_outputs:
            raise ValueError(f"output must be one of 0 .. {n_outputs - 1}; got {output!r}.")
        scale = np.where(found.deviation > 0, found.deviation, 1.0)
        along = found.directions[output][:, :n_directions]
        values = found.eigenvalues[output]
        display = cls(
            (rows - found.mean) / scale @ along,
            _target(estimator, y, output),
            shares=values[:n_directions] / max(values.sum(), 1e-300),
        )
        return display.plot(ax=ax)

    def means(self) -> NDArray[np.float64]:
        """Mean position on the first direction, and mean y, of groups of neighbouring rows.

        Returns
        -------
        array (b, 2)
            Of b groups, 40 at most.
        """
        order = np.argsort(self.positions[:, 0], kind="stable")
        groups = np.array_split(order, min(_BINS, order.size))
        return np.array([[self.positions[g, 0].mean(), self.y[g].mean()] for g in groups])

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
        two = self.positions.shape[1] == 2
        ax = self.ax_ = new_axes(ax, (5.6, 4.6) if two else (6.4, 4.0))
        self.figure_ = ax.figure
        n = len(self.y)
        some = np.arange(n)
        if n > _MOST_DOTS:
            some = np.random.default_rng(0).choice(n, _MOST_DOTS, replace=False)
        x, y = self.positions[some], self.y[some]
        if two:
            low, high = np.quantile(self.y, [_TAIL, 1 - _TAIL])
            dots = ax.scatter(
                x[:, 0],
                x[:, 1],
                s=9,
                c=y,
                cmap="viridis",
                vmin=low,
                vmax=high,
                linewidths=0,
                rasterized=True,
            )
            bar = ax.figure.colorbar(dots, ax=ax, label="y", shrink=0.8)
            bar.outline.set_visible(False)
            ax.set(aspect="equal", ylabel=self._label(1))
            tidy(ax, "both")
        else:
            ax.scatter(x[:, 0], y, s=6, color=NOISE_EDGE, alpha=0.35, linewidths=0, rasterized=True)
            ax.plot(*self.means().T, color=SIGNAL, linewidth=2)
            ax.set(ylabel="y")
            tidy(ax)
        ax.set(xlabel=self._label(0), title="Targets in the active subspace")
        return self

    def _label(self, direction: int) -> str:
        """What stands beside an axis."""
        name = f"{('first', 'second')[direction]} active direction"
        if self.shares is None:
            return name
        return f"{name} ({100 * self.shares[direction]:.0f} % of the squared gradient)"


class ReceptiveFieldDisplay:
    """Weights of hidden units as images, and their standard errors below, in the same colours.

    Where a weight is no darker than its error, the data do not tell it from zero.

    Parameters
    ----------
    fields : array (k, h, w)
        An image a unit.
    errors : array (k, h, w), optional
        Standard errors of all weights.
    names : sequence of str, optional
        Names of the units.  Default: their numbers.

    Attributes
    ----------
    ax_, figure_ : the axes and figure of the last `plot`.

    Raises
    ------
    ValueError
        If shapes, or the number of names, do not fit each other.

    See Also
    --------
    TensorFeatures.standard_errors : Where standard errors come from.
    ActiveSubspaceDisplay : What the network makes of its inputs.

    Examples
    --------
    >>> import numpy as np
    >>> ReceptiveFieldDisplay(np.eye(3)[None]).names
    ['0']
    """

    def __init__(
        self,
        fields: ArrayLike,
        *,
        errors: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self.fields = np.asarray(fields, dtype=float)
        if self.fields.ndim != 3 or 0 in self.fields.shape:
            raise ValueError(f"fields has shape {self.fields.shape}; give (k, h, w), k images.")
        self.errors = None if errors is None else np.asarray(errors, dtype=float)
        if self.errors is not None and self.errors.shape != self.fields.shape:
            raise ValueError(
                f"errors has shape {self.errors.shape}, fields has {self.fields.shape}: give one "
                "standard error for each weight."
            )
        k = len(self.fields)
        self.names = [str(i) for i in range(k)] if names is None else [str(name) for name in names]
        if len(self.names) != k:
            raise ValueError(f"names needs {k} names, one for each image; got {len(self.names)}.")

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        shape: tuple[int, int],
        *,
        errors: Any = None,
        which: Sequence[int] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the units of a network, or the directions of `TensorFeatures`.

        Parameters
        ----------
        estimator : fitted network, or transformer with ``components_``
            Scikit-learn's networks, too.
        shape : tuple of two ints
            Height and width of the images that the columns of X are, row by row; or lags and
            pixels.
        errors : DirectionErrors or array (k, d), optional
            What `TensorFeatures.standard_errors` returned, or other standard errors.
        which : sequence of int, optional
            Units to draw.  Default: all.
        ax : matplotlib axes, optional

        Returns
        -------
        ReceptiveFieldDisplay

        Raises
        ------
        ValueError
            If the shape, the errors or ``which`` do not fit the estimator.
        """
        if hasattr(estimator, "coefs_"):
            weights = np.asarray(on_host(estimator.coefs_[0])).T
        elif hasattr(estimator, "components_"):
            weights = np.asarray(on_host(estimator.components_))
        else:
            raise ValueError(
                f"{type(estimator).__name__} has neither coefs_ nor components_: fit it first."
            )
        k, d = weights.shape
        if len(shape) != 2 or shape[0] * shape[1] != d:
            raise ValueError(
                f"shape={tuple(shape)} is not that of images of the {d} columns of X: give two "
                f"numbers whose product is {d}."
            )
        drawn = list(range(k) if which is None else which)
        if not drawn or not all(0 <= unit < k for unit in drawn):
            raise ValueError(f"which must be some of the units 0 .. {k - 1}; got {which!r}.")
        if errors is not None:
            errors = np.asarray(getattr(errors, "errors", errors), dtype=float)
            if errors.shape != (k, d):
                raise ValueError(
                    f"errors has shape {errors.shape}; give ({k}, {d}), one for each weight."
                )
            errors = errors[drawn].reshape(-1, *shape)
        display = cls(
            weights[drawn].reshape(-1, *shape), errors=errors, names=list(map(str, drawn))
        )
        return display.plot(ax=ax)

    def plot(self, *, n_columns: int = 8, ax: Axes | None = None) -> Self:
        """Draw the images.

        Parameters
        ----------
        n_columns : int
            Most images side by side.
        ax : matplotlib axes, optional
            Default: those of a new figure.

        Returns
        -------
        self
        """
        k, h, w = self.fields.shape
        across = min(k, n_columns)
        lines = -(-k // across)
        kinds = [self.fields] if self.errors is None else [self.fields, self.errors]
        gap = max(1.0, _GAP * h)
        step_x, step_y = w + gap, len(kinds) * (h + gap) + 1.5 * gap
        width, height = across * step_x - gap, lines * step_y - 2 * gap
        inches = 1.15 * across
        ax = self.ax_ = new_axes(ax, (inches + 1.3, 0.3 + inches * height / width))
        self.figure_ = ax.figure
        limit = np.abs(self.fields).max() or 1.0
        for unit, name in enumerate(self.names):
            left, top = unit % across * step_x, unit // across * step_y
            for row, kind in enumerate(kinds):
                low = top + row * (h + gap)
                image = ax.imshow(
                    kind[unit],
                    cmap=_colours(),
                    vmin=-limit,
                    vmax=limit,
                    extent=(left, left + w, low + h, low),
                    interpolation="nearest",
                )
                frame = {"fill": False, "edgecolor": "#d5d9dd", "linewidth": 0.8}
                ax.add_patch(_rectangle((left, low), w, h, **frame))
                if unit % across == 0 and len(kinds) > 1:
                    label = ("weights", "errors")[row]
                    ax.text(-gap, low + h / 2, label, rotation=90, va="center", ha="right", **_TEXT)
            ax.text(left + w / 2, top - 0.2 * gap, name, va="bottom", ha="center", **_TEXT)
        rim = 0.2 * gap
        ax.set(xlim=(-2.5 * gap, width + rim), ylim=(height + rim, -1.8 * gap), aspect="equal")
        ax.set_axis_off()
        bar = ax.figure.colorbar(image, ax=ax, shrink=0.6, aspect=14, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8)
        return self


_TEXT: dict[str, Any] = {"fontsize": 9, "color": INK}


def _rectangle(corner: tuple[float, float], width: float, height: float, **how: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, **how)


def _colours() -> Colormap:
    """From the colour of one fit over white to that of another: zero is white."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("signed", [COLOURS[0], "#ffffff", COLOURS[1]])


def _target(estimator: Any, y: ArrayLike, output: int) -> NDArray[np.float64]:
    """What an output is for, (n,): a column of numbers, or whether a row is of a class."""
    target = np.asarray(on_host(y))
    classes = getattr(estimator, "classes_", None)
    if target.ndim == 2:
        return target[:, output].astype(float)
    if classes is None:
        return target.astype(float)
    classes = np.asarray(on_host(classes))
    return (target == classes[1 if len(classes) == 2 else output]).astype(float)
