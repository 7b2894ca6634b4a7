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
# Two texts that nobody has explained: Portuguese, word by word, and the genome of a bacterium, codon
# by codon. A hidden Markov model reads each of them. Afterwards its states are compared with what
# linguists and biologists have written beside these texts. No fit sees a tag or a gene.
#
# On both texts, Baum-Welch from random starts finds states that say something else. The difference
# is where EM begins, so this notebook holds all else equal: the model, the prior, the data.

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
from sklearn.metrics.cluster import contingency_matrix

from spectral_estimators import CategoricalHMM, EmissionDisplay
from spectral_nn.datasets import read_conllu
from spectral_nn.metrics import bits_per_symbol

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
n_known = sum(word != UNKNOWN for sentence in test for word in sentence)
print(f"{counts.sum():,} words to learn from, {words.size:,} of them different")
print(f"{tags.size:,} held-out words, {tags.size - n_known:,} of them unknown")

# %% [markdown]
# `init="anchor"` looks for words whose neighbours are unlike those of all others, takes one for each
# state, and gives every other word the few states of which its neighbours look like a mixture. What
# a word ends in and whether it has a capital are a hint (`symbol_features`). EM finishes.
#
# Beside it is Baum-Welch: three random starts race, and EM climbs from the winner. Three and not ten,
# so that the notebook takes a minute and a half; `bench/words.py` climbs from ten. hmmlearn waits for
# the genes, as one of its steps takes seconds on an alphabet of this size. Both sides have the
# default prior of emissions. It adds pseudo-counts by the frequency of words, which are many here;
# a last fit does with a single one for each state.


# %%
def looks(word):
    """What is seen of a word without its neighbours."""
    return [word[-1:], word[-2:], word[-3:], "capital" if word[0].isupper() else "small"]


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
    table = contingency_matrix(tags, states)
    taggers[way], found[way] = tagger, states
    print(
        f"{way:32}{seconds:8.1f}{table.max(axis=0).sum() / tags.size:10.1%}"
        f"{100 * v_measure_score(tags, states):11.1f}"
        f"{bits_per_symbol(tagger.score(test), n_known):13.3f}"
    )

# %% [markdown]
# TEXT OF FIGURES

# %%
tag_names, tag_codes = np.unique(tags, return_inverse=True)


def contingency(states):
    """How often each state (a row) meets each tag (a column) in the held-out sentences."""
    table = np.zeros((K, tag_names.size))
    np.add.at(table, (states, tag_codes), 1)
    return table


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
# TEXT OF SENTENCES

# %%
figure, axes = plt.subplots(1, 2, figsize=(10.8, 5.2), layout="constrained")
by_frequency = np.argsort(np.argsort(-np.bincount(tag_codes), kind="stable"))
for ax, way in zip(axes, ("anchors", "random starts"), strict=True):
    table = contingency(found[way])
    sizes = table.sum(axis=1)
    typical = words[np.argsort(-taggers[way].emissionprob_, axis=1)[:, :3]]
    EmissionDisplay(
        table / np.maximum(sizes, 1)[:, None],
        symbols=tag_names,
        labels=[" ".join(three) for three in typical],
        order=np.lexsort([-sizes, by_frequency[table.argmax(axis=1)]]),
        weights=sizes / sizes.sum(),
    ).plot(ax=ax)
    ax.set(xlabel="", ylabel="")
    ax.set_title("")
    ax.set_title(f"{way}: {np.mean(tagged[way] == tags):.0%} right", loc="left")

# %% [markdown]
# TEXT OF CONFUSION
#
# ## Genes
#
# A gene is read in threes of bases, codons, on one of two strands, from one of three places where
# threes may begin. So a stretch of codons lies in one of seven surroundings: a gene of one of six
# reading frames, or none. Given the 347,506 codons of *Chlamydia trachomatis* as they follow each
# other from the first base on, are these seven what a model with seven states finds? The genome
# comes with the R package seqinr, which `make genomes` fetches in a checkout of this project.

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
# Defaults on our side. Beside them our Baum-Welch, five random starts in a race, and hmmlearn's, of
# which two starts get 30 steps each; `bench/genes.py` gives both more. Likelihoods are in nats a
# codon. For the accuracy, states are matched with the seven surroundings one to one, in the best way.


# %%
def matched(states):
    """States, numbered as the surroundings that they fit best; and how many codons are right."""
    table = np.zeros((7, 7))
    np.add.at(table, (states, genome.kind), 1)
    _, names = linear_sum_assignment(-table)
    return names[states], np.mean(names[states] == genome.kind)


if genome is not None:
    rivals = {
        "CategoricalHMM(7)": [CategoricalHMM(7, random_state=0)],
        "random starts": [CategoricalHMM(7, init="random", n_init=5, n_iter=300, random_state=0)],
        "hmmlearn": [
            hmm.CategoricalHMM(7, implementation="scaling", n_iter=30, random_state=seed)
            for seed in range(2)
        ],
    }
    paths = {}
    print(f"{'':20}{'seconds':>8}{'nats a codon':>14}{'accuracy':>10}   chance to stay in a state")
    for name, models in rivals.items():
        fits = [timed_fit(model, genome.codons[:, None]) for model in models]
        best = max((model for model, _ in fits), key=lambda model: model.monitor_.history[-1])
        paths[name], right = matched(best.predict(genome.codons[:, None]))
        nats = best.score(genome.codons[:, None]) / genome.codons.size
        stay = " ".join(f"{p:.2f}" for p in np.sort(best.transmat_.diagonal())[::-1])
        print(f"{name:20}{sum(s for _, s in fits):8.1f}{nats:14.4f}{right:10.1%}   {stay}")

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
    draw_frames(axes[0], genome.kind[stretch], "annotated genes, in their reading frames")
    draw_frames(axes[1], paths["CategoricalHMM(7)"][stretch], "CategoricalHMM(7)")
    draw_frames(axes[2], paths["random starts"][stretch], "random starts")
    axes[2].set_xlabel("codons")

# %% [markdown]
# TEXT OF GENES
