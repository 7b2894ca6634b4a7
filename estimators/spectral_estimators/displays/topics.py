"""What topics are about: their likeliest words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from spectral_estimators._devices import on_host
from spectral_estimators._word_counts import counts_in_memory
from spectral_estimators.displays._paths import panels
from spectral_estimators.displays._style import SIGNAL, tidy
from spectral_nn.models.topics.evaluate import coherence, top_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TopicsDisplay"]

_ACROSS = 5
_ROW, _FRAME = 0.17, 0.8  # inches of a word, and of what is above and below a panel


class TopicsDisplay:
    """The likeliest words of topics, and their probabilities, a panel of bars for each topic.

    Parameters
    ----------
    topics : array (k, V)
        Probabilities of words; rows are divided by their sums.
    feature_names : sequence of str, optional
        The V words.  Default: their numbers.
    names : sequence of str, optional
        Titles of the k panels.  Default: "topic 0" and so on.
    coherence : array (k,), optional
        Normalised pointwise mutual information, for the titles.
    n_words : int, default=10
        Words in each panel.

    Attributes
    ----------
    axes_ : list of k matplotlib axes
        What the last `plot` drew on.
    figure_ : matplotlib figure
        The figure of the axes.
    words_ : list of k lists of str
        The words drawn, the likeliest first.

    Raises
    ------
    ValueError
        If topics are no matrix, or another argument does not fit it.

    See Also
    --------
    LatentDirichletAllocation.coherence : Whether the words of a topic go together.
    SpectrumDisplay : How many topics the documents carry.

    Examples
    --------
    >>> topics = [[0.5, 0.4, 0.1], [0.0, 0.2, 0.8]]
    >>> TopicsDisplay(topics, feature_names=["sea", "wind", "bank"], n_words=2).words_
    [['sea', 'wind'], ['bank', 'wind']]
    """

    def __init__(
        self,
        topics: ArrayLike,
        *,
        feature_names: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
        coherence: ArrayLike | None = None,
        n_words: int = 10,
    ) -> None:
        topics = np.asarray(topics, dtype=float)
        if topics.ndim != 2 or not topics.size:
            raise ValueError(f"topics has shape {topics.shape}; give a row for each topic.")
        k, V = topics.shape
        words = list(map(str, range(V) if feature_names is None else feature_names))
        if len(words) != V:
            raise ValueError(
                f"feature_names needs {V} words, one for each column; got {len(words)}."
            )
        if n_words < 1:
            raise ValueError(f"n_words must be at least 1, got {n_words!r}.")
        self.topics = topics / topics.sum(axis=1, keepdims=True)
        self.names = [f"topic {i}" for i in range(k)] if names is None else list(names)
        self.coherence = None if coherence is None else np.asarray(coherence, dtype=float)
        for name, given in (("names", self.names), ("coherence", self.coherence)):
            if given is not None and len(given) != k:
                raise ValueError(f"{name} needs {k} entries, one for each topic; got {len(given)}.")
        self.likeliest = top_words(self.topics, n_words)
        self.words_ = [[words[v] for v in row] for row in self.likeliest]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        feature_names: Sequence[str] | None = None,
        topics: Sequence[int] | None = None,
        n_words: int = 10,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> Self:
        """Draw the topics of a fitted model.

        Parameters
        ----------
        estimator : fitted LatentDirichletAllocation
            Scikit-learn's, too.
        X : array or sparse matrix, shape (n, V), optional
            Counts of words in documents: titles then say how coherent topics are in them.
        feature_names : sequence of str, optional
            The words, such as ``vectorizer.get_feature_names_out()``.  Default: the names of the
            columns that the estimator was fitted to, or their numbers.
        topics : sequence of int, optional
            Topics to draw, in this order.  Default: all.
        n_words : int, default=10
        ax : matplotlib axes, one for each topic, optional

        Returns
        -------
        TopicsDisplay

        Raises
        ------
        ValueError
            If the estimator has no topics, or an argument does not fit it.
        """
        if not hasattr(estimator, "components_"):
            raise ValueError(
                f"{type(estimator).__name__} has no components_: this picture is of a fitted "
                "LatentDirichletAllocation."
            )
        components = np.asarray(on_host(estimator.components_), dtype=float)
        drawn = list(range(len(components)) if topics is None else topics)
        if not drawn or not all(0 <= i < len(components) for i in drawn):
            raise ValueError(
                f"topics must be some of the topics 0 .. {len(components) - 1}; got {topics!r}."
            )
        shown = components[drawn]
        if feature_names is None:
            feature_names = getattr(estimator, "feature_names_in_", None)
        display = cls(
            shown,
            feature_names=feature_names,
            names=[f"topic {i}" for i in drawn],
            coherence=None if X is None else coherence(_counts(X, shown), shown, n_words),
            n_words=n_words,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Axes | Sequence[Axes] | None = None) -> Self:
        """Draw on ``ax``, or on a new figure.

        Parameters
        ----------
        ax : matplotlib axes, one for each topic, optional
            Default: those of a new figure.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If axes are fewer or more than topics.
        """
        k, n_words = self.likeliest.shape
        across = min(k, _ACROSS)
        down = -(-k // across)
        rows, columns = (down, across) if ax is None else (1, k)
        size = (1.95 * across + 0.4, down * (_ROW * n_words + _FRAME))
        given = panels(ax, rows, columns, size)
        self.axes_ = given[:k]
        self.figure_ = self.axes_[0].figure
        for spare in given[k:]:
            spare.set_visible(False)
        right = 1.05 * self.topics.max()  # one scale, so that bars compare between topics
        for topic, one in enumerate(self.axes_):
            self._draw_topic(one, topic)
            one.set_xlim(0, right)
            if ax is not None or topic + across >= k:
                one.set_xlabel("probability")
        return self

    def _draw_topic(self, ax: Axes, topic: int) -> None:
        words = self.words_[topic]
        rows = np.arange(len(words))
        ax.barh(rows, self.topics[topic, self.likeliest[topic]], color=SIGNAL, height=0.72)
        ax.set_yticks(rows, words, fontsize=8.5, parse_math=False)
        ax.set_ylim(len(words) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.tick_params(axis="x", labelsize=8)
        ax.locator_params(axis="x", nbins=3)
        ax.set_title(self._title(topic), loc="left", fontsize=9.5)
        tidy(ax, grid="x")

    def _title(self, topic: int) -> str:
        if self.coherence is None:
            return self.names[topic]
        return f"{self.names[topic]}\ncoherence {self.coherence[topic]:.2f}"


def _counts(X: Any, topics: np.ndarray) -> Any:
    """Documents (n, V) as counts of the words that topics are of."""
    X = counts_in_memory(X, "TopicsDisplay")
    if X.shape[1] != topics.shape[1]:
        raise ValueError(f"X has {X.shape[1]} words, but topics are of {topics.shape[1]}.")
    return X
