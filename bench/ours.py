"""Our estimator, behind the same functions as its rivals (see :mod:`bench.rivals`).

The only file of the benchmarks that knows how the package is called.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spectral_estimators import CategoricalHMM
from spectral_nn.data import Sequences
from spectral_nn.models.chains.engine import LaneEngine
from spectral_nn.models.chains.expectation import expect_exact
from spectral_nn.models.chains.fit import count
from spectral_nn.models.chains.inference import find_paths, log_likelihoods
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.slow_starts import sticky_start
from spectral_nn.models.chains.statistics import Priors, maximise
from spectral_nn.runners.base import SerialRunner


def lane_engine(
    codes: NDArray[np.int32], offsets: NDArray[np.int64], n_symbols: int, dtype: DTypeLike
) -> LaneEngine:
    """The lane E-steps of one data set; its first E-step lays the codes out, and keeps that."""
    return LaneEngine(
        Sequences(codes, offsets),
        ChainModel(Priors(), dtype=dtype),
        n_rows=codes.size,
        pad=n_symbols,
        run=SerialRunner(),
        seed=0,
    )


def prepare_e_step(
    parameters: HMMParameters,
    codes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    dtype: DTypeLike = np.float32,
) -> Callable[[], float]:
    """Lane E-step as every iteration of a fit runs it, the codes laid out already."""
    engine = lane_engine(codes, offsets, parameters.emission.n_symbols, dtype)
    engine.expect(parameters)
    return lambda: float(engine.expect(parameters).log_likelihood)


def prepare_first_e_step(
    parameters: HMMParameters,
    codes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    dtype: DTypeLike = np.float32,
) -> Callable[[], float]:
    """Lane E-step as the first iteration of a fit runs it: lays the codes out each time."""

    def e_step() -> float:
        engine = lane_engine(codes, offsets, parameters.emission.n_symbols, dtype)
        return float(engine.expect(parameters).log_likelihood)

    return e_step


def exact_em_step(
    parameters: HMMParameters, codes: NDArray[np.int32], offsets: NDArray[np.int64]
) -> HMMParameters:
    """One E-step by the exact sequential recursion and one M-step without priors."""
    return maximise(expect_exact(parameters, Sequences(codes, offsets)), parameters, Priors())


def baum_welch(
    start: HMMParameters,
    codes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    *,
    tol: float,
    n_iter: int,
) -> tuple[HMMParameters, list[float]]:
    """Plain EM from one start, without priors, guards or over-relaxation, run to convergence.

    The update is hmmlearn's (``bench/one_step.py`` checks it), on the lane E-step in float64. It
    ends when an iteration gains less than ``tol`` nats a token.

    Returns
    -------
    parameters : HMMParameters
        The last iterate.
    history : list of float
        Log likelihood of each iterate but the last, nats.
    """
    engine = lane_engine(codes, offsets, start.emission.n_symbols, np.float64)
    parameters, history = start, []
    for _ in range(n_iter):
        statistics = engine.expect(parameters)
        history.append(float(statistics.log_likelihood))
        parameters = maximise(statistics, parameters, Priors())
        if len(history) > 1 and history[-1] - history[-2] < tol * codes.size:
            break
    return parameters, history


def fit(
    codes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    n_components: int,
    n_symbols: int,
    *,
    seed: int,
    **options: Any,
) -> tuple[HMMParameters, float, CategoricalHMM]:
    """Fit the estimator with its defaults, but for ``options``; parameters, seconds and model."""
    model = CategoricalHMM(n_components, n_features=n_symbols, random_state=seed, **options)
    observed, lengths = codes[:, None], np.diff(offsets)
    begin = time.perf_counter()
    model.fit(observed, lengths=lengths)
    seconds = time.perf_counter() - begin
    parameters = HMMParameters.categorical(model.startprob_, model.transmat_, model.emissionprob_)
    return parameters, seconds, model


def fit_from(
    start: HMMParameters, codes: NDArray[np.int32], offsets: NDArray[np.int64], **options: Any
) -> tuple[HMMParameters, float, CategoricalHMM]:
    """EM of the estimator from given parameters; parameters, seconds and model."""
    n_symbols = start.emission.n_symbols
    model = CategoricalHMM(start.n_components, n_features=n_symbols, init_params="", **options)
    model.startprob_, model.transmat_ = start.startprob, start.transmat
    model.emissionprob_ = start.emission.probs
    begin = time.perf_counter()
    model.fit(codes[:, None], lengths=np.diff(offsets))
    seconds = time.perf_counter() - begin
    parameters = HMMParameters.categorical(model.startprob_, model.transmat_, model.emissionprob_)
    return parameters, seconds, model


def sticky(
    codes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    n_components: int,
    n_symbols: int,
    *,
    seed: int,
) -> HMMParameters:
    """A random start whose states last."""
    counts = count(Sequences(codes, offsets), n_symbols, SerialRunner())
    return sticky_start(n_components, counts, np.random.default_rng(seed))


def path_and_score(
    parameters: HMMParameters, codes: NDArray[np.int32]
) -> tuple[NDArray[np.int64], float]:
    """Most likely states of one sequence, and its log likelihood."""
    data = Sequences(codes, np.array([0, codes.size]))
    return find_paths(parameters, data)[0], float(log_likelihoods(parameters, data)[0])


def warm_up() -> None:
    """Compile, or load from the cache, all that a fit uses: first calls are `startup.py`'s."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 8, size=20_000).astype(np.int32)
    fit(codes, np.array([0, codes.size]), 3, 8, seed=0, n_iter=2)
