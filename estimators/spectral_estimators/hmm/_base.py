"""The fit of a hidden Markov model of any family: checks, the core's fit, attributes."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from spectral_estimators._devices import at_home, check_device, home_of, on_host, runner_at
from spectral_estimators._progress import ConvergenceMonitor, listener, reports_steps
from spectral_estimators._sklearn_compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_constraints,
)
from spectral_estimators._validation import (
    in_memory,
    is_one_shot,
    read,
    spawn_rng,
    takes_lengths_second,
    weighted,
)
from spectral_estimators.hmm._criteria import HMMCriteria
from spectral_estimators.hmm._errors import HMMErrors
from spectral_estimators.hmm._parameters import (
    PRIOR,
    check_concentration,
    check_letters,
    kept_parts,
    warn_of_overwriting,
)
from spectral_nn.arrays import require_one_device
from spectral_nn.data import Sequences, Source
from spectral_nn.models.base import Fit
from spectral_nn.models.chains.fit import fit_hmm
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.order import choose_n_components
from spectral_nn.runners.base import Runner

__all__ = ["AUTO_NEEDS_DATA", "BaseHMM"]

AUTO_NEEDS_DATA = (
    "n_components='auto' holds out data, but partial_fit and fit on a generator keep only sums. "
    "Give n_components as a number."
)


class BaseHMM(CallbackSupportMixin, HMMCriteria, HMMErrors):
    """What hidden Markov models of all families have in common.

    A family names its attributes in `_parts`, and says how its observations are read
    (`_read`, `_coded`, `_n_observed`) and what its emissions are (`_emission`, `_emission_values`).
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "startprob_prior": PRIOR,
        "transmat_prior": PRIOR,
        "algorithm": [StrOptions({"viterbi", "map"})],
        "random_state": ["random_state"],
        "n_iter": [Interval(Integral, 0, None, closed="left")],
        "tol": [Real, None],
        "verbose": ["verbose", callable],
        "params": [str],
        "init_params": [str],
        "n_init": [Interval(Integral, 1, None, closed="left"), None],
        "n_jobs": [Integral, None],
        "device": [str, None],
        "dtype": [StrOptions({"float32", "float64"})],
        "implementation": [StrOptions({"log", "scaling"})],
    }

    startprob_prior: Any
    transmat_prior: Any
    n_iter: int
    tol: float | None
    verbose: Any
    params: str
    init_params: str
    init: str
    n_init: int | None
    n_jobs: int | None
    device: str | None
    dtype: str

    _seen: Any = None
    """What is kept of the data of earlier calls of `partial_fit`."""

    @abstractmethod
    def _read(
        self, source: Source, y: Any, states: int | None, run: Runner
    ) -> tuple[Source, HMMOptions, dict[str, Any]]:
        """Observations in the form of the core, what to fit, and attributes to set with the fit."""

    def _kept_emission(self, names: list[str]) -> Any:
        """Emissions that a fit starts from: those of the attributes `names`, checked.

        Where a fit starts some parts anew and not others, a dict of the latter, by their names in
        the emission of the core.
        """
        return self._emission(self.n_components)

    def _agree(self, sequences: Sequences) -> None:
        """Note, before fits to parts of `sequences`, what their models must have in common."""

    @takes_lengths_second
    @reports_steps
    def fit(
        self,
        X: Any,
        y: Any = None,
        lengths: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn the parameters.

        Parameters
        ----------
        X : list of arrays, Sequences, 3-D array (m, t, p), table (n, p), 1-D array, or iterable
            Observations (of symbols p = 1), time along the first axis of each sequence; arrays of
            any library, on disk, or of dask (see Notes of the class).  An iterable of arrays that
            can be walked again (any object with ``__iter__``; or a `SequenceStream`) is read piece
            by piece in every pass and need not fit in memory.  A generator can be walked once:
            rows of numbers are refused then, and more than 2**20 symbols are reduced to n-gram
            counts, of which the fit is that of `CategoricalHMM.partial_fit`.  Empty chunks of an
            iterable, and empty partitions, add nothing.
        y : labels of the states, optional
            Laid out like X: an array (n,) for a table, a list of arrays for a list; -1 where the
            state is unknown.  Not with iterables or dask.  ``fit(X, lengths)``, hmmlearn's order,
            works too: with a table of n rows, numbers in second place are lengths unless there
            are n of them.
        lengths : array of int, shape (m,), optional
            Rows of each sequence of a table.
        sample_weight : array of float, shape (m,), optional
            How often each of the m sequences counts, finite and at least 0: a sequence of weight 2
            is worth two of them, one of weight 0 is left out (but its symbols belong to the
            alphabet).  EM takes weights as they are.  Starts, the race between them and priors that
            depend on the data take each sequence a whole number of times, its weight rounded.  Not
            with iterables, dask, or ``n_components="auto"``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault; in an iterable or a dask collection also the chunk (the
            partition), the entry in it, and the sequence.  The estimator is then as it was before.

        Warns
        -----
        RankWarning
            If the moments carry fewer than K states, or there are fewer observations than states;
            the figures and the fallback are in the text.
        UserWarning
            If ``n_components="auto"`` stopped at the most states that it tries; if parameters set
            by hand are overwritten; if the data are impossible under the start.

        Examples
        --------
        Two sequences in a table, of which the first two rows are known to be of state 1:

        >>> import numpy as np
        >>> from spectral_estimators import PoissonHMM
        >>> X = np.random.default_rng(0).poisson(np.repeat([2.0, 9.0, 2.0], [50, 100, 50]))[:, None]
        >>> y = np.full(200, -1)
        >>> y[:2] = 1
        >>> model = PoissonHMM(2).fit(X, y, lengths=[120, 80])
        >>> bool(model.lambdas_[1, 0] < model.lambdas_[0, 0])
        True
        """
        names = self._column_names(X)
        X, y, lengths, home = self._given(X, y, lengths)
        source = read(X, lengths)
        if sample_weight is not None:
            source = weighted(source, sample_weight)
        if self.n_components == "auto" and getattr(source, "weight", None) is not None:
            raise ValueError("sample_weight needs n_components as a number, not 'auto'.")
        if is_one_shot(X):
            self._fit_once(source, y, home)
        else:
            self._fit_source(source, y, home)
        return self._set_column_names(names)

    @takes_lengths_second
    def partial_fit(self, X: Any, y: Any = None, lengths: ArrayLike | None = None) -> Self:
        """Add data to what earlier calls of `partial_fit` have seen, and learn from all of it.

        Sums over the data are kept, not the data, and sums add up: memory stays bounded.  The
        first call, and the first one after `fit`, begins a new model.

        Symbols (`CategoricalHMM`): n-grams are counted, and the model is the same whether the
        sequences come in one call or in many.  Beyond 2**23 distinct n-grams (128 MiB) a uniform
        sample of them is kept.  It is fitted to the n-grams (``monitor_`` tells of their
        objective); `fit`, which walks the data again, also uses what lies further apart.  Each call
        runs all starts anew, so states may change places.

        Rows of numbers (all other families): the first call is that of `fit`, so let it be large.
        Each later one is an EM step: the expected counts of X under the model as it stands are
        added to those that earlier data had when they came, and the model is refitted to the sum.
        States keep their places, ``n_iter`` plays no role, and ``monitor_.history`` is the
        objective of X before the step.

        Parameters
        ----------
        X : as in `fit`
            Of symbols, the first call fixes the alphabet, so preset ``n_features`` if later data
            may hold larger ones; rows must have as many columns as in the first call, whose
            variances are the unit of priors that have one.
        y : labels of the states, optional
            As in `fit`, with rows alone.  ``partial_fit(X, lengths)`` works as in `fit`.
        lengths : array of int, shape (m,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault.  The estimator is then as it was before.

        Warns
        -----
        RankWarning, UserWarning
            As in `fit`.

        Notes
        -----
        Symbols: one counting pass over X, then 6 K^2 flops for each symbol of a window, start and
        EM step, for at most 65,536 windows, however much was seen before.  Rows: after the first
        call, an E-step of X (Neal, Hinton, "A view of the EM algorithm that justifies incremental,
        sparse, and other variants", 1998).

        Examples
        --------
        >>> import numpy as np
        >>> from spectral_estimators import PoissonHMM
        >>> X = np.random.default_rng(0).poisson(np.repeat([2.0, 9.0, 2.0, 9.0], 100))
        >>> model = PoissonHMM(2, random_state=0).partial_fit(X[:200]).partial_fit(X[200:])
        >>> np.sort(model.lambdas_.ravel()).round(1).tolist()
        [2.1, 8.6]
        """
        names = self._column_names(X, known=self._seen is not None)
        X, y, lengths, home = self._given(X, y, lengths)
        if self.n_components == "auto":
            raise ValueError(AUTO_NEEDS_DATA)
        self._absorb(read(X, lengths), y, self._seen, home)
        return self._set_column_names(names)

    @abstractmethod
    def _absorb(self, source: Source, y: Any, seen: Any, home: Any) -> Self:
        """Fit to a source together with what was `seen` before, None for nothing."""

    def _fit_once(self, source: Source, y: Any, home: Any) -> Self:
        """Fit to a generator, which can be walked once."""
        raise ValueError(
            "X is a generator, which can be walked once; a fit walks the data again and again. "
            "Give a list, or an object whose __iter__ starts again (SequenceStream)."
        )

    def _fit_source(self, source: Source, y: Any, home: Any) -> Self:
        """Fit to sequences that can be walked again."""
        if y is not None:
            source = in_memory(source, "y (labels)")
        with runner_at(home, self.n_jobs, self.device, source.remote) as run:
            states = self._labelled_states(y)
            data, options, found = self._read(source, y, states, run)
            how = self._how(run)
            found["_seen"] = None
            if self.n_components != "auto":
                return self._assign(fit_hmm(data, options, **how), home, found)
            n_components, evidence = choose_n_components(data, options, **how)
            result = fit_hmm(data, replace(options, n_components=n_components), **how)
        result = replace(result, report=replace(result.report, evidence=tuple(evidence)))
        return self._assign(result, home, found)

    def _column_names(self, X: Any, known: bool = False) -> Any:
        """Names of the columns of X, which have to be those of before where these are `known`."""
        return None  # symbols have no columns

    def _set_column_names(self, names: Any) -> Self:
        """Set ``feature_names_in_``, or take it away where there are none."""
        self.__dict__.pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = names
        return self

    def _given(self, X: Any, y: Any, lengths: Any) -> tuple[Any, Any, Any, Any]:
        """Check arguments; X, y and lengths on the host, and where X came from."""
        check_constraints(self)
        check_letters(self)
        check_device(self)
        warn_of_overwriting(self)
        home, home_of_y = home_of(X), home_of(y, "y")
        X, y, lengths = on_host(X), on_host(y), on_host(lengths)
        if y is not None and home_of_y is not None:
            require_one_device(X=np.zeros(0) if home is None else home, y=home_of_y)
        return X, y, lengths, home

    def _how(self, run: Runner) -> dict[str, Any]:
        """What fits of the core take by name: who draws, who computes, and who is told."""
        return {
            "rng": spawn_rng(self.random_state),
            "run": run,
            "on_step": listener(self),
        }

    def _max_steps(self) -> int | None:
        """Most steps of EM that callbacks are told; of several climbs to the end, climbs."""
        if self.n_components == "auto":
            return None
        n_init = self.n_init or 1
        raced = self.init not in ("random", "kmeans") or n_init == 1
        return self.n_iter if raced or not self.n_iter else n_init

    def _labelled_states(self, y: Any) -> int | None:
        """Number of states that labels may name."""
        if y is None:
            return None
        if self.n_components == "auto":
            raise ValueError("y (labels) needs n_components as a number, not 'auto'.")
        return int(self.n_components)

    def _options(self, **of_family: Any) -> HMMOptions:
        """Gather the constructor's arguments for the core."""
        k: Any = self.n_components
        check_concentration(self.startprob_prior, "startprob_prior", (k,), k)
        check_concentration(self.transmat_prior, "transmat_prior", (k, k), k)
        return HMMOptions(
            n_components=k,
            init=self.init,
            n_init=self.n_init,
            n_iter=self.n_iter,
            tol=self.tol,
            startprob_prior=self.startprob_prior,
            transmat_prior=self.transmat_prior,
            update="".join(part if part in "st" else "e" for part in self.params),
            fixed=kept_parts(self),
            dtype=self.dtype,
            **of_family,
        )

    def _assign(self, result: Fit, home: Any, found: Mapping[str, Any]) -> Self:
        """Put a finished fit on the estimator, all at once, with arrays where X came from.

        Attributes that `found` holds as None are taken away.
        """
        parameters = result.parameters
        fitted = {
            "startprob_": parameters.startprob,
            "transmat_": parameters.transmat,
            **self._emission_values(parameters.emission),
        }
        values = {name: at_home(array, home) for name, array in fitted.items()} | {
            "n_components_": parameters.n_components,
            "monitor_": ConvergenceMonitor(
                self.tol, self.n_iter, self.verbose, list(result.history), result.converged
            ),
            "report_": result.report,
            "n_iter_": result.report.n_iter,
            "converged_": result.converged,
            "_fitted": fitted,
        }
        for name, value in found.items():
            if value is None:
                self.__dict__.pop(name, None)
            else:
                values[name] = value
        self.__dict__.update(values)  # at once: Ctrl-C leaves no half of it
        return self
