"""sequentia's ``HMMClassifier``: one of hmmlearn's models for each label.

``GaussianMixtureHMM`` with one component a state is hmmlearn's ``GMMHMM``. Its prior of variances,
an inverse gamma law, is given the parameters at which it adds as much as that of ``GaussianHMM``.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.rivals.hmmlearn_series import MIN_COVAR, PRIOR, TOL

Rows = NDArray[np.float64]


def classifier(
    recordings: Sequence[Rows], labels: NDArray[Any], n_components: int, *, seed: int, n_iter: int
) -> Callable[[Sequence[Rows]], NDArray[Any]]:
    """As of `bench.rivals.hmmlearn_series`; without a topology starts are hmmlearn's."""
    # Brings pydantic: loaded by those who ask for it.
    from sequentia.models.hmm import GaussianMixtureHMM, HMMClassifier

    logging.getLogger("hmmlearn").setLevel(logging.ERROR)  # that n_iter did not suffice
    settings = {
        "n_states": n_components,
        "n_components": 1,
        "covariance": "diag",
        "topology": None,
        "random_state": seed,
        "hmmlearn_kwargs": {
            "n_iter": n_iter,
            "tol": TOL,
            "min_covar": MIN_COVAR,
            "covars_prior": -1.5,  # flat
            "covars_weight": PRIOR / 2,
            "init_params": "stmcw",
            "params": "stmcw",
            "implementation": "scaling",
        },
    }
    model = HMMClassifier(variant=GaussianMixtureHMM, model_kwargs=settings, prior="frequency")
    model.fit(np.concatenate(recordings), labels, lengths=_lengths(recordings))

    def predict(recordings: Sequence[Rows]) -> NDArray[Any]:
        return model.predict(np.concatenate(recordings), lengths=_lengths(recordings))

    return predict


def _lengths(recordings: Sequence[Rows]) -> NDArray[np.int64]:
    return np.array([len(rows) for rows in recordings])
