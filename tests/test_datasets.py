"""Texts, their encoding, and models drawn at random."""

import numpy as np
import pytest

from spectral_nn import datasets
from spectral_nn.models.chains.parameters import HMMParameters

TWO_SENTENCES = """\
# text = Fui na costa.
1\tFui\tir\tVERB\t_\t_\t0\troot\t_\t_
2-3\tna\t_\t_\t_\t_\t_\t_\t_\t_
2\tem\tem\tADP\t_\t_\t4\tcase\t_\t_
3\ta\to\tDET\t_\t_\t4\tdet\t_\t_
4\tcosta\tcosta\tNOUN\t_\t_\t1\tobl\t_\t_
4.1\tsilente\t_\tVERB\t_\t_\t_\t_\t_\t_
5\t.\t.\tPUNCT\t_\t_\t1\tpunct\t_\t_


# text = Sim
1\tSim\tsim\tINTJ\t_\t_\t0\troot\t_\t_
"""


def test_manual_is_there_without_any_download():
    text = datasets.python_manual_text()
    assert len(text) > 300_000
    assert "generator" in text


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


def test_contractions_are_read_as_the_words_they_stand_for(tmp_path):
    path = tmp_path / "two.conllu"
    path.write_text(TWO_SENTENCES)
    first, second = datasets.read_conllu(path)
    assert [word for word, _ in first] == ["Fui", "em", "a", "costa", "."]
    assert [tag for _, tag in first] == ["VERB", "ADP", "DET", "NOUN", "PUNCT"]
    assert second == [("Sim", "INTJ")]


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
    for rows in (model.startprob, model.transmat, model.emission.probs):
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
    for counts, rows in ((pairs, model.transmat), (emitted, model.emission.probs)):
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
    model = HMMParameters.categorical([1.0, 0.0], np.eye(2), [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    codes, states = datasets.sample_hmm(model, 1000, np.random.default_rng(0))
    assert np.all(codes == 1)
    assert np.all(states == 0)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_planted_network_is_drawn_as_said(activation, n_outputs):
    network = datasets.planted_network(
        6, 40, activation=activation, n_outputs=n_outputs, rng=np.random.default_rng(0)
    )
    (W, A), (b, c) = network.coefs, network.intercepts
    assert (W.shape, A.shape, b.shape, c.shape) == ((6, 40), (40, n_outputs), (40,), (n_outputs,))
    assert network.activation == activation
    np.testing.assert_allclose(np.linalg.norm(W, axis=0), 2.0 if activation == "tanh" else 1.0)
    assert np.abs(b).max() <= 0.5
    assert np.abs(A).min() >= 0.5
    assert np.abs(A).max() <= 1.5
    assert set(np.sign(A).ravel()) == {-1.0, 1.0}
    assert not c.any()


def test_orthonormal_network():
    network = datasets.planted_network(5, 4, kind="orthonormal", rng=np.random.default_rng(0))
    np.testing.assert_allclose(network.coefs[0].T @ network.coefs[0], np.eye(4), atol=1e-14)
    assert np.all(network.coefs[1] == 1.0)
    assert not network.intercepts[0].any()
    with pytest.raises(ValueError, match=r"n_components=6 .* n_features=5"):
        datasets.planted_network(5, 6, kind="orthonormal", rng=np.random.default_rng(0))


def test_positive_network():
    network = datasets.planted_network(5, 60, kind="positive", rng=np.random.default_rng(0))
    assert network.coefs[1].min() >= 0.5


def test_unknown_kind_of_network():
    with pytest.raises(ValueError, match="kind='negative' is unknown"):
        datasets.planted_network(5, 2, kind="negative", rng=np.random.default_rng(0))


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_noise_is_in_standard_deviations_of_each_output(n_outputs):
    network = datasets.planted_network(4, 6, n_outputs=n_outputs, rng=np.random.default_rng(0))
    (X, y), (same, signal) = (
        datasets.sample_network(network, 40_000, noise=noise, rng=np.random.default_rng(1))
        for noise in (0.2, 0.0)
    )
    np.testing.assert_array_equal(X, same)
    assert y.shape == ((40_000,) if n_outputs == 1 else (40_000, n_outputs))
    np.testing.assert_allclose((y - signal).std(axis=0) / signal.std(axis=0), 0.2, rtol=0.02)


@pytest.mark.parametrize(
    ("inputs", "kurtosis"),
    [
        ("gaussian", 3.0),
        ("uniform", 1.8),
        ("binary", 1.0),
        ("correlated", 3.0),
        ("mixture", None),
        ("heavy", None),
        ("lognormal", None),
    ],
)
def test_every_law_of_the_inputs_is_standardised(inputs, kurtosis):
    network = datasets.planted_network(3, 2, rng=np.random.default_rng(0))
    X, _ = datasets.sample_network(network, 200_000, rng=np.random.default_rng(1), inputs=inputs)
    np.testing.assert_allclose(X.mean(axis=0), 0.0, atol=0.02)
    np.testing.assert_allclose(X.var(axis=0), 1.0, atol=0.05)
    if kurtosis is not None:
        np.testing.assert_allclose((X**4).mean(axis=0), kurtosis, atol=0.1)
    covariance = np.cov(X.T)
    if inputs == "correlated":
        np.testing.assert_allclose([covariance[0, 1], covariance[0, 2]], [0.6, 0.36], atol=0.02)
    elif inputs != "mixture":
        np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=0.02)


def test_unknown_law_of_the_inputs():
    network = datasets.planted_network(3, 2, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="inputs='cauchy' is unknown"):
        datasets.sample_network(network, 9, rng=np.random.default_rng(0), inputs="cauchy")
