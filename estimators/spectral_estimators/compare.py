"""`compare_trainers`: learning rules side by side, on one table."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from spectral_nn.arrays import to_numpy
from spectral_nn.models.network.dense import flatten, random_network
from spectral_nn.models.network.objective import Objective
from spectral_nn.results import RecoveryWarning
from spectral_nn.trainers.rules.base import Rule
from spectral_nn.trainers.rules.measure import peak_memory

__all__ = ["TrainerRow", "TrainersReport", "compare_trainers"]

LEARNING_RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


@dataclass(frozen=True, eq=False)
class TrainerRow:
    """What one rule came to.

    Attributes
    ----------
    name : what the caller calls it.
    rule : the rule, None for an estimator without one.
    learning_rate : the one that was best on validation rows; None where none was tried.
    scores : on test rows, one for each fit.
    seconds : of a fit, their mean, on the clock.
    peak_memory : most bytes held while one batch is worked on, see
        `spectral_nn.trainers.rules.measure.peak_memory`; None without a rule.
    cosines : of the steps to the gradient, for each epoch of the first fit; empty where the steps
        are the gradient, or there is no rule.
    estimator : the first fit.
    """

    name: str
    rule: Rule | None
    learning_rate: float | None
    scores: list[float]
    seconds: float
    peak_memory: int | None
    cosines: list[float]
    estimator: Any

    @property
    def score(self) -> float:
        """Mean of the scores."""
        return fmean(self.scores)

    @property
    def spread(self) -> float:
        """Standard deviation of the scores; 0 of one."""
        return stdev(self.scores) if len(self.scores) > 1 else 0.0


@dataclass(frozen=True, eq=False)
class TrainersReport:
    """Rules side by side; ``print`` shows it as a table.

    Parameters
    ----------
    rows : list of TrainerRow
        In the order in which they were given.
    metric : {"accuracy", "R2"}, default="accuracy"
        What scores are.

    See Also
    --------
    compare_trainers : Makes the report.
    TrainersDisplay : The report as pictures.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from spectral_estimators import MLPClassifier, compare_trainers
    >>> from spectral_estimators.trainers import Backprop, Frozen
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((8,), init="random", learning_rate="cosine", max_iter=5)
    >>> rules = {"backprop": Backprop(), "frozen": Frozen()}
    >>> report = compare_trainers(net, X, y, rules, learning_rates=[0.01], n_fits=1)
    >>> table = report.as_dict()
    >>> table["name"], table["exact"], table["uses_backward"]
    (['backprop', 'frozen'], [True, False], [True, False])
    """

    rows: list[TrainerRow] = field(default_factory=list)
    metric: str = "accuracy"

    def as_dict(self) -> dict[str, list[Any]]:
        """Return the table as columns, for ``pandas.DataFrame`` or ``polars.DataFrame``.

        Returns
        -------
        dict of str to list
        """
        return {
            "name": [row.name for row in self.rows],
            self.metric: [row.score for row in self.rows],
            "spread": [row.spread for row in self.rows],
            "learning_rate": [row.learning_rate for row in self.rows],
            "seconds": [row.seconds for row in self.rows],
            "peak_memory": [row.peak_memory for row in self.rows],
            "cosine": [row.cosines[-1] if row.cosines else None for row in self.rows],
            **{
                fact: [None if row.rule is None else getattr(row.rule, fact) for row in self.rows]
                for fact in ("exact", "unbiased", "uses_backward", "locks_layers")
            },
        }

    def __str__(self) -> str:
        width = max([len(row.name) for row in self.rows] + [4])
        lines = [
            f"{'rule':<{width}}  {self.metric:>12} {'rate':>7} {'seconds':>8} {'MiB':>7} "
            f"{'cosine':>7}  facts"
        ]
        for row in self.rows:
            score = f"{row.score:.3f} ±{row.spread:.3f}"
            rate = "" if row.learning_rate is None else f"{row.learning_rate:g}"
            memory = "" if row.peak_memory is None else f"{row.peak_memory / 2**20:.2f}"
            cosine = f"{row.cosines[-1]:.2f}" if row.cosines else ""
            lines.append(
                f"{row.name:<{width}}  {score:>12} {rate:>7} {row.seconds:>8.2f} {memory:>7} "
                f"{cosine:>7}  {_facts(row.rule)}"
            )
        return "\n".join(lines)


def _facts(rule: Rule | None) -> str:
    if rule is None:
        return ""
    kind = "exact" if rule.exact else "unbiased" if rule.unbiased else "biased"
    backward = "backward pass" if rule.uses_backward else "no backward pass"
    return f"{kind}, {backward}, {'locks layers' if rule.locks_layers else 'no locks'}"


def compare_trainers(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    trainers: Mapping[str, Rule | BaseEstimator],
    *,
    learning_rates: Sequence[float] = LEARNING_RATES,
    test_size: float = 0.2,
    validation_size: float = 0.2,
    n_fits: int = 3,
    random_state: int = 0,
) -> TrainersReport:
    """Fit a network by several rules, each at its best learning rate, and score them alike.

    Rows are split once into test rows and others.  The learning rate of each rule is the one that
    scores best on a part of the others held out; then all of the others are fitted to, from
    `n_fits` starts, and the test rows are looked at.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Gives all settings but ``solver``, ``learning_rate_init`` and ``random_state``.  Set
        ``learning_rate="cosine"``, ``max_iter`` and ``n_iter_no_change`` so that all rules have
        the same epochs.
    X : array (n, d)
    y : array (n,)
    trainers : dict of rules from `spectral_estimators.trainers`, or of estimators
        By name.  An estimator, such as one with ``init="tensor"`` or an
        `EquilibriumMLPClassifier`, takes part with its own settings.
    learning_rates : sequence of float
        To choose from; with one, none is held out.  Estimators without a ``learning_rate_init``
        are fitted as they are.
    test_size, validation_size : float, default=0.2
        Shares of the rows, and of what test rows leave.
    n_fits : int, default=3
    random_state : int, default=0
        Of the splits; fit i has ``random_state + i``.

    Returns
    -------
    TrainersReport

    Raises
    ------
    ValueError
        If `trainers` is empty, or every learning rate of one of them ends in a loss that is not
        finite.

    See Also
    --------
    TrainersDisplay : The report as pictures.
    trainers.Frozen : The rule to be beaten.

    Notes
    -----
    Always give `Frozen` among the trainers: a rule that ends no better taught hidden layers
    nothing.  One fit for each learning rate, and `n_fits` more, for each trainer; memory is
    measured on one batch.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from spectral_estimators import MLPClassifier, compare_trainers
    >>> from spectral_estimators.trainers import Backprop, Frozen
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier((16,), init="random", learning_rate="cosine", max_iter=10)
    >>> report = compare_trainers(net, X / 16, y, {"backprop": Backprop(), "frozen": Frozen()},
    ...                           learning_rates=[0.01], n_fits=1)
    >>> [row.name for row in report.rows], report.rows[0].score > report.rows[1].score
    (['backprop', 'frozen'], True)
    """
    if not trainers:
        raise ValueError("trainers is empty: give rules by name, Frozen() among them.")
    labels = y if is_classifier(estimator) else None
    rest, test = _split(np.arange(len(y)), test_size, labels, random_state)
    split = _split(rest, validation_size, None if labels is None else labels[rest], random_state)
    report = TrainersReport(metric="accuracy" if labels is not None else "R2")
    for name, trainer in trainers.items():
        candidate = _candidate(estimator, trainer)
        rate = _choose_rate(name, candidate, X, y, split, learning_rates, random_state)
        fits, scores, seconds = [], [], []
        for i in range(n_fits):
            begin = time.perf_counter()
            fits.append(_fit(candidate, rate, random_state + i, X[rest], y[rest]))
            seconds.append(time.perf_counter() - begin)
            scores.append(float(fits[-1].score(X[test], y[test])))
        rule = trainer if isinstance(trainer, Rule) else getattr(candidate, "solver", None)
        rule = rule if isinstance(rule, Rule) else None
        report.rows.append(
            TrainerRow(
                name=name,
                rule=rule,
                learning_rate=rate,
                scores=scores,
                seconds=fmean(seconds),
                peak_memory=None if rule is None else _memory(rule, fits[0], X[rest]),
                cosines=list(getattr(fits[0], "gradient_cosines_", [])),
                estimator=fits[0],
            )
        )
    return report


def _split(
    rows: np.ndarray, share: float, labels: Any, random_state: int
) -> tuple[np.ndarray, np.ndarray]:
    return tuple(
        train_test_split(rows, test_size=share, stratify=labels, random_state=random_state)
    )


def _candidate(estimator: BaseEstimator, trainer: Rule | BaseEstimator) -> Any:
    if isinstance(trainer, Rule):
        return clone(estimator).set_params(solver=trainer)
    return clone(trainer)


def _choose_rate(
    name: str,
    candidate: Any,
    X: Any,
    y: Any,
    split: tuple[np.ndarray, np.ndarray],
    learning_rates: Sequence[float],
    random_state: int,
) -> float | None:
    """Return the learning rate that scores best on validation rows."""
    if "learning_rate_init" not in candidate.get_params():
        return None
    if len(learning_rates) == 1:
        return learning_rates[0]
    train, held_out = split
    scores: dict[float, float] = {}
    for rate in learning_rates:
        try:
            fitted = _fit(candidate, rate, random_state, X[train], y[train])
        except ValueError as why:
            if "finite" not in str(why):
                raise
            continue
        scores[rate] = float(fitted.score(X[held_out], y[held_out]))
    if not scores:
        raise ValueError(
            f"learning_rates={list(learning_rates)}: the loss of {name!r} is not finite with any "
            "of them. Give smaller ones."
        )
    return max(scores, key=lambda rate: scores[rate])


def _fit(candidate: Any, rate: float | None, seed: int, X: Any, y: Any) -> Any:
    fitted = clone(candidate).set_params(random_state=seed)
    if rate is not None:
        fitted.set_params(learning_rate_init=rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (ConvergenceWarning, RecoveryWarning))
        return fitted.fit(X, y)


def _memory(rule: Rule, fitted: Any, X: Any) -> int:
    """Bytes that a batch of the fit takes; a network of its shape, and targets, are made up."""
    sizes = [coef.shape[0] for coef in fitted.coefs_] + [fitted.coefs_[-1].shape[1]]
    batch = 200 if fitted.batch_size == "auto" else fitted.batch_size
    like = np.asarray(to_numpy(X[:batch]), dtype=to_numpy(fitted.coefs_[0]).dtype)
    rng = np.random.default_rng(0)
    network = random_network(sizes, fitted.activation, "identity", rng, like=like)
    problem = Objective(like, np.zeros((len(like), sizes[-1]), like.dtype), network)
    return peak_memory(rule, problem, flatten(network), slice(0, len(like)))
