"""hmmlearn's ``CategoricalHMM`` with ``implementation="scaling"``, the faster of its two.

Its default, ``"log"``, is five to seven times slower. ``tol`` is left at its default of 0.01 nats,
unless said otherwise, so a restart stops early where hmmlearn itself would.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from hmmlearn.base import ConvergenceMonitor
from hmmlearn.hmm import CategoricalHMM
from numpy.typing import NDArray

from spectral_nn.models.chains.parameters import HMMParameters


class TellingMonitor(ConvergenceMonitor):
    """hmmlearn's own monitor and criterion, which also tells (iteration, log likelihood)."""

    def __init__(self, model: CategoricalHMM, on_step: Callable[[int, float], None]) -> None:
        super().__init__(model.tol, model.n_iter, model.verbose)
        self._on_step = on_step

    def report(self, log_prob: float) -> None:
        """Take note of one iteration."""
        super().report(log_prob)
        self._on_step(self.iter, log_prob)


def model_of(
    parameters: HMMParameters, implementation: str = "scaling", n_iter: int = 10
) -> CategoricalHMM:
    """Model with given parameters, which a fit starts from instead of drawing its own."""
    model = CategoricalHMM(
        parameters.n_components,
        n_features=parameters.emission.n_symbols,
        implementation=implementation,
        init_params="",
        n_iter=n_iter,
    )
    model.startprob_ = parameters.startprob.copy()
    model.transmat_ = parameters.transmat.copy()
    model.emissionprob_ = parameters.emission.probs.copy()
    return model


def parameters_of(model: CategoricalHMM) -> HMMParameters:
    """Parameters of a fitted model."""
    return HMMParameters.categorical(model.startprob_, model.transmat_, model.emissionprob_)


def prepare_e_step(
    parameters: HMMParameters,
    codes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    implementation: str = "scaling",
) -> Callable[[], float]:
    """E-step of this rival, ready to run (see :mod:`bench.rivals`)."""
    model = model_of(parameters, implementation)
    observed, lengths = codes[:, None].astype(np.int64), np.diff(offsets)

    def e_step() -> float:
        return float(model._do_estep(observed, lengths)[1])

    return e_step


def fit(
    codes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    n_components: int,
    n_symbols: int,
    *,
    n_init: int,
    n_iter: int,
    seed: int,
    start: HMMParameters | None = None,
    on_step: Callable[[int, float], None] | None = None,
    **options: Any,
) -> tuple[HMMParameters, float, list[float]]:
    """Baum-Welch from ``n_init`` of hmmlearn's random starts (see :mod:`bench.rivals`).

    Restart r has ``random_state=seed + r``. A restart is ranked by the likelihood that its monitor
    saw last, one iteration old, which costs no extra pass. ``on_step`` is told (iteration, log
    likelihood) as it goes. ``options`` are hmmlearn's own, of random starts.
    """
    observed, lengths = codes[:, None].astype(np.int64), np.diff(offsets)
    models = []
    begin = time.perf_counter()
    for restart in range(1 if start is not None else n_init):
        if start is not None:
            model = model_of(start, n_iter=n_iter)
        else:
            model = CategoricalHMM(
                n_components,
                n_features=n_symbols,
                implementation="scaling",
                n_iter=n_iter,
                random_state=seed + restart,
                **options,
            )
        if on_step is not None:
            model.monitor_ = TellingMonitor(model, on_step)
        models.append(model.fit(observed, lengths))
    scores = [float(model.monitor_.history[-1]) for model in models]
    best = models[int(np.argmax(scores))]
    return parameters_of(best), time.perf_counter() - begin, scores
