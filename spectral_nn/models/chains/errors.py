r"""Standard errors of a hidden Markov model at a maximum of its likelihood.

The score of a block of rows, smoothed on all data, is the derivative of its expected complete
log-likelihood (Fisher's identity; Louis, JRSS B 44, 1982): an exact E-step gives the scores s_b of
all blocks, and g, their sum. With the information :math:`H = -\partial g / \partial \eta` by
central differences and :math:`V = \sum_b s_b s_b^T`, the covariance of the parameters is

.. math:: H^{-1} V H^{-1}, \qquad H^{-1} \qquad \text{or} \qquad V^{-1}.

The first is White's (Econometrica 50, 1982), over blocks long enough to be nearly independent. It
alone is right where the model is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from spectral_nn.data import Sequences
from spectral_nn.emissions.coordinates import Real, Simplex
from spectral_nn.emissions.simplex import score_rows
from spectral_nn.models.chains.expectation import expect_exact, expect_parts
from spectral_nn.models.chains.parameters import HMMParameters, n_parameters
from spectral_nn.models.chains.statistics import HMMStatistics
from spectral_nn.models.uncertainty import upper_probability
from spectral_nn.warn import warn

__all__ = ["KINDS", "StandardErrors", "find_standard_errors"]

KINDS = ("robust", "hessian", "opg")

_STEP = 1e-4
_LEAST_SEQUENCES = 10  # for standard errors of the first state's distribution
_LEAST_BLOCK = 50
_LEAST_EIGENVALUE = 1e-8  # over the largest, of an information that says something
_FAR = 0.25  # standard errors from the maximum

Vector = NDArray[np.float64]
Fields = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Standard errors of parameters, by their names; ``errors["transmat_"]``.

    Attributes
    ----------
    values : dict of str to ndarray
        The parameters.
    errors : dict of str to ndarray
        Their standard errors, of the same shapes; NaN where a parameter was held fixed.
    coordinates : dict of str to Real
        In which intervals are made.
    kind : {"robust", "hessian", "opg"}
        How they were found.
    n_blocks : int
        Blocks of rows, B.
    distance : float
        How far the parameters are from the maximum of the likelihood: the longest way of any of
        them, in standard errors.
    """

    values: dict[str, NDArray[np.float64]]
    errors: dict[str, NDArray[np.float64]]
    coordinates: dict[str, Real]
    kind: str
    n_blocks: int
    distance: float

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self.errors[name]

    def intervals(self, level: float = 0.95) -> dict[str, NDArray[np.float64]]:
        """Confidence intervals, each for one parameter by itself.

        They are symmetric in logits of probabilities and logarithms of positive numbers, and stay
        within what is allowed.

        Parameters
        ----------
        level : float
            Probability that an interval covers its parameter, between 0 and 1.

        Returns
        -------
        dict of str to ndarray of shape (2, ...)
            Lower and upper ends; NaN where a parameter was held fixed.

        Raises
        ------
        ValueError
            If ``level`` is not between 0 and 1.
        """
        z = float(ndtri(upper_probability(level)))
        return {
            name: np.array(self.coordinates[name].interval(self.values[name], error, z))
            for name, error in self.errors.items()
        }


def find_standard_errors(
    parameters: HMMParameters, data: Sequences, *, kind: str = "robust", block: int | None = None
) -> StandardErrors:
    """Standard errors of all parameters.

    Parameters
    ----------
    parameters : HMMParameters
        At, or near, a maximum of the likelihood of the data, its emission differentiable
        (`spectral_nn.emissions.base.DifferentiableEmission`).
    data : Sequences
        Codes or rows, without labels.
    kind : {"robust", "hessian", "opg"}
        Which covariance, see the module.
    block : int, optional
        Rows of a block, b. None: 50, or five mixing times ``1 / (1 - |lambda_2|)`` of the chain if
        that is more, or so few that there are two blocks for each parameter.

    Returns
    -------
    StandardErrors
        Of ``startprob``, ``transmat`` and the fields of the emission.

    Raises
    ------
    ValueError
        If the data are impossible under the model, or blocks are too few for the parameters.

    Warns
    -----
    UserWarning
        If the parameters are far from a maximum, or the information is nearly singular.

    Notes
    -----
    Entries of an expected count below 1 are held fixed, as are distributions of the first state of
    fewer than 10 sequences. With q free parameters, 2 q + 1 exact E-steps, one for "opg";
    8 K^2 flops a row each. Memory n K + B q.

    Examples
    --------
    >>> import numpy as np
    >>> law = HMMParameters.categorical([1.0], [[1.0]], [[0.25, 0.75]])
    >>> data = Sequences(np.tile(np.array([0, 1, 1, 1], dtype=np.int32), 25), np.array([0, 100]))
    >>> found = find_standard_errors(law, data, kind="hessian")
    >>> bool(np.isclose(found["probs"][0, 0], np.sqrt(0.25 * 0.75 / 100)))
    True
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}; got {kind!r}.")
    chart = _Chart.around(parameters)
    values = chart.values(parameters)
    ends = cut_blocks(data.offsets, block or _choose_block(parameters, data.offsets[-1]))
    scores, total = _add_up(chart, data, ends)
    support = _support(parameters, total, len(data))
    known = _flat({name: own.known(support[name]) for name, own in chart.coordinates.items()})
    free = _flat(
        {name: own.free(values[name], support[name]) for name, own in chart.coordinates.items()}
    )
    covariance, shift = _covariance(chart, data, free, scores[:, free], kind)
    jacobian = chart.jacobian(free)
    variances = np.maximum(np.einsum("ij,ij->i", jacobian @ covariance, jacobian), 0.0)
    return StandardErrors(
        values,
        _split(np.where(known, np.sqrt(variances), np.nan), values),
        chart.coordinates,
        kind,
        len(scores),
        _check_distance(shift, covariance),
    )


def cut_blocks(offsets: NDArray[np.int64], block: int) -> NDArray[np.int64]:
    """Where blocks of consecutive rows end.

    Parameters
    ----------
    offsets : ndarray of shape (m + 1,)
        Ends of the sequences.
    block : int
        Rows of a block; sequences that are no longer than that are not cut.

    Returns
    -------
    ndarray of shape (B + 1,)
        From 0 to the number of rows.

    Examples
    --------
    >>> import numpy as np
    >>> cut_blocks(np.array([0, 9, 12, 15]), 4).tolist()
    [0, 4, 8, 12, 15]
    """
    cuts = np.arange(0, offsets[-1], block)
    sequence = np.searchsorted(offsets, cuts, side="right") - 1
    whole = np.diff(offsets)[sequence] <= block
    cuts = np.where(whole, offsets[sequence], cuts)
    return np.append(np.unique(cuts), offsets[-1])


@dataclass(frozen=True, eq=False)
class _Chart:
    """Coordinates around a model, of all its parameters in one vector; zero is the model itself."""

    parameters: HMMParameters
    coordinates: dict[str, Real]

    @classmethod
    def around(cls, parameters: HMMParameters) -> _Chart:
        chain = {"startprob": Simplex(), "transmat": Simplex()}
        return cls(parameters, chain | parameters.emission.coordinates())

    def values(self, parameters: HMMParameters) -> dict[str, NDArray[np.float64]]:
        """All parameters by their names."""
        chain = {"startprob": parameters.startprob, "transmat": parameters.transmat}
        emission = parameters.emission
        own = {n: attrgetter(n)(emission) for n in self.coordinates if n not in chain}
        return chain | own

    def moved(self, step: Vector) -> HMMParameters:
        """The model a step away."""
        values = self.values(self.parameters)
        steps = _split(step, values)
        found = {name: self.coordinates[name].move(values[name], steps[name]) for name in values}
        chain = found.pop("startprob"), found.pop("transmat")
        return HMMParameters(*chain, _replace(self.parameters.emission, found))

    def gradient(self, parameters: HMMParameters, statistics: HMMStatistics) -> Vector:
        """Derivative of the expected log-likelihood by the coordinates, at a model of the chart."""
        chain = {
            "startprob": score_rows(statistics.start, parameters.startprob),
            "transmat": score_rows(statistics.trans, parameters.transmat),
        }
        each = chain | parameters.emission.score(statistics.emission)
        return _flat({name: own.scaled(each[name]) for name, own in self.coordinates.items()})

    def both_ways(self, free: NDArray[np.bool_]) -> Any:
        """Yield the models a small step up and down each free coordinate."""
        for j in np.flatnonzero(free):
            step = np.zeros(free.size)
            step[j] = _STEP
            yield self.moved(step), self.moved(-step)

    def jacobian(self, free: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Derivatives of all parameters (rows) by the free coordinates (columns)."""
        columns = [
            _flat(self.values(up)) - _flat(self.values(down)) for up, down in self.both_ways(free)
        ]
        return np.reshape(columns, (len(columns), free.size)).T / (2 * _STEP)

    def information(self, data: Sequences, free: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Minus the second derivative of the log-likelihood by the free coordinates."""
        columns = []
        for models in self.both_ways(free):
            up, down = (self.gradient(model, expect_exact(model, data)) for model in models)
            columns.append((down - up)[free] / (2 * _STEP))
        found = np.reshape(columns, (len(columns), len(columns)))
        return (found + found.T) / 2


def _choose_block(parameters: HMMParameters, n_rows: int) -> int:
    """Rows of a block, see `find_standard_errors`."""
    second = np.sort(np.abs(np.linalg.eigvals(parameters.transmat)))[:-1][-1:].sum()
    mixing = 1 / max(1 - float(second), 1e-6)
    wanted = max(_LEAST_BLOCK, int(5 * mixing))
    return max(1, min(wanted, int(n_rows) // (2 * max(n_parameters(parameters), 1))))


def _add_up(
    chart: _Chart, data: Sequences, ends: NDArray[np.int64]
) -> tuple[NDArray[np.float64], HMMStatistics]:
    """Scores (B, coordinates) of blocks, and the statistics of all of them together."""
    scores, total = [], None
    for statistics in expect_parts(chart.parameters, data, ends):
        scores.append(chart.gradient(chart.parameters, statistics))
        total = statistics if total is None else total + statistics
    assert total is not None
    if not np.isfinite(total.log_likelihood):
        raise ValueError(
            "X is impossible under the model, so its likelihood has no derivatives. Leave out the "
            "sequences that score -inf."
        )
    return np.array(scores), total


def _support(parameters: HMMParameters, total: HMMStatistics, n_sequences: int) -> Fields:
    """Expected counts behind all parameters; none behind what few sequences say little of."""
    start = total.start if n_sequences >= _LEAST_SEQUENCES else np.zeros_like(total.start)
    own = parameters.emission.support(total.emission)
    return {"startprob": start, "transmat": total.trans, **own}


def _covariance(
    chart: _Chart,
    data: Sequences,
    free: NDArray[np.bool_],
    scores: NDArray[np.float64],
    kind: str,
) -> tuple[NDArray[np.float64], Vector]:
    """Covariance (q, q) of free coordinates, and Newton's step (q,) from here to the maximum."""
    n, q = scores.shape
    if kind != "hessian" and n <= q + 1:
        raise ValueError(
            f"kind={kind!r} needs more blocks than free parameters, {q}; X has {n}. Take shorter "
            "blocks (block=), more data, or kind='hessian'."
        )
    squares = scores.T @ scores
    if kind == "opg":
        covariance = _invert(squares) * (n - q - 1) / n
        return covariance, covariance @ scores.sum(axis=0)
    covariance = _invert(chart.information(data, free))
    shift = covariance @ scores.sum(axis=0)
    if kind == "robust":
        covariance = covariance @ squares @ covariance * n / (n - 1)
    return covariance, shift


def _invert(information: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of a symmetric matrix, in which directions without information are very uncertain."""
    scale = np.sqrt(np.abs(information.diagonal()))
    scale = np.outer(scale, scale)
    scale[scale == 0] = 1.0
    values, vectors = np.linalg.eigh(information / scale)
    least = _LEAST_EIGENVALUE * values.max(initial=0.0)
    if (values < least).any():
        warn(
            f"The information about {values.size} parameters is singular: its least eigenvalue is "
            f"{values[0]:.2g}, its largest {values[-1]:.2g}. Either X does not tell some of them "
            "apart (states may be alike), or the model is no maximum of the likelihood. Fit fewer "
            "states, or with a smaller tol.",
            UserWarning,
        )
    return (vectors / np.maximum(values, least)) @ vectors.T / scale


def _check_distance(shift: Vector, covariance: NDArray[np.float64]) -> float:
    """How many standard errors a Newton step moves a coordinate at the most, with a warning."""
    distance = float(np.max(np.abs(shift) / np.sqrt(covariance.diagonal()), initial=0.0))
    if distance > _FAR:
        warn(
            f"The model is {distance:.2g} standard errors from a maximum of the likelihood of X; "
            f"more than {_FAR} spoils intervals. Fit to the same X, with flat priors, a smaller "
            "tol and dtype='float64'.",
            UserWarning,
        )
    return distance


def _replace(whole: Any, fields: Fields) -> Any:
    """A law with other fields, of which "law.field" is one of a part."""
    own: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for name, value in fields.items():
        first, _, rest = name.partition(".")
        if rest:
            parts.setdefault(first, {})[rest] = value
        else:
            own[first] = value
    inner = {name: _replace(getattr(whole, name), part) for name, part in parts.items()}
    return replace(whole, **own, **inner)


def _flat(fields: Fields) -> NDArray[Any]:
    """All entries in one vector."""
    return np.concatenate([np.ravel(array) for array in fields.values()])


def _split(flat: Vector, like: Fields) -> dict[str, NDArray[np.float64]]:
    """A vector as arrays of these names and shapes."""
    ends = np.cumsum([array.size for array in like.values()])[:-1]
    parts = np.split(flat, ends)
    return {name: part.reshape(like[name].shape) for name, part in zip(like, parts, strict=True)}
