# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Words and graphs: two factorisations
#
# word2vec's skip-gram follows stochastic gradients for many passes; what it factorises is the
# matrix of pointwise mutual information of words and the words around them (Levy, Goldberg 2014).
# Labels that spread over a graph follow a flow, step after step; where it ends solves a linear
# system. Here the matrix is decomposed, and the system solved.
#
# 1. vectors of words of the Python manual, beside skip-gram;
# 2. labels of handwritten digits, twenty of which are known;
# 3. two spirals: where a few eigenvectors are not enough.
#
# `python -m bench embeddings embeddings_stream labels` has texts of millions of words, judgements
# by people, MNIST, and graphs of 700,000 vertices.

# %%
import os

for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA"):  # one thread for everybody, so that times compare
    os.environ[f"{pool}_NUM_THREADS"] = "1"

import re
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from gensim.models import Word2Vec
from sklearn.datasets import load_digits
from sklearn.semi_supervised import LabelSpreading as Theirs

from spectral_estimators import LabelPropagation, LabelSpreading, PMIEmbedding
from spectral_estimators.datasets import python_manual_text

plt.rcParams["figure.dpi"] = 80
warnings.simplefilter("ignore")


def timed(function):
    """What a function returns, and its seconds of the processor."""
    begin = time.process_time()
    return function(), time.process_time() - begin


# %% [markdown]
# ## Words of a manual
#
# Articles of the Python manual are a small text, a tenth of a million words. Neighbours make sense
# all the same. Skip-gram needs many passes over so little; both sides have 50 components.

# %%
paragraphs = python_manual_text().lower().split("\n\n")
documents = [re.findall("[a-z_]+", paragraph) for paragraph in paragraphs]
PMIEmbedding(2, min_count=50).fit(documents)  # compiles
model, seconds = timed(lambda: PMIEmbedding(50, random_state=0).fit(documents))
print(f"{model.n_tokens_} tokens, {model.n_words_} words: {seconds:.2f} s")
skip_grams = {}
for epochs in (5, 50):
    how = {"sg": 1, "vector_size": 50, "epochs": epochs, "workers": 1, "seed": 0}
    skip_grams[epochs], seconds = timed(lambda how=how: Word2Vec(documents, **how))
    print(f"skip-gram, {epochs} passes: {seconds:.2f} s")

# %%
for word in ("list", "raise", "float", "class"):
    print(f"{word}:")
    print("   PMI          ", ", ".join(near for near, _ in model.most_similar(word, topn=6)))
    for epochs, found in skip_grams.items():
        near = ", ".join(near for near, _ in found.wv.most_similar(word, topn=6))
        print(f"   skip-gram, {epochs:2}", near)

# %% [markdown]
# Counts stay with the model: more text adds to them, and settings can be tried without reading the
# text again.

# %%
half = len(documents) // 2
parts = PMIEmbedding(50, random_state=0).partial_fit(documents[:half])
parts.partial_fit(documents[half:])
print("in two parts the same:", np.array_equal(parts.embedding_, model.embedding_))
parts.set_params(n_components=2, eigenvalue_power=0.0).partial_fit([])
chosen = ["list", "tuple", "dict", "set", "int", "float", "str", "bytes"]
chosen += ["if", "while", "for", "try", "except", "raise", "class", "def"]
fig, ax = plt.subplots(figsize=(7, 4.5))
vectors = parts.transform(chosen)
ax.scatter(*vectors.T, s=8, color="0.6")
for word, place in zip(chosen, vectors, strict=True):
    ax.annotate(word, place, xytext=(3, 3), textcoords="offset points")
ax.set(xticks=[], yticks=[], title="two components")
plt.show()

# %% [markdown]
# ## Twenty labels
#
# Of 1,797 digits two of each kind are labelled. The graph joins each to its ten nearest.

# %%
X, digit = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
known = np.concatenate(
    [rng.choice(np.flatnonzero(digit == k), 2, replace=False) for k in range(10)]
)
labels = np.full(len(digit), -1)
labels[known] = digit[known]
unknown = labels < 0
for name, estimator in {
    "scikit-learn, spreading": Theirs("knn", n_neighbors=10, alpha=0.9, max_iter=1000),
    "spreading": LabelSpreading("knn", n_neighbors=10, alpha=0.9),
    "propagation": LabelPropagation("knn", n_neighbors=10),
    "propagation, power iteration": LabelPropagation("knn", n_neighbors=10, solver="power"),
}.items():
    _, seconds = timed(lambda estimator=estimator: estimator.fit(X, labels))
    right = (estimator.transduction_ == digit)[unknown].mean()
    print(f"{name:30} {right:.3f} right, {estimator.n_iter_:4} steps, {seconds:.2f} s")

# %% [markdown]
# ## Thin spirals
#
# Two arms, ten labels on each, and noise that nearly joins them. The solution of the linear system
# is smooth along the arms, and so needs many eigenvectors of the graph: with a few, labels leak
# from arm to arm.

# %%
rng = np.random.default_rng(1)
n = 6000
arm = np.arange(n) % 2
angle = 4 * np.pi * np.sqrt(rng.random(n)) + 1
spiral = (angle * (1 - 2 * arm))[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
spiral += 0.4 * rng.standard_normal((n, 2))
some = np.full(n, -1)
some[:20] = arm[:20]
found = {}
for name, how in {
    "solved": {},
    "10 eigenvectors": {"solver": "eigen", "n_eigenvectors": 10},
    "50 eigenvectors": {"solver": "eigen", "n_eigenvectors": 50},
}.items():
    found[name], seconds = timed(
        lambda how=how: LabelPropagation("knn", n_neighbors=10, **how).fit(spiral, some)
    )
    print(f"{name:18} {(found[name].transduction_ == arm).mean():.3f} right, {seconds:.2f} s")

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 3.8), sharey=True)
for ax, (name, estimator) in zip(axes, found.items(), strict=True):
    ax.scatter(*spiral.T, s=2, c=estimator.transduction_, cmap="coolwarm")
    ax.scatter(*spiral[:20].T, s=25, c=arm[:20], cmap="coolwarm", edgecolors="k")
    ax.set(title=name, xticks=[], yticks=[])
plt.show()
