"""Our models of rows of numbers, behind the same functions as `bench.rivals.hmmlearn_series`."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench.rivals.hmmlearn_series import covariance_settings, covariances
from spectral_estimators import GaussianHMM, PoissonHMM
from spectral_nn.blas import one_blas_thread
from spectral_nn.data import Sequences
from spectral_nn.emissions.gaussian import DiagonalGaussian
from spectral_nn.emissions.gaussian_full import FullGaussian
from spectral_nn.models.chains.engine import LaneEngine
from spectral_nn.models.chains.model import ChainModel
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.chains.statistics import Priors
from spectral_nn.runners.base import SerialRunner

Rows = NDArray[np.float64]
Lengths = NDArray[np.int64]


def prepare_e_step(
    covariance: str, fitted: Any, rows: Rows, lengths: Lengths, dtype: DTypeLike = np.float32
) -> Callable[[], float]:
    """E-step as every iteration of a fit runs it, rows laid out in lanes already."""
    law: Any = {"diag": DiagonalGaussian, "full": FullGaussian}[covariance]
    emission = law(np.asarray(fitted.means_), covariances(covariance, fitted))
    parameters = HMMParameters(fitted.startprob_, fitted.transmat_, emission)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    engine = LaneEngine(
        Sequences(rows, offsets),
        ChainModel(Priors(), dtype=dtype),
        n_rows=rows.shape[0],
        pad=None,
        run=SerialRunner(),
        seed=0,
    )
    engine.expect(parameters)
    # A fit limits BLAS to one thread once, not for each chunk of a step.
    return one_blas_thread()(lambda: float(engine.expect(parameters).log_likelihood))


def fit(
    rows: Rows, lengths: Lengths, n_components: int, covariance: str, *, seed: int, **options: Any
) -> tuple[Any, float]:
    """Fit with the defaults, but for ``options``: the model, and seconds of the processor."""
    if covariance == "poisson":
        model = PoissonHMM(n_components, random_state=seed, **options)
    else:
        # hmmlearn's least variance acts on its start alone, ours all along.
        settings = covariance_settings(covariance, rows.shape[1]) | {"min_covar": 0}
        model = GaussianHMM(n_components, random_state=seed, **settings, **options)
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(rows, lengths=lengths)
    return model, time.process_time() - begin


def warm_up() -> None:
    """Compile, or load from the cache, all that a fit uses: first calls are `startup.py`'s."""
    rng = np.random.default_rng(0)
    rows, lengths = rng.standard_normal((20_000, 2)), np.array([20_000])
    for covariance in ("diag", "full"):
        fit(rows, lengths, 3, covariance, seed=0, n_iter=2)
        fit(rows[:1000], lengths // 20, 3, covariance, seed=0, n_iter=2)
    fit(rng.poisson(2.0, size=(1000, 1)).astype(float), lengths // 20, 2, "poisson", seed=0)
