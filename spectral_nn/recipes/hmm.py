"""The fit of a categorical hidden Markov model: count, start, race, refine.

1. Count n-grams, once.
2. Start: decompositions of the moments, classes of symbols, or random draws.
3. Fit the trigrams from every start (composite EM); keep the better half.
4. One pass of online EM from each of these; keep the likeliest; two more passes.
5. Over-relaxed EM on all data to convergence.

The race needs no good luck from any single start, and no step of it can end below its beginning.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_nn.execute.runner import Runner, SerialRunner, runner, total
from spectral_nn.models.hmm.composite import window_batches
from spectral_nn.models.hmm.engine import MINIBATCHES, LaneEngine
from spectral_nn.models.hmm.expectation import expect_lanes
from spectral_nn.models.hmm.lanes import LaneBatches
from spectral_nn.models.hmm.parameters import HMMParameters
from spectral_nn.models.hmm.spectral import decompose, whitened_moments
from spectral_nn.models.hmm.starts import cluster_start, random_start
from spectral_nn.models.hmm.statistics import HMMStatistics, Priors, maximise, relax
from spectral_nn.moments.ngrams import NgramCounts, count_ngrams, ngram_chunks, window_order
from spectral_nn.refine.em import EMResult, em
from spectral_nn.refine.online import online_em
from spectral_nn.results import RankWarning
from spectral_nn.sequences import Sequences, SequenceStream

OnStep = Callable[[str, int, float], None]

N_STARTS = 8
_COMPOSITE_STEPS = 60
_COMPOSITE_TOL = 1e-5
_ONLINE_PASSES = 2
_LARGE_ALPHABET = 1000
_SMALLEST_RATIO = 1e-3


@dataclass(frozen=True, eq=False)
class HMMOptions:
    """What to fit.

    Attributes
    ----------
    n_components, n_symbols : K and d.
    init : "tensor", "random" or "spectral-clustering".
    n_init : number of starts; None for 8, or 1 with init="random".
    n_iter : most EM steps on all data; 0 leaves the start as it is.
    tol : least gain of such a step, nats; None for 1e-5 a token.
    startprob_prior, transmat_prior : Dirichlet alphas.
    emissionprob_prior : Dirichlet alpha; None for one pseudo-count a state, spread over the
        symbols by their smoothed frequency.
    update : which of "s", "t", "e" EM re-estimates.
    fixed : starting values given by the user, by name; every start begins with them.
    labelled : whether the codes carry labels, which then make the start.
    dtype : working precision of the E-step on lanes.
    """

    n_components: int
    n_symbols: int
    init: str = "tensor"
    n_init: int | None = None
    n_iter: int = 100
    tol: float | None = None
    startprob_prior: NDArray | float = 1.0
    transmat_prior: NDArray | float = 1.0
    emissionprob_prior: NDArray | float | None = None
    update: str = "ste"
    fixed: dict[str, NDArray] = field(default_factory=dict)
    labelled: bool = False
    dtype: DTypeLike = np.float32

    @property
    def kinds(self) -> list[str]:
        """The kind of every start."""
        if self.init == "random":
            return ["random"] * (self.n_init or 1)
        n_init = self.n_init or N_STARTS
        if self.init == "spectral-clustering":
            return ["spectral-clustering"] * n_init
        if self.n_iter == 0:
            return ["tensor"] * n_init
        spectral = ["tensor"] * -(-n_init // 2)
        if self.n_symbols > _LARGE_ALPHABET:
            spectral[1::2] = ["spectral-clustering"] * len(spectral[1::2])
        return spectral + ["random"] * (n_init // 2)

    def priors(self, symbols: NDArray[np.integer]) -> Priors:
        """Pseudo-counts, given how often each symbol was seen."""
        emit: NDArray | float
        if self.emissionprob_prior is None:
            emit = (symbols + 1) / (symbols + 1).sum()
        else:
            emit = np.asarray(self.emissionprob_prior) - 1.0
        return Priors(
            np.asarray(self.startprob_prior) - 1.0, np.asarray(self.transmat_prior) - 1.0, emit
        )


@dataclass(frozen=True, eq=False)
class HMMFit:
    """A fitted model.

    Attributes
    ----------
    parameters : the model.
    history : objective before each EM step on all data: log-likelihood plus log prior, nats.
    converged : whether the last gain was below `tol`.
    diagnostics : singular_values, sigma_ratio, starts (kind, composite and full objective of
        each), winner (index), lane_error, burn_in, exact.
    """

    parameters: HMMParameters
    history: list[float]
    converged: bool
    diagnostics: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Start:
    """A start on its way through the race."""

    kind: str
    parameters: HMMParameters
    composite: float = float("nan")
    likelihood: float = float("nan")


def count(source: Sequences | SequenceStream, n_symbols: int, run: Runner) -> NgramCounts:
    """N-gram counts of all pieces of coded data."""
    order = window_order(n_symbols)
    statistic = partial(count_ngrams, order=order, n_symbols=n_symbols)
    chunks = (chunk for piece in source.pieces() for chunk in ngram_chunks(piece, order))
    return total(run, statistic, chunks)


def fit_hmm(
    source: Sequences | SequenceStream,
    options: HMMOptions,
    *,
    rng: np.random.Generator,
    n_jobs: int | None = None,
    on_step: OnStep | None = None,
) -> HMMFit:
    """Fit a model to coded sequences.

    Parameters
    ----------
    source : int32 codes (see `spectral_nn.models.hmm.coding`).
    options : what to fit.
    rng : draws the starts and the order of the lanes.
    n_jobs : workers, as joblib means it; the result does not depend on it.
    on_step : told (stage, step, objective) as the fit goes on.

    Notes
    -----
    One counting pass, about seven passes of E-steps for the race and one a step of EM, at
    6 K^2 flops a token and pass.
    """
    tell = on_step or _silent
    with runner(n_jobs) as run:
        counts = count(source, options.n_symbols, run)
        tell("counted windows", counts.codes.size, float("nan"))
        problem = _Problem(source, counts, options, int(rng.integers(2**31)))
        if options.labelled:
            starts, notes = [problem.label_start(run, rng)], {}
        else:
            starts, notes = _starts(counts, options, rng)
        if options.n_iter == 0:
            return _as_started(starts, notes)
        if options.init == "random" and not options.labelled:
            return _baum_welch(problem, starts, run, tell)
        if len(starts) > 1:
            starts = _race(starts, counts, problem, run, rng, tell)
        engine = problem.engine(run)
        starts = problem.online(starts, engine, tell)
        result = problem.climb(starts[0].parameters, engine, tell)
        return _finished(result, starts, engine, notes)


def fit_counts(
    counts: NgramCounts,
    options: HMMOptions,
    *,
    rng: np.random.Generator,
    on_step: OnStep | None = None,
) -> HMMFit:
    """Fit a model to n-gram counts alone: steps 2 and 3 of the recipe, no second look at data.

    The model is a function of the summed counts (and of `rng`), so it does not matter in how many
    parts, or in which order, the data were counted.
    """
    tell = on_step or _silent
    starts, notes = _starts(counts, options, rng)
    if options.n_iter == 0:
        return _as_started(starts, notes)
    problem = _Problem(Sequences(np.zeros(1, np.int32), np.array([0, 1])), counts, options, 0)
    ranked = _race(starts, counts, problem, SerialRunner(), rng, tell)
    best = ranked[0]
    return HMMFit(best.parameters, [best.composite], True, notes | _notes(ranked))


@dataclass(frozen=True, eq=False)
class _Problem:
    """Data and options of a fit: what a worker needs to work on a start by itself."""

    source: Sequences | SequenceStream
    counts: NgramCounts
    options: HMMOptions
    seed: int

    @property
    def priors(self) -> Priors:
        return self.options.priors(self.counts.symbols)

    @property
    def tol(self) -> float:
        return 1e-5 * self.counts.n_tokens if self.options.tol is None else self.options.tol

    def engine(self, run: Runner) -> LaneEngine:
        return LaneEngine(
            self.source,
            n_rows=self.counts.n_rows,
            pad=self.options.n_symbols,
            dtype=self.options.dtype,
            labelled=self.options.labelled,
            run=run,
            seed=self.seed,
        )

    def maximise(self, statistics: HMMStatistics, parameters: HMMParameters) -> HMMParameters:
        return maximise(statistics, parameters, self.priors, self.options.update)

    def objective(self, statistics: HMMStatistics, parameters: HMMParameters) -> float:
        return statistics.log_likelihood + self.priors.log_density(parameters)

    def climb(self, start: HMMParameters, engine: LaneEngine, tell: OnStep) -> EMResult:
        """EM on all data."""
        return em(
            start,
            expect=engine.expect,
            objective=self.objective,
            maximise=self.maximise,
            relax=relax,
            n_iter=self.options.n_iter,
            tol=self.tol,
            on_step=partial(tell, "EM"),
        )

    def climb_alone(self, start: HMMParameters) -> tuple[EMResult, LaneEngine]:
        """EM on all data in this process."""
        engine = self.engine(SerialRunner())
        return self.climb(start, engine, _silent), engine

    def climb_windows(self, start: HMMParameters, windows: LaneBatches) -> tuple[HMMParameters, float]:
        """Composite EM; the objective reached comes along."""
        result = em(
            start,
            expect=partial(expect_lanes, batches=windows, dtype=self.options.dtype),
            objective=self.objective,
            maximise=self.maximise,
            relax=relax,
            n_iter=_COMPOSITE_STEPS,
            tol=_COMPOSITE_TOL * float(windows.weight.sum()),
        )
        return result.parameters, result.history[-1]

    def online(self, starts: list[_Start], engine: LaneEngine, tell: OnStep) -> list[_Start]:
        """One pass of online EM from each start, the likeliest first; it gets two more passes."""
        if engine.exact:  # little data: batches would be too small to learn from
            return self._ranked(starts, engine, tell)

        def passes(start: _Start, n: int, first: int) -> _Start:
            for i in range(n):
                moved = online_em(
                    start.parameters,
                    engine.minibatches(),
                    expect=engine.expect_minibatch,
                    maximise=self.maximise,
                    first=(first + i) * MINIBATCHES,
                )
                start = replace(start, parameters=moved)
            return start

        ranked = self._ranked([passes(start, 1, 0) for start in starts], engine, tell)
        return [passes(ranked[0], _ONLINE_PASSES, 1), *ranked[1:]]

    def _ranked(self, starts: list[_Start], engine: LaneEngine, tell: OnStep) -> list[_Start]:
        if len(starts) == 1:
            return starts
        scored = []
        for i, start in enumerate(starts):
            value = self.objective(engine.expect(start.parameters), start.parameters)
            tell(f"race, {start.kind} start", i, value)
            scored.append(replace(start, likelihood=value))
        return sorted(scored, key=lambda start: -start.likelihood)

    def label_start(self, run: Runner, rng: np.random.Generator) -> _Start:
        """The model that labelled positions suggest: an M-step from a nearly flat model."""
        rough = random_start(self.options.n_components, self.counts, rng)
        flat = (self.counts.symbols + 1) / (self.counts.symbols + 1).sum()
        K = self.options.n_components
        even = HMMParameters(
            np.full(K, 1 / K), np.full((K, K), 1 / K), 0.9 * flat + 0.1 * rough.emissionprob
        )
        smooth = Priors(1.0, 1.0 / K, flat)
        statistics = self.engine(run).expect(even)
        return _Start("labels", _with_fixed(maximise(statistics, even, smooth), self.options))


def _starts(
    counts: NgramCounts, options: HMMOptions, rng: np.random.Generator
) -> tuple[list[_Start], dict[str, Any]]:
    """All starts, decompositions ordered by how well they fit the moments."""
    kinds, notes, moments = options.kinds, {}, None
    if len(options.fixed) == 3:
        return [_Start("given", HMMParameters(**options.fixed))], notes
    if "tensor" in kinds:
        try:
            moments = whitened_moments(counts, options.n_components, rng)
            notes = {
                "singular_values": moments.singular_values,
                "sigma_ratio": moments.sigma_ratio,
            }
        except ValueError as error:
            _warn_rank(f"{error} Falling back to random starts.")
            kinds = ["random"] * len(kinds)
    if moments is not None and moments.sigma_ratio < _SMALLEST_RATIO:
        _warn_rank(
            f"the moments of past and future barely carry n_components={options.n_components}: "
            f"sigma_K = {moments.singular_values[options.n_components - 1]:.3g} is "
            f"{moments.sigma_ratio:.3g} of sigma_1, below {_SMALLEST_RATIO}. Directions below that "
            "are floored, so the decomposed parameters are not to be trusted; random starts and "
            "EM decide. Consider fewer components."
        )
    make = {
        "tensor": lambda: decompose(moments, counts, rng),
        "spectral-clustering": lambda: cluster_start(options.n_components, counts, rng),
        "random": lambda: random_start(options.n_components, counts, rng),
    }
    return [_Start(kind, _with_fixed(make[kind](), options)) for kind in kinds], notes


def _race(
    starts: list[_Start],
    counts: NgramCounts,
    problem: _Problem,
    run: Runner,
    rng: np.random.Generator,
    tell: OnStep,
) -> list[_Start]:
    """Composite EM from every start; the better half, best first."""
    options = problem.options
    order = counts.order if options.n_components > options.n_symbols else 3
    windows = window_batches(counts, order, rng)
    reached = run.map(
        partial(problem.climb_windows, windows=windows), [start.parameters for start in starts]
    )
    moved = [
        replace(start, parameters=parameters, composite=value)
        for start, (parameters, value) in zip(starts, reached, strict=True)
    ]
    for i, start in enumerate(moved):
        tell(f"moments, {start.kind} start", i, start.composite)
    moved.sort(key=lambda start: -start.composite)
    return moved[: -(-len(moved) // 2)]


def _baum_welch(problem: _Problem, starts: list[_Start], run: Runner, tell: OnStep) -> HMMFit:
    """EM from each random start, in parallel where there are several; the best."""
    if len(starts) == 1:
        engine = problem.engine(run)
        result = problem.climb(starts[0].parameters, engine, tell)
        return _finished(result, starts, engine, {})
    results = run.map(problem.climb_alone, [start.parameters for start in starts])
    scored = []
    for i, (start, (result, _)) in enumerate(zip(starts, results, strict=True)):
        tell("EM, random start", i, result.history[-1])
        scored.append(replace(start, likelihood=result.history[-1]))
    best = max(range(len(scored)), key=lambda i: scored[i].likelihood)
    order = [best, *(i for i in range(len(scored)) if i != best)]
    return _finished(results[best][0], [scored[i] for i in order], results[best][1], {})


def _with_fixed(parameters: HMMParameters, options: HMMOptions) -> HMMParameters:
    return replace(parameters, **options.fixed)


def _warn_rank(message: str) -> None:
    warnings.warn(message, RankWarning, stacklevel=4)


def _silent(stage: str, step: int, value: float) -> None:
    """Progress that nobody listens to."""


def _notes(starts: list[_Start]) -> dict[str, Any]:
    """Starts that were still in the race, the winner first."""
    return {
        "winner": starts[0].kind,
        "starts": [
            {"kind": s.kind, "composite": s.composite, "likelihood": s.likelihood} for s in starts
        ],
    }


def _as_started(starts: list[_Start], notes: dict[str, Any]) -> HMMFit:
    return HMMFit(starts[0].parameters, [], False, notes | _notes(starts))


def _finished(
    result: EMResult, starts: list[_Start], engine: LaneEngine, notes: dict[str, Any]
) -> HMMFit:
    lanes = {"lane_error": engine.lane_error, "burn_in": engine.burn_in, "exact": engine.exact}
    return HMMFit(
        result.parameters, result.history, result.converged, notes | _notes(starts) | lanes
    )
