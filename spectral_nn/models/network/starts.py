"""Starts of a network with one hidden layer: moments, several models of the inputs, and a race."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from spectral_nn.arrays import to_numpy
from spectral_nn.data.rows import Rows, dense
from spectral_nn.data.table import Table
from spectral_nn.models.base import OnStep, silent
from spectral_nn.models.network.activations import ACTIVATIONS
from spectral_nn.models.network.dense import Network, flatten, unflatten
from spectral_nn.models.network.evidence import (
    HOPELESS,
    ROWS_A_WEIGHT,
    Evidence,
    NoMoments,
    are_hopeless,
    gather,
    look,
    rows_needed,
)
from spectral_nn.models.network.hermite import read_units
from spectral_nn.models.network.local import cubic_moments, find_components, mixture_moments
from spectral_nn.models.network.moments import NetworkMoments, Summary, network_moments
from spectral_nn.models.network.objective import objective_of
from spectral_nn.models.network.options import NetworkOptions
from spectral_nn.models.network.race import Start, finite_loss, race, random_starts
from spectral_nn.models.network.report import NetworkReport
from spectral_nn.models.network.scaling import layers_above
from spectral_nn.models.network.score_tensors import moments_from_score
from spectral_nn.models.network.units import fit_second_layer, read_units_on_data
from spectral_nn.models.report import StartReport
from spectral_nn.results import RecoveryWarning
from spectral_nn.runners.base import Runner
from spectral_nn.tensors.shared_cp import SharedFactors, shared_cp
from spectral_nn.trainers.lbfgs import lbfgs
from spectral_nn.warn import warn

__all__ = [
    "check_identifiable",
    "find_directions",
    "in_doubt",
    "make_start",
    "warn_of_doubt",
]

_AGREEMENT = 0.5
_CONDITION = 1e4
_SAMPLE = 20_000  # rows that units are read off


def check_identifiable(hidden_layer_sizes: Any, activation: str) -> None:
    """Refuse networks whose moments cannot show hidden weights.

    Raises
    ------
    NoMoments
        If there is not exactly one hidden layer, or the activation is a polynomial of degree 1 or
        2.
    """
    if hidden_layer_sizes != "auto" and len(hidden_layer_sizes) != 1:
        raise NoMoments(
            f"hidden_layer_sizes={hidden_layer_sizes} asks for {len(hidden_layer_sizes)} hidden "
            "layers, and moments find the weights of exactly one. Use init='random' for other "
            "depths, or a single hidden layer such as hidden_layer_sizes=(10,)."
        )
    degree = ACTIVATIONS[activation].degree
    if degree is not None and degree <= 2:
        raise NoMoments(
            f"activation={activation!r} is a polynomial of degree {degree}: only the span of the "
            "hidden weights and a quadratic form are identifiable, so moments have nothing to "
            "recover. Use init='random', or another activation."
        )


def make_start(
    rows: Table,
    options: NetworkOptions,
    rng: np.random.Generator,
    run: Runner,
    tell: OnStep = silent,
) -> tuple[Network, str, NetworkReport]:
    """Find a start for a network with one hidden layer.

    Parameters
    ----------
    rows : table; outputs are 0 and 1 for classes.
    options : what to fit; ``init`` is "tensor" or "nn-lift".
    rng : draws starts and the rows of the race.
    run : who computes.
    tell : told (stage, step, loss).

    Returns
    -------
    network : with ``options.output``.
    init : "tensor" or "random", whichever won; "nn-lift" has no race.
    report : NetworkReport

    Raises
    ------
    NoMoments
        If there is not exactly one hidden layer, the activation is a polynomial of degree 2 or
        less, or X has one row only or nothing that varies.
    ValueError
        If ``init="nn-lift"`` and X has fewer dimensions than units or columns.

    Warns
    -----
    RecoveryWarning
        If the weights found cannot be expected to be those that made the data.
    ConvergenceWarning
        If decompositions from different starts disagree, or the directions nearly coincide.

    Notes
    -----
    Eight passes over the rows, O(n d^2 + n d K^2 + n K^4 / 8); decompositions independent of n;
    then 15 steps of L-BFGS from every start on 2^14 rows, more where parameters are many (`race`),
    unless ``max_iter`` is 0, where nothing is iterated on the data and nothing random takes part.
    Where rows are under a twentieth of those that recovery needs, the start is random: two passes.
    """
    width = options.hidden_layer_sizes
    check_identifiable(width, options.activation)
    seen, n_units = look(rows, run), None if width == "auto" else width[0]
    may_draw = options.init == "tensor" and options.trainer.max_iter > 0
    if may_draw and n_units is not None and are_hopeless(seen, n_units):
        return _at_random(rows, seen, n_units, options, rng)
    evidence = gather(rows, n_units, rng, run, seen=seen)
    say = partial(evidence.warn, rows.n_features, law_known=options.input_score is not None)
    if options.init == "nn-lift":
        say()
        return _textbook(rows, evidence, options, rng, run)
    tell("moments", 0, float("nan"))
    moments = _moments(rows, evidence, options.input_model, rng, run)
    if options.input_score is not None:
        moments += _moments(rows, evidence, options.input_score, rng, run)
    starts = []
    for kind, tensors in moments:
        factors = _decompose(tensors, evidence, rng)
        network = _read(rows, tensors, factors, kind, options, run).on(rows.like)
        trusted = evidence.enough and evidence.usual and factors.agreement >= _AGREEMENT
        starts.append(Start(kind, network, factors, trusted=trusted))
        tell(f"decomposed {kind}", 0, factors.explained)
    if options.trainer.max_iter > 0:
        starts += random_starts(rows, evidence.n_units, options, rng)
        starts, reason = race(rows, starts, options, rng, tell)
    else:
        reason = "max_iter=0: no random start takes part"
        losses = [
            objective_of(rows, run, start.network, 0.0).value(flatten(start.network))
            for start in starts
        ]
        starts = [replace(s, loss=loss) for s, loss in zip(starts, losses, strict=True)]
        starts.sort(key=finite_loss)
    report = _complete(replace(evidence.report(), reason=reason), starts)
    init = "random" if starts[0].kind == "random" else "tensor"
    say(lost=reason if init == "random" else "")
    return starts[0].network, init, report


def _at_random(
    rows: Table, seen: Summary, n_units: int, options: NetworkOptions, rng: np.random.Generator
) -> tuple[Network, str, NetworkReport]:
    """One random start, for rows so few that moments are noise.

    A start from such moments is fast at first, so that it wins a race, but its units lie in the few
    dimensions that the moments were taken in: it ends no better than a random one.
    """
    d, n = seen.frame.n_dimensions, seen.columns.n_effective
    needed = rows_needed(d, n_units)
    reason = (
        f"n={n:.0f} rows for d={d} and k={n_units} units are under {HOPELESS:.0%} of the "
        f"{ROWS_A_WEIGHT} d k^2 = {needed} that recovery needs: moments of them are noise"
    )
    warn(
        f"The start is random: {reason}. init='random' says that you know.",
        RecoveryWarning,
    )
    start = random_starts(rows, n_units, options, rng)[0]
    report = NetworkReport(
        winner="random",
        starts=(StartReport(kind="random"),),
        n_effective=n,
        n_needed=needed,
        reason=reason,
    )
    return start.network, "random", report


def find_directions(
    rows: Table, evidence: Evidence, input_model: Any, rng: np.random.Generator, run: Runner
) -> tuple[SharedFactors, NetworkMoments, str]:
    """Decompose moments; no unit is read, and "auto", without a race, is "gaussian"."""
    model = "gaussian" if input_model == "auto" else input_model
    kind, tensors = _moments(rows, evidence, model, rng, run)[0]
    factors = _decompose(tensors, evidence, rng)
    warn_of_doubt(factors)
    return factors, tensors, kind


def _decompose(
    moments: NetworkMoments, evidence: Evidence, rng: np.random.Generator
) -> SharedFactors:
    thorough = not evidence.hopeless
    return shared_cp(moments.tensors, evidence.n_units, thorough=thorough, rng=rng)


def in_doubt(report: NetworkReport) -> bool:
    """Tell from the report of a start whether the weights may be half-recovered."""
    if report.cp_agreement is None:
        return False
    return report.few_rows or report.cp_agreement < _AGREEMENT


def _moments(
    rows: Table, evidence: Evidence, input_model: Any, rng: np.random.Generator, run: Runner
) -> list[tuple[str, NetworkMoments]]:
    """Tensors under every model of the inputs that is asked for, or that "auto" thinks of."""
    if callable(input_model):
        K = evidence.frame.n_dimensions
        return [("score", moments_from_score(rows, evidence.seen, K, input_model, run))]
    auto = input_model == "auto"
    plain = network_moments(rows, evidence.frame, evidence.n_effective, run)
    found = [("gaussian", plain)] if input_model in ("auto", "gaussian") else []
    if input_model == "mixture" or (auto and evidence.shaped and evidence.usual):
        mixture = find_components(rows, evidence.frame, int(rng.integers(2**31)))
        if mixture is not None:
            found.append(("mixture", mixture_moments(rows, plain, mixture, run)))
    if input_model == "cubic" or (auto and (evidence.shaped or not evidence.usual)):
        cubic = cubic_moments(rows, plain, run)
        if cubic is not None:
            found.append(("cubic", cubic))
    if not found:
        warn(
            f"input_model={input_model!r} does not apply to {evidence.n_effective:.0f} rows in the "
            f"{evidence.frame.n_dimensions} dimensions that outputs depend on most (too few rows, "
            'or one component as good as several); "gaussian" takes its place.',
            RecoveryWarning,
        )
    return found or [("gaussian", plain)]


def _read(
    rows: Table,
    moments: NetworkMoments,
    factors: SharedFactors,
    kind: str,
    options: NetworkOptions,
    run: Runner,
) -> Network:
    """Read the units off a decomposition, and put a second layer on top."""
    U = factors.directions
    if kind == "gaussian":
        sign, scale, bias = read_units(list(factors.weights), factors.variances, options.activation)
    else:
        part = rows.sample(_SAMPLE)
        Z = to_numpy(moments.frame.inputs(dense(part)[0]))
        sign, scale, bias = read_units_on_data(
            Z @ U,
            to_numpy(moments.frame.outputs(part.Y)),
            to_numpy(part.weight),
            options.activation,
        )
    coef, offset = moments.frame.pull_back(U * (sign * scale), rows.n_features)
    network = fit_second_layer(rows, coef, bias + offset, options.activation, run)
    return _fit_output_layer(rows, network, options, run)


def _textbook(
    rows: Table, evidence: Evidence, options: NetworkOptions, rng: np.random.Generator, run: Runner
) -> tuple[Network, str, NetworkReport]:
    """The algorithm of Janzamin, Sedghi and Anandkumar, with neither race nor repair."""
    from spectral_nn.models.network.lift import lift
    from spectral_nn.moments.scores import GaussianMixtureScore, GaussianScore

    score, k, d = options.input_score or options.input_model, evidence.n_units, rows.n_features
    if score == "cubic":
        raise ValueError(
            "input_model='cubic' is no score function, which init='nn-lift' needs. Use 'gaussian', "
            "'mixture', or a callable."
        )
    if k > d:
        raise ValueError(
            f"hidden_layer_sizes={k} is more than the {d} columns of X, and init='nn-lift' finds "
            f"orthogonal directions: {d} units at the most. Use fewer, or another init."
        )
    if not callable(score):
        if evidence.seen.frame.n_dimensions < d:
            raise ValueError(
                f"X has {d} columns that span {evidence.seen.frame.n_dimensions} dimensions only, "
                "so that its density has no score, which init='nn-lift' needs. Leave out columns "
                "that are constant or linear functions of others, or use another init."
            )
        sample = to_numpy(dense(rows.sample(_SAMPLE))[0])
        if score == "mixture":
            score = GaussianMixtureScore.fit(sample, rng=rng)
        else:
            score = GaussianScore.fit(sample)
    found = lift(rows, evidence.n_units, options.activation, score=score, rng=rng, run=run)
    network = _fit_output_layer(rows, found.network, options, run)
    report = replace(
        evidence.report(),
        winner="nn-lift",
        whitening=found.whitener.kind,
        whitening_definite=found.whitener.definite,
        whitening_condition=found.whitener.condition,
        cp_residual=found.residual,
    )
    return network, "nn-lift", report


def _fit_output_layer(
    rows: Table, network: Network, options: NetworkOptions, run: Runner
) -> Network:
    """Fit the layer above the hidden units, so far a regression, by its own convex loss."""
    if options.output == network.output:
        return network
    network = replace(network, output=options.output)
    top = Network(network.coefs[1:], network.intercepts[1:], network.activation, network.output)
    hidden = rows.mapped(partial(_hidden_rows, network=network))
    start = np.zeros(flatten(top).shape[0])
    objective = objective_of(hidden, run, top, layers_above(options.alpha))
    found = lbfgs(objective, start, max_iter=100, tol=1e-5)
    fitted = unflatten(found.x, top)
    return replace(
        network,
        coefs=(network.coefs[0], fitted.coefs[0]),
        intercepts=(network.intercepts[0], fitted.intercepts[0]),
    )


def _hidden_rows(rows: Rows, network: Network) -> Rows:
    """The rows with the hidden units' values in the place of their inputs."""
    return rows._replace(X=network.on(rows.Y).hidden(rows.X))


def _complete(report: NetworkReport, starts: list[Start]) -> NetworkReport:
    """The report with the starts, the winner first; warns where decompositions are in doubt."""
    winner = starts[0]
    best = min(
        (s for s in starts if s.factors is not None),
        key=finite_loss,
    )
    factors = best.factors
    assert factors is not None
    if winner.factors is not None:
        warn_of_doubt(winner.factors)
    return replace(
        with_figures(report, factors),
        winner=winner.kind,
        starts=tuple(StartReport(kind=start.kind, loss=start.loss) for start in starts),
        race_steps=winner.n_iter,
    )


def with_figures(report: NetworkReport, factors: SharedFactors) -> NetworkReport:
    """The report with what it keeps of a decomposition."""
    return replace(
        report,
        cp_agreement=factors.agreement,
        cp_condition=factors.condition,
        cp_explained=factors.explained,
    )


def warn_of_doubt(factors: SharedFactors) -> None:
    """Say where a decomposition is in doubt, with the figures."""
    doubts = []
    if factors.agreement < _AGREEMENT:
        doubts.append(
            f"only {factors.agreement:.0%} of its starts agree with the best one "
            f"({_AGREEMENT:.0%} should)"
        )
    if factors.condition > _CONDITION:
        doubts.append(
            f"the directions have condition number {factors.condition:.3g}, above "
            f"{_CONDITION:g}: some nearly coincide"
        )
    if doubts:
        warn(
            f"The decomposition is in doubt: {'; '.join(doubts)}. More rows or fewer units make it "
            "sharper, if the data follow such a network at all.",
            ConvergenceWarning,
        )
