"""scikit-learn's own checks of estimators."""

import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import spectral_estimators
from spectral_estimators import CategoricalHMM, PerSequence
from tests.expected_failed_checks import EXPECTED_FAILED_CHECKS

ESTIMATORS = [
    CategoricalHMM(n_components=4, n_iter=3, n_init=2, random_state=0),
    PerSequence(StandardScaler()),
]


def expected_failed_checks(estimator):
    return EXPECTED_FAILED_CHECKS[type(estimator).__name__]


@pytest.mark.filterwarnings("ignore::spectral_estimators.RankWarning")
@parametrize_with_checks(
    ESTIMATORS, expected_failed_checks=expected_failed_checks, xfail_strict=True
)
def test_check(estimator, check):
    check(estimator)


def test_every_estimator_is_checked():
    public = {
        name
        for name in spectral_estimators.__all__
        if hasattr(getattr(spectral_estimators, name), "get_params")
    }
    assert public == {type(e).__name__ for e in ESTIMATORS} == set(EXPECTED_FAILED_CHECKS)
