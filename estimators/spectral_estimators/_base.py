"""The base of all estimators: saved models remember which version of spectral-nn saved them."""

import warnings
from typing import Any

from sklearn.base import BaseEstimator

from spectral_nn import __version__

__all__ = ["ModelVersionWarning", "SpectralEstimator"]

_SAVED_BY = "_spectral_nn_version"
"""Key of the version in the state of a saved model; no attribute of an estimator."""


class ModelVersionWarning(UserWarning):
    """A model was saved by another version of spectral-nn than the one that loads it.

    The message names the class, both versions and what to do. What the model answers may differ
    from what it answered when it was saved, or its methods may fail.

    See Also
    --------
    spectral_estimators.RankWarning : Another warning of this package.
    sklearn.exceptions.InconsistentVersionWarning : That of scikit-learn, of its own version.

    Examples
    --------
    >>> import pickle, warnings
    >>> from spectral_estimators import GaussianHMM, ModelVersionWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ModelVersionWarning)
    ...     model = pickle.loads(pickle.dumps(GaussianHMM(2)))
    """


class SpectralEstimator(BaseEstimator):
    """Base of all estimators: the state that is saved has the version of spectral-nn.

    pickle, joblib, copy and skops all ask for the state and set it by the two methods below.
    scikit-learn notes its own version in the same way, for its own classes alone.
    """

    def __getstate__(self) -> dict[str, Any]:
        """What is saved: the attributes, and the version of spectral-nn."""
        return {**super().__getstate__(), _SAVED_BY: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what was saved.

        Warns
        -----
        ModelVersionWarning
            If another version saved it, or one that did not note which it was.
        """
        attributes = dict(state)
        saved_by = attributes.pop(_SAVED_BY, None)
        super().__setstate__(attributes)
        if saved_by != __version__:
            name = type(self).__name__
            version = f"spectral-nn {saved_by}" if saved_by else "an unknown version of spectral-nn"
            advice = f", or load it with {version}" if saved_by else ""
            warnings.warn(
                f"This {name} was saved by {version}, and spectral-nn {__version__} loads it: its "
                "results may differ from those it had, or its methods may fail. Fit it again with "
                f"spectral-nn {__version__}{advice}.",
                ModelVersionWarning,
                stacklevel=2,
            )
