"""StepMix: latent-class analysis by EM from random posteriors, the best of several."""

import time
import warnings

import numpy as np
from numpy.typing import NDArray

N_INIT = 10


def fit(
    codes: NDArray[np.float64], n_components: int, *, seed: int, n_init: int = N_INIT
) -> tuple[float, float]:
    """Fit with StepMix's defaults but for ``n_init``: log-likelihood, seconds of the processor."""
    from stepmix import StepMix  # brings pandas and tqdm

    kind = "binary" if np.nanmax(codes) == 1 else "categorical"
    model = StepMix(
        n_components,
        measurement=kind + ("_nan" if np.isnan(codes).any() else ""),
        n_init=n_init,
        random_state=seed,
        progress_bar=0,
        verbose=0,
    )
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ten of EM's runs need not all converge
        model.fit(codes)
    seconds = time.process_time() - begin
    return float(model.score(codes)) * codes.shape[0], seconds
