"""The fit of a categorical hidden Markov model: count, start, race, refine.

1. Count n-grams, once.
2. Start: decompositions of the moments, classes of symbols, or random draws.
3. Race by successive halving: fit the trigrams from every start (composite EM) and keep half;
   a few steps of EM on the data, or on a sample of large data, and keep half; and so on.
4. Over-relaxed EM on all data from the winner, to convergence.

Fits of the trigrams rank starts only weakly, and so do the first steps of EM; that is why the
field narrows in steps.  (Passes of online EM in the place of the second step were tried: on texts
of 1e5 and 4e5 characters they cost as much and ranked no better.)
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
from spectral_nn.models.hmm.engine import LaneEngine
from spectral_nn.models.hmm.expectation import expect_lanes
from spectral_nn.models.hmm.parameters import HMMParameters
from spectral_nn.models.hmm.spectral import WhitenedMoments, decompose, whitened_moments
from spectral_nn.models.hmm.starts import cluster_start, random_start
from spectral_nn.models.hmm.statistics import HMMStatistics, Priors, maximise, relax
from spectral_nn.moments.ngrams import NgramCounts, count_ngrams, ngram_chunks, window_order
from spectral_nn.refine.em import EMResult, em
from spectral_nn.results import RankWarning
from spectral_nn.sequences import Sequences, SequenceStream

OnStep = Callable[[str, int, float], None]

N_STARTS = 16
_COMPOSITE_STEPS = 30
_COMPOSITE_TOL = 1e-5  # nats a window
_ROUNDS = ((1 / 2, 10), (1 / 4, 20), (1 / 8, 40))  # share of the starts kept, EM steps each
_RACE_ROWS = 2**19  # what the race looks at, of larger data
_LARGE_ALPHABET = 1000
_SMALLEST_RATIO = 1e-3


def silent(stage: str, step: int, value: float) -> None:
    """Progress that nobody listens to."""


@dataclass(frozen=True, eq=False)
class HMMOptions:
    """What to fit.

    Attributes
    ----------
    n_components, n_symbols : K and d.
    init : "tensor", "random" or "spectral-clustering".
    n_init : number of starts; None for 16, or 1 with init="random".
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
        if self.init == "tensor" and self.n_iter == 0:
            return ["tensor"]
        n_init = self.n_init or N_STARTS
        if self.init == "spectral-clustering":
            return ["spectral-clustering"] * n_init
        spectral = ["tensor"] * -(-n_init // 4)
        if self.n_symbols > _LARGE_ALPHABET:
            spectral[1::2] = ["spectral-clustering"] * len(spectral[1::2])
        return spectral + ["random"] * (n_init - len(spectral))

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
    tell = on_step or silent
    with runner(n_jobs) as run:
        counts = count(source, options.n_symbols, run)
        tell("counted windows", counts.codes.size, float("nan"))
        problem = _Problem(source, counts, options, int(rng.integers(2**31)))
        notes: dict[str, Any] = {}
        if options.labelled:
            starts = [problem.label_start(run, rng)]
        else:
            starts, notes = _starts(counts, options, rng)
        if options.n_iter == 0:
            return _as_started(starts, notes)
        if options.init == "random" and not options.labelled:
            return _baum_welch(problem, starts, run, tell)
        engine = problem.engine(run)
        if len(starts) > 1:
            starts = _on_windows(starts, problem, run, rng, tell)
            starts = _on_data(starts, problem, engine, run, tell)
        result = problem.climb_all(starts[0].parameters, engine, tell)
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
    tell = on_step or silent
    starts, notes = _starts(counts, options, rng)
    if options.n_iter == 0:
        return _as_started(starts, notes)
    problem = _Problem(Sequences(np.zeros(1, np.int32), np.array([0, 1])), counts, options, 0)
    ranked = _on_windows(starts, problem, SerialRunner(), rng, tell)
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

    def climb(
        self,
        start: HMMParameters,
        expect: Callable[[HMMParameters], HMMStatistics],
        n_iter: int,
        tol: float,
        tell: OnStep = silent,
    ) -> EMResult:
        """EM with any E-step."""
        return em(
            start,
            expect=expect,
            objective=self.objective,
            maximise=self.maximise,
            relax=relax,
            n_iter=n_iter,
            tol=tol,
            on_step=partial(tell, "EM"),
        )

    def climb_all(self, start: HMMParameters, engine: LaneEngine, tell: OnStep) -> EMResult:
        """EM on all data, to convergence."""
        return self.climb(start, engine.expect, self.options.n_iter, self.tol, tell)

    def climb_alone(self, start: HMMParameters) -> tuple[EMResult, LaneEngine]:
        """The same in this process alone."""
        engine = self.engine(SerialRunner())
        return self.climb_all(start, engine, silent), engine

    def climb_some(
        self, start: HMMParameters, chunks: list[Any], statistic: Callable, n_iter: int, tol: float
    ) -> EMResult:
        """A few steps of EM on some chunks."""
        return self.climb(start, lambda p: total(SerialRunner(), statistic(p), chunks), n_iter, tol)

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
    if len(options.fixed) == 3:
        return [_Start("given", HMMParameters(**options.fixed))], {}
    kinds, moments = options.kinds, None
    notes: dict[str, Any] = {}
    if options.n_components == 1:
        kinds = ["random"]  # one state: every start is the same after a step
    if "tensor" in kinds:
        moments = _checked_moments(counts, options, rng)
        kinds = kinds if moments is not None else ["random"] * len(kinds)
    if moments is not None:
        notes = {"singular_values": moments.singular_values, "sigma_ratio": moments.sigma_ratio}
    starts: list[_Start] = []
    for kind in kinds:
        if kind == "tensor" and not starts and moments is not None:
            parameters = decompose(moments, counts, rng)
        elif kind == "tensor":  # ALS ends in the same place from any rotation
            parameters = _decompose_resampled(counts, options, rng)
        elif kind == "spectral-clustering":
            parameters = cluster_start(options.n_components, counts, rng)
        else:
            parameters = random_start(options.n_components, counts, rng)
        starts.append(_Start(kind, _with_fixed(parameters, options)))
    return starts, notes


def _checked_moments(
    counts: NgramCounts, options: HMMOptions, rng: np.random.Generator
) -> WhitenedMoments | None:
    """Whitened moments, with a warning where they carry too few components; None where none."""
    try:
        moments = whitened_moments(counts, options.n_components, rng)
    except ValueError as error:
        _warn_rank(f"{error} Falling back to random starts.")
        return None
    if moments.sigma_ratio < _SMALLEST_RATIO:
        _warn_rank(
            f"the moments of past and future barely carry n_components={options.n_components}: "
            f"sigma_K = {moments.singular_values[options.n_components - 1]:.3g} is "
            f"{moments.sigma_ratio:.3g} of sigma_1, below {_SMALLEST_RATIO}. Directions below that "
            "are floored, so the decomposed parameters are not to be trusted; random starts and "
            "EM decide. Consider fewer components."
        )
    return moments


def _decompose_resampled(
    counts: NgramCounts, options: HMMOptions, rng: np.random.Generator
) -> HMMParameters:
    """Decomposition of a bootstrap sample; of little data, which may not carry one, a draw."""
    again = counts.resampled(rng)
    try:
        return decompose(whitened_moments(again, options.n_components, rng), again, rng)
    except ValueError:
        return random_start(options.n_components, counts, rng)


def _on_windows(
    starts: list[_Start],
    problem: _Problem,
    run: Runner,
    rng: np.random.Generator,
    tell: OnStep,
) -> list[_Start]:
    """Composite EM from every start; all of them, best first."""
    options, counts = problem.options, problem.counts
    order = counts.order if options.n_components > options.n_symbols else 3
    windows = window_batches(counts, order, rng)
    climb = partial(
        problem.climb_some,
        chunks=[windows],
        statistic=partial(_expect_windows, dtype=options.dtype),
        n_iter=_COMPOSITE_STEPS,
        tol=_COMPOSITE_TOL * float(windows.weight.sum()),
    )
    results = run.map(climb, [start.parameters for start in starts])
    moved = [
        replace(start, parameters=result.parameters, composite=result.history[-1])
        for start, result in zip(starts, results, strict=True)
    ]
    for i, start in enumerate(moved):
        tell(f"moments, {start.kind} start", i, start.composite)
    return sorted(moved, key=lambda start: -start.composite)


def _on_data(
    starts: list[_Start], problem: _Problem, engine: LaneEngine, run: Runner, tell: OnStep
) -> list[_Start]:
    """Rounds of EM on a sample from fewer and fewer starts; those of the last, best first."""
    field = len(starts)
    climb = partial(
        problem.climb_some,
        chunks=engine.sample(_RACE_ROWS),
        statistic=engine.statistic,
        tol=problem.tol,
    )
    for share, steps in _ROUNDS:
        kept = starts[: int(np.ceil(share * field))]
        n_iter = min(steps, problem.options.n_iter)
        results = run.map(partial(climb, n_iter=n_iter), [start.parameters for start in kept])
        starts = [
            replace(start, parameters=result.parameters, likelihood=result.history[-1])
            for start, result in zip(kept, results, strict=True)
        ]
        for i, start in enumerate(starts):
            tell(f"race, {start.kind} start", i, start.likelihood)
        starts.sort(key=lambda start: -start.likelihood)
    return starts


def _expect_windows(parameters: HMMParameters, dtype: DTypeLike) -> Callable:
    return partial(expect_lanes, parameters, dtype=dtype)


def _baum_welch(problem: _Problem, starts: list[_Start], run: Runner, tell: OnStep) -> HMMFit:
    """EM from each random start, in parallel where there are several; the best."""
    if len(starts) == 1:
        engine = problem.engine(run)
        result = problem.climb_all(starts[0].parameters, engine, tell)
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
    warnings.warn(message, RankWarning, stacklevel=6)


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
