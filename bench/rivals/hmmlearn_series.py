"""hmmlearn's ``GaussianHMM`` and ``PoissonHMM``, ``implementation="scaling"``, its own starts.

``covariance`` is "diag" or "full", or "poisson" for counts. A full covariance gets its prior as a
multiple of the identity: hmmlearn adds a plain number to every entry, off the diagonal too.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hmmlearn.hmm import GaussianHMM, PoissonHMM
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Lengths = NDArray[np.int64]

PRIOR = 1e-2  # hmmlearn's default
MIN_COVAR = 1e-3  # the same; it acts on the start alone
N_ITER = 600
TOL = 1e-2  # nats, the same


def covariance_settings(covariance: str, n_features: int) -> dict[str, Any]:
    """What both sides are told of covariances, so that they climb the same objective."""
    prior = PRIOR * np.eye(n_features) if covariance == "full" else PRIOR
    return {"covariance_type": covariance, "min_covar": MIN_COVAR, "covars_prior": prior}


def new_model(covariance: str, n_components: int, n_features: int, **settings: Any) -> Any:
    """Model that is not fitted yet."""
    if covariance == "poisson":
        return PoissonHMM(n_components, **settings)
    return GaussianHMM(n_components, **covariance_settings(covariance, n_features), **settings)


def with_parameters(covariance: str, fitted: Any, **settings: Any) -> Any:
    """Model with the parameters of a fitted one, of either side."""
    emission = fitted.lambdas_ if covariance == "poisson" else fitted.means_
    model = new_model(covariance, *emission.shape, **settings)
    model.n_features = emission.shape[1]
    model.startprob_, model.transmat_ = fitted.startprob_, _whole_rows(fitted.transmat_)
    if covariance == "poisson":
        model.lambdas_ = emission
    else:
        model.means_ = emission
        model.covars_ = covariances(covariance, fitted)
    return model


def _whole_rows(transmat: Rows) -> Rows:
    """Rows that are zero become uniform: hmmlearn leaves those of states that nothing follows."""
    K = transmat.shape[0]
    return np.where(transmat.sum(axis=1, keepdims=True) > 0, transmat, np.full((K, K), 1 / K))


def covariances(covariance: str, fitted: Any) -> Rows:
    """Variances (K, p) or covariances (K, p, p); hmmlearn shows variances as matrices."""
    found = np.asarray(fitted.covars_)
    return np.einsum("kii->ki", found) if covariance == "diag" and found.ndim == 3 else found


def prepare_e_step(
    covariance: str, fitted: Any, rows: Rows, lengths: Lengths
) -> Callable[[], float]:
    """E-step of this rival, ready to run (see :mod:`bench.rivals`)."""
    model = with_parameters(covariance, fitted, implementation="scaling")
    return lambda: float(model._do_estep(rows, lengths)[1])


def fit(
    rows: Rows,
    lengths: Lengths,
    n_components: int,
    covariance: str,
    *,
    seed: int,
    n_iter: int = N_ITER,
    tol: float = TOL,
) -> tuple[Any, float]:
    """Baum-Welch from one of hmmlearn's starts: the fitted model, and seconds of the processor.

    Where "scaling" underflows the fit is done again with "log", as hmmlearn's message advises, in
    the same time.
    """
    logging.getLogger("hmmlearn").setLevel(logging.ERROR)  # that 600 iterations did not suffice
    observed = rows.astype(np.int64) if covariance == "poisson" else rows
    settings = {"random_state": seed, "n_iter": n_iter, "tol": tol}
    begin = time.process_time()
    try:
        model = new_model(
            covariance, n_components, rows.shape[1], implementation="scaling", **settings
        ).fit(observed, lengths)
    except ValueError as error:
        if "underflow" not in str(error):
            raise
        model = new_model(covariance, n_components, rows.shape[1], **settings)
        model.fit(observed, lengths)
    return model, time.process_time() - begin


def classifier(
    recordings: Sequence[Rows], labels: NDArray[Any], n_components: int, *, seed: int, n_iter: int
) -> Callable[[Sequence[Rows]], NDArray[Any]]:
    """A diagonal model for each label, as one would loop: what labels recordings by Bayes' rule.

    Recordings are scored with "log": under the model of another label "scaling" may underflow.
    """
    classes, counts = np.unique(labels, return_counts=True)
    models = []
    for label in classes:
        mine = [rows for rows, said in zip(recordings, labels, strict=True) if said == label]
        lengths = np.array([len(rows) for rows in mine])
        model, _ = fit(
            np.concatenate(mine), lengths, n_components, "diag", seed=seed, n_iter=n_iter
        )
        model.implementation = "log"
        models.append(model)
    prior = np.log(counts / counts.sum())

    def predict(recordings: Sequence[Rows]) -> NDArray[Any]:
        scores = [[model.score(rows) for model in models] for rows in recordings]
        return classes[np.argmax(prior + np.array(scores), axis=1)]

    return predict
