"""PerSequence: rows transformed, sequences kept."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from spectral_estimators import PerSequence, Sequences


@pytest.fixture
def X(rng):
    return [rng.normal(3, 2, size=(n, 2)) for n in (4, 1, 9)]


def test_rows_are_scaled_together_and_cut_again(X):
    out = PerSequence(StandardScaler()).fit_transform(X)
    assert isinstance(out, Sequences)
    assert_array_equal(out.lengths, [4, 1, 9])
    assert_allclose(out.values.mean(axis=0), 0, atol=1e-12)
    expected = StandardScaler().fit(np.concatenate(X))
    assert_allclose(out[2], expected.transform(X[2]))


def test_inverse_and_pipeline(X):
    pipeline = make_pipeline(PerSequence(StandardScaler()), PerSequence(PCA(2)))
    back = pipeline.inverse_transform(pipeline.fit_transform(X))
    assert_allclose(back.values, np.concatenate(X))
    assert_allclose(pipeline.transform(X[:1])[0], pipeline.transform(X)[0])


def test_other_forms(X):
    scaler = PerSequence(StandardScaler()).fit(X)
    assert_allclose(scaler.transform(Sequences.from_list(X)).values, scaler.transform(X).values)
    cube = np.stack([X[0], X[0]])
    assert_array_equal(scaler.transform(cube).lengths, [4, 4])
    table = scaler.transform(X[0])
    assert isinstance(table, np.ndarray)
    assert_allclose(table, scaler.transform(X)[0])
    scalars = PerSequence(StandardScaler()).fit_transform([np.arange(3.0), np.arange(2.0)])
    assert scalars.values.shape == (5, 1)


def test_names_of_columns(X):
    scaler = PerSequence(StandardScaler()).set_output(transform="default").fit(X[0])
    assert scaler.get_feature_names_out(["a", "b"]).tolist() == ["a", "b"]
    assert scaler.n_features_in_ == 2
    scaler.set_output(transform="default")


def test_it_is_a_good_citizen(X):
    inner = StandardScaler()
    scaler = PerSequence(inner)
    assert not hasattr(scaler, "n_features_in_")
    assert scaler.get_params()["transformer__with_mean"] is True
    scaler.set_params(transformer__with_mean=False).fit(X)
    assert not hasattr(inner, "mean_")
    assert not hasattr(clone(scaler), "transformer_")
    with pytest.raises(NotFittedError):
        PerSequence(StandardScaler()).transform(X)
    assert not hasattr(PerSequence(CountVectorizer()), "set_output_")


def test_what_does_not_fit_is_refused(X):
    with pytest.raises(ValueError, match="'transformer' parameter"):
        PerSequence("scale").fit(X)
    halves = PerSequence(FunctionTransformer(lambda rows: rows[::2]))
    with pytest.raises(ValueError, match="one row for each row"):
        halves.fit(X).transform(X)
    with pytest.raises(ValueError, match=r"an array of shape \(\) of 14 rows"):
        PerSequence(FunctionTransformer(len)).fit(X).transform(X)
    with pytest.raises(ValueError, match="differ in width"):
        PerSequence(StandardScaler()).fit([np.zeros((2, 1)), np.zeros((2, 2))])
