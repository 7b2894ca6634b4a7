"""What hidden Markov models of rows of numbers have in common."""

from abc import abstractmethod
from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from spectral_estimators._column_names import check_names, names_of
from spectral_estimators._devices import at_home, on_host, runner_at
from spectral_estimators._sklearn_compat import StrOptions, with_input_tags
from spectral_estimators._validation import in_memory, is_one_shot, read
from spectral_estimators.hmm._base import BaseHMM
from spectral_estimators.hmm._inference import shaped_like
from spectral_estimators.hmm._parameters import kept_parts
from spectral_estimators.hmm._rows import RowRule, RowRules, as_rows_of, measure
from spectral_nn.data import Source
from spectral_nn.models.chains.instalments import fit_first, fit_next
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.residuals import pseudo_residuals
from spectral_nn.runners.base import Runner

__all__ = ["RowHMM"]


_SHAPE = ("n_components", "covariance_type", "n_mix")


class RowHMM(BaseHMM):
    """The base of a family whose observations are rows of numbers.

    A family names its law and its attributes (`_law`, `_parts`, `_sized_by`), says what an
    observation may be (`_is_bad`, `_words`, `_of_counts`; of whole rows, where that says more,
    `_rule`), and what its prior is (`_prior`), beside its emissions (`_emission`,
    `_emission_values`).
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseHMM._parameter_constraints,
        "init": [StrOptions({"tensor", "random", "kmeans"})],
        "missing": [Real, None],
    }

    missing: float | None
    n_features_in_: int
    _begun_with: dict[str, Any]

    _words: ClassVar[str]
    """What observations are."""

    _sized_by: ClassVar[tuple[str, int]]
    """The attribute whose last axis are the columns of the data, and how many axes it has."""

    _of_counts: ClassVar[bool] = False
    """Whether observations are whole numbers from 0, which scikit-learn calls categorical."""

    @property
    def n_features(self) -> int | None:
        """Columns of the data: those of the emissions, else as it was set, or None."""
        name, n_axes = self._sized_by
        value: Any = getattr(self, name, None)
        known = value is not None and np.ndim(value) == n_axes
        return np.shape(value)[-1] if known else self.__dict__.get("n_features")

    @n_features.setter
    def n_features(self, value: int | None) -> None:
        self.__dict__["n_features"] = value

    def pseudo_residuals(self, X: Any, lengths: ArrayLike | None = None) -> Any:
        r"""How surprising every entry is, given all other rows of its sequence.

        .. math:: r_{tj} = \Phi^{-1}(P(x_{tj} \le x | \text{all rows but } x_t))

        Parameters
        ----------
        X, lengths : see `score`; X must fit in memory

        Returns
        -------
        array, shape (n, p), for a table; Sequences of such arrays for a list or `Sequences`
            Standard normal, column by column, if the model is right; of counts, the middle of the
            step.  NaN where an entry is missing; beyond 8.2 cut off, where float64 ends.

        See Also
        --------
        spectral_estimators.ResidualDisplay : Draws them.

        Notes
        -----
        2 n K^2 exponentials.  They are nearly, not quite, independent of each other.

        References
        ----------
        Zucchini, MacDonald, Langrock, *Hidden Markov Models for Time Series*, second edition,
        2016, chapter 6.

        Examples
        --------
        No state is near to the last row:

        >>> import numpy as np
        >>> from spectral_estimators import GaussianHMM
        >>> model = GaussianHMM(2)
        >>> model.startprob_ = np.array([0.5, 0.5])
        >>> model.transmat_ = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> model.means_, model.covars_ = np.array([[0.0], [4.0]]), np.array([[1.0], [1.0]])
        >>> model.pseudo_residuals([0.1, 4.2, 9.0]).ravel().round(1).tolist()
        [-1.6, 0.8, 5.0]
        """
        parameters, rows, home = self._prepared(X, lengths)
        found = pseudo_residuals(parameters, rows)
        return at_home(shaped_like(X, found, rows), home)

    @property
    @abstractmethod
    def _law(self) -> Callable[[np.ndarray, int], Any]:
        """What makes the law of all rows together, see `HMMOptions.law`."""

    @staticmethod
    @abstractmethod
    def _is_bad(rows: np.ndarray) -> np.ndarray:
        """Which finite entries of rows (n, p) are no observations."""

    def _rule(self, source: Source) -> RowRule | None:
        """What rows must be beside their entries; None for nothing."""
        return None

    @abstractmethod
    def _prior(self, n_features: int) -> Any:
        """The prior of the emissions, checked, see `HMMOptions.emission_prior`."""

    def _read(
        self, source: Source, y: Any, states: int | None, run: Runner
    ) -> tuple[Source, HMMOptions, dict[str, Any]]:
        source, n_features = measure(source, run)
        if "emission" in kept_parts(self) and self.n_features not in (None, n_features):
            raise ValueError(
                f"X has {n_features} features, but the emissions that fit starts from, as "
                f"init_params={self.init_params!r} says, are of {self.n_features}. Set others, or "
                "let init_params name them."
            )
        rows = self._rows(source, n_features, y, states)
        return rows, self._row_options(n_features, y), {"n_features_in_": n_features}

    def _column_names(self, X: Any, known: bool = False) -> Any:
        if not known:
            return names_of(X)
        check_names(self, X)
        return getattr(self, "feature_names_in_", None)

    def _absorb(self, source: Source, y: Any, seen: Any, home: Any) -> Self:
        """Fit to rows; or where rows were seen before, take an EM step with what they have left."""
        if is_one_shot(source):
            return self._fit_once(source, y, home)
        if y is not None:
            source = in_memory(source, "y (labels)")
        with runner_at(home, self.n_jobs, self.device, source.remote) as run:
            states, how = self._labelled_states(y), self._how(run)
            shape = {name: getattr(self, name) for name in _SHAPE if hasattr(self, name)}
            if seen is None:
                rows, options, found = self._read(source, y, states, run)
                result, seen = fit_first(rows, options, **how)
                found["_begun_with"] = shape
            else:
                self._check_still(shape)
                n_features, found = self.n_features_in_, {}
                rows = self._rows(measure(source, run)[0], n_features, y, states)
                options = self._row_options(n_features, y)
                result, seen = fit_next(seen, self._parameters(), rows, options, **how)
        return self._assign(result, home, found | {"_seen": seen})

    def _check_still(self, shape: dict[str, Any]) -> None:
        """Refuse to go on with a model of another shape than the one that was begun."""
        for name, value in shape.items():
            begun = self._begun_with[name]
            if value != begun:
                raise ValueError(
                    f"partial_fit goes on with a model of {name}={begun!r}, but {name} is "
                    f"{value!r} now. Set it back, or begin anew with fit."
                )

    def _row_options(self, n_features: int, y: Any) -> HMMOptions:
        """Gather the constructor's arguments for the core."""
        return self._options(
            n_symbols=0,
            law=self._law,
            emission_prior=self._prior(n_features),
            labelled=y is not None,
        )

    def _rows(self, source: Source, n_features: int, y: Any = None, k: int | None = None) -> Source:
        model = type(self).__name__
        whole = self._rule(source)
        rules = RowRules(model, n_features, self.missing, self._is_bad, self._words, whole)
        return as_rows_of(source, rules, y, k)

    def _coded(self, X: Any, lengths: Any, emission: Any) -> Source:
        check_names(self, X)
        return self._rows(read(on_host(X), on_host(lengths)), emission.mean().shape[1])

    def _n_observed(self, values: np.ndarray, emission: Any) -> int:
        return int(np.count_nonzero(~np.isnan(values).all(axis=1)))

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn which X it may try."""
        return with_input_tags(
            super().__sklearn_tags__(),
            categorical=self._of_counts,
            positive_only=self._of_counts,
            three_d_array=True,
        )
