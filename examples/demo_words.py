"""The third part of ``make demo``: parts of speech, found without labels.

Portuguese words, and seventeen states, which nobody names: anchors and what words look like on our
side, the best of three random starts on the other, both ours, at the same prior of emissions. The
states are then called by the tags of held-out words that they meet most often.
"""

from itertools import islice

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics.cluster import contingency_matrix

from bench.harness import environment
from bench.words_data import Split, portuguese, spelling, split
from bench.words_fits import Tagger, fit
from bench.words_scoring import as_estimator
from examples import demo_pictures
from examples.live_line import LiveLine

N_COMPONENTS, N_TRAIN = 17, 200_000
N_SENTENCES, WIDTH = 4, 100  # sentences that are printed, and the most characters of one
ANCHORS, RANDOM = "anchors, spelling", "random starts"


def main(line: LiveLine) -> dict[str, Figure]:
    """Fit both sides, print the scores and some sentences, draw the picture."""
    line.show("  words: compiling, the first time only")
    corpus = portuguese()
    fit(split(corpus, 0, n_train=10_000), 5, init="anchor")
    text = split(corpus, 0, n_train=N_TRAIN)
    sides = {
        ANCHORS: {"init": "anchor", "symbol_features": spelling(text.vocabulary)},
        RANDOM: {"init": "random", "n_init": 3},
    }
    taggers = {}
    for side, options in sides.items():
        line.show(f"  words: {side}")
        taggers[side] = fit(text, N_COMPONENTS, **options)
        line.end(f"  words: {side}, {taggers[side].seconds:.1f} s")
    states = {side: states_of(tagger, text) for side, tagger in taggers.items()}
    print_scores(text, taggers)
    print_sentences(text, states[ANCHORS])
    print_settings()
    return {"words": demo_pictures.words(text, taggers, states)}


def states_of(tagger: Tagger, text: Split) -> NDArray[np.int64]:
    """The most likely states of the held-out words."""
    return as_estimator(tagger.parameters).predict(text.test[:, None], text.test_lengths)


def print_scores(text: Split, taggers: dict[str, Tagger]) -> None:
    """Print how well states agree with tags, and how well words are predicted."""
    print(
        f"\n{text.train.size:,} words, {text.n_symbols:,} of them different, and no tags\n"
        f"\n{'':<28}{'seconds':>9}{'accuracy, %':>13}{'V-measure, %':>14}{'bits/word':>11}"
    )
    for side, tagger in taggers.items():
        of = tagger.score
        print(
            f"{side:<28}{tagger.seconds:>9.1f}{of.accuracy:>13.1f}{of.v_measure:>14.1f}"
            f"{of.bits:>11.3f}"
        )


def print_sentences(text: Split, states: NDArray[np.int64]) -> None:
    """Print the first sentences that fit a line, each word with its tag."""
    tags = np.unique(text.test_tags)
    names = tags[contingency_matrix(text.test_tags, states).argmax(axis=0)]
    called = names[np.unique(states, return_inverse=True)[1]]
    words = np.append(text.vocabulary, "?")[text.test]  # MISSING is -1, the last
    tokens = [
        f"{word}/{name}" if name == tag else f"{word}/{name}[{tag}]"
        for word, name, tag in zip(words, called, text.test_tags, strict=True)
    ]
    ends = np.cumsum(text.test_lengths)
    sentences = [
        " ".join(tokens[end - length : end])
        for end, length in zip(ends, text.test_lengths, strict=True)
    ]
    whole = (s for s in sentences if 70 < len(s) <= WIDTH and s.endswith("./PUNCT"))
    print("\nheld-out sentences, as anchors tag them; in brackets where linguists do otherwise")
    print(*islice(whole, N_SENTENCES), sep="\n")


def print_settings() -> None:
    """Print all that is needed to run this again."""
    versions = environment()["versions"]
    print(
        f"""
anchors   CategoricalHMM({N_COMPONENTS}, init="anchor", symbol_features=...), random_state 0
random    CategoricalHMM({N_COMPONENTS}, init="random", n_init=3), random_state 0: EM from the
          winner of a race; `python -m bench words` climbs from ten, on more texts and splits
accuracy  of held-out words, each state called by its commonest tag
bits      of held-out words that training showed; both sides have the default prior
versions  dante-corpora {versions["dante-corpora"]} (Petrogold and Porttinari)"""
    )
