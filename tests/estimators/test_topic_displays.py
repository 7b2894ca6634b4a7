"""Pictures of topics: the words drawn are the likeliest ones, on the axes that were given."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.decomposition import LatentDirichletAllocation as Theirs

from spectral_estimators import LatentDirichletAllocation, SpectrumDisplay, TopicsDisplay

K, V = 6, 40
WORDS = [f"w{v}" for v in range(V)]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def documents():
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(V, 0.1), K)
    return rng.multinomial(60, rng.dirichlet(np.full(K, 0.3), 1000) @ topics)


@pytest.fixture(scope="module")
def lda(documents):
    return LatentDirichletAllocation(K, random_state=0).fit(documents)


def draw(display):
    display.figure_.canvas.draw()
    return display


def labels(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def widths(ax):
    return [bar.get_width() for bar in ax.patches]


def test_bars_are_the_likeliest_words(lda):
    display = draw(TopicsDisplay.from_estimator(lda, feature_names=WORDS, n_words=7))
    probabilities = lda.components_ / lda.components_.sum(axis=1, keepdims=True)
    assert_allclose(display.topics, probabilities)
    assert len(display.axes_) == K
    assert len({ax.get_xlim() for ax in display.axes_}) == 1
    for topic, ax in enumerate(display.axes_):
        order = np.argsort(-probabilities[topic], kind="stable")[:7]
        assert labels(ax) == display.words_[topic] == [WORDS[v] for v in order]
        assert_allclose(widths(ax), probabilities[topic, order])
        assert ax.get_title(loc="left") == f"topic {topic}"
        low, high = ax.get_ylim()
        assert low > high  # the likeliest is on top
    shown = [ax for ax in display.figure_.axes if ax.get_visible()]
    assert shown == display.axes_  # of two rows of panels, four are spare


def test_some_topics_on_given_axes(lda):
    _, axes = plt.subplots(1, 2)
    display = draw(TopicsDisplay.from_estimator(lda, topics=[4, 1], ax=axes))
    assert display.axes_ == list(axes)
    assert [ax.get_title(loc="left") for ax in axes] == ["topic 4", "topic 1"]
    assert labels(axes[0])[0] == str(lda.components_[4].argmax())
    _, ax = plt.subplots()
    assert TopicsDisplay.from_estimator(lda, topics=[0], ax=ax).axes_ == [ax]
    with pytest.raises(ValueError, match="ax must be 6 axes"):
        TopicsDisplay.from_estimator(lda, ax=ax)


def test_titles_carry_coherence(documents, lda):
    X = sparse.csr_array(documents)
    display = draw(TopicsDisplay.from_estimator(lda, X, topics=[2, 0], n_words=5))
    assert_allclose(display.coherence, lda.coherence(X, n_words=5)[[2, 0]])
    title = display.axes_[0].get_title(loc="left")
    assert title == f"topic 2\ncoherence {display.coherence[0]:.2f}"


def test_names_of_a_data_frame(documents):
    frame = pd.DataFrame(documents, columns=WORDS)
    lda = LatentDirichletAllocation(K, max_iter=2, random_state=0).fit(frame)
    display = TopicsDisplay.from_estimator(lda, frame, topics=[0])
    assert display.words_[0][0] == WORDS[lda.components_[0].argmax()]


def test_others_models_and_plain_arrays(documents):
    theirs = Theirs(2, max_iter=1, random_state=0).fit(documents)
    display = draw(TopicsDisplay.from_estimator(theirs, documents))
    assert_allclose(display.topics.sum(axis=1), 1)
    few = draw(TopicsDisplay([[3, 1]], feature_names=["$a", "b$"], names=["money"]).plot())
    assert few.words_ == [["$a", "b$"]]  # no formula, and no more words than there are
    assert few.axes_[0].get_title(loc="left") == "money"
    assert widths(few.axes_[0]) == [0.75, 0.25]


def test_bad_arguments_are_named(documents, lda):
    draw = TopicsDisplay.from_estimator
    with pytest.raises(ValueError, match="has no components_"):
        draw(LatentDirichletAllocation())
    for topics in ([6], [-1], []):
        with pytest.raises(ValueError, match=r"topics must be some of the topics 0 \.\. 5"):
            draw(lda, topics=topics)
    with pytest.raises(ValueError, match=r"feature_names needs 40 words.*got 2"):
        draw(lda, feature_names=["a", "b"])
    with pytest.raises(ValueError, match="n_words must be at least 1, got 0"):
        draw(lda, n_words=0)
    with pytest.raises(ValueError, match="X has 39 words, but topics are of 40"):
        draw(lda, documents[:, 1:])
    with pytest.raises(ValueError, match="a row for each topic"):
        TopicsDisplay([0.5, 0.5])
    with pytest.raises(ValueError, match="coherence needs 1 entries"):
        TopicsDisplay([[0.5, 0.5]], coherence=[0.1, 0.2])


def test_spectrum_of_topics(documents, lda):
    display = draw(SpectrumDisplay.from_estimator(lda))
    assert_array_equal(display.singular_values, lda.report_.eigenvalues)
    assert (display.n_components, display.n_workable) == (K, lda.report_.workable)
    text = display.ax_.texts[0].get_text()
    assert f"{K} in use" in text
    assert f"{display.n_workable} workable" in text
    n_drawn = (display.singular_values > 0).sum()
    (shade,) = display.ax_.patches
    assert shade.get_x() == min(display.n_workable + 0.5, n_drawn + 0.6)
    auto = LatentDirichletAllocation("auto", max_iter=1, random_state=0).fit(documents)
    assert SpectrumDisplay.from_estimator(auto).n_components == len(auto.components_)
    random = LatentDirichletAllocation(K, init="random", max_iter=1, random_state=0)
    with pytest.raises(ValueError, match="init='tensor'"):
        SpectrumDisplay.from_estimator(random.fit(np.ones((3, V), dtype=int)))
