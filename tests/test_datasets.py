"""Texts, their encoding, and models drawn at random."""

import numpy as np
import pytest

from spectral_nn import datasets
from spectral_nn.models.hmm.parameters import HMMParameters


def test_manual_is_there_without_any_download():
    text = datasets.python_manual_text()
    assert len(text) > 300_000
    assert "generator" in text


def test_docstrings_are_read_without_tests_of_the_package():
    text = datasets.docstring_text("joblib")
    assert "Parallel" in text
    assert "def " not in text[:200]


def test_descriptions():
    assert "iris" in datasets.dataset_descriptions().lower()


@pytest.mark.parametrize("read", [datasets.docstring_text])
def test_missing_package_is_named(read):
    with pytest.raises(ModuleNotFoundError, match=r"'no_such_package'.*pip install"):
        read("no_such_package")


def test_alphabet_of_rich_text_has_36_symbols():
    codes, alphabet = datasets.encode_characters(datasets.python_manual_text())
    assert len(alphabet) == len(set(alphabet)) == 36
    assert codes.dtype == np.int32
    assert codes.min() == 0
    assert codes.max() == 35


def test_encoding_with_a_given_alphabet_sends_strangers_to_the_last_symbol():
    _, alphabet = datasets.encode_characters("a, b.")
    codes, same = datasets.encode_characters("A\t\n9é#\U0001f600", alphabet)
    assert same == alphabet
    assert [alphabet[code] for code in codes] == ["a", " ", "0", *datasets.OTHER * 3]


def test_alphabet_without_a_symbol_for_the_rest_is_refused():
    with pytest.raises(ValueError, match="U\\+FFFD"):
        datasets.encode_characters("abc", "abc")


def test_empty_text():
    codes, _ = datasets.encode_characters("")
    assert codes.shape == (0,)


def test_split_holds_out_what_follows():
    train, held_out, alphabet = datasets.split_text("ab  ab\nab " * 30, 60, 1000)
    assert train.size == 60
    assert held_out.size == 30 * 9 - 1 - 60  # white space squeezed, none at the end
    assert alphabet[train[0]] == "a"
    assert len(alphabet) > max(train.max(), held_out.max())


def test_split_that_holds_out_nothing_is_refused():
    with pytest.raises(ValueError, match="n_train=10 leaves 0 characters"):
        datasets.split_text("0123456789", 10, 5)


@pytest.mark.parametrize("stay", [None, 0.0, 0.95])
def test_planted_model_is_a_model(stay):
    model = datasets.planted_hmm(4, 9, stay=stay, rng=np.random.default_rng(0))
    for rows in (model.startprob, model.transmat, model.emissionprob):
        assert np.all(rows >= 0)
        np.testing.assert_allclose(rows.sum(axis=-1), 1.0, rtol=1e-14)
    if stay is not None:
        np.testing.assert_allclose(np.diag(model.transmat), stay)
    np.testing.assert_allclose(model.startprob @ model.transmat, model.startprob, atol=1e-14)


def test_single_state_cannot_stay():
    with pytest.raises(ValueError, match="n_components=1"):
        datasets.planted_hmm(1, 3, stay=0.5, rng=np.random.default_rng(0))


def test_samples_follow_the_model():
    rng = np.random.default_rng(0)
    model = datasets.planted_hmm(3, 5, rng=rng)
    codes, states = datasets.sample_hmm(model, 20_000, rng, n_sequences=3)
    assert codes.shape == states.shape == (3, 20_000)
    pairs, emitted = np.zeros((3, 3)), np.zeros((3, 5))
    np.add.at(pairs, (states[:, :-1], states[:, 1:]), 1)
    np.add.at(emitted, (states, codes), 1)
    for counts, rows in ((pairs, model.transmat), (emitted, model.emissionprob)):
        totals = counts.sum(axis=1, keepdims=True)
        assert np.all(np.abs(counts / totals - rows) < 5 * np.sqrt(0.25 / totals))


def test_sampling_depends_on_the_generator_alone():
    model = datasets.planted_hmm(3, 5, rng=np.random.default_rng(0))
    first, again = (
        datasets.sample_hmm(model, 50, np.random.default_rng(1), n_sequences=2)[0] for _ in "ab"
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first[0] != first[1])


def test_impossible_symbols_are_never_sampled():
    model = HMMParameters([1.0, 0.0], np.eye(2), [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    codes, states = datasets.sample_hmm(model, 1000, np.random.default_rng(0))
    assert np.all(codes == 1)
    assert np.all(states == 0)
