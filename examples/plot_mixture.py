# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Gaussian mixtures: where clusters are a bad start, and where moments are
#
# EM climbs to the optimum that it starts near. scikit-learn starts from k-means. Moments of the
# rows know nothing of local optima, but they need a model that holds. `GaussianMixture` races both.
#
# 1. planted components, of which k-means merges some and splits others;
# 2. handwritten digits, where moments are the worse start, and the race takes clusters;
# 3. the colours of a photograph: merging and splitting beyond ten restarts;
# 4. weights and missing entries;
# 5. the start from moments, for scikit-learn's own class.
#
# `python -m bench mixture_planted mixture_real` has the same with more seeds, and its bounds.

# %%
import os

for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA"):  # one thread for everybody, so that times compare
    os.environ[f"{pool}_NUM_THREADS"] = "1"

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_digits, load_sample_image
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture as Theirs

from spectral_estimators import GaussianMixture, RankError, moments_init

plt.rcParams["figure.dpi"] = 80
warnings.simplefilter("ignore")  # of steps used up, on both sides


def timed(model, X):
    """A fit, and its seconds of the processor."""
    begin = time.process_time()
    return model.fit(X), time.process_time() - begin


# %% [markdown]
# ## Planted components
#
# Twenty components in fifty columns, means about eight deviations apart: they hardly overlap.

# %%
K, p, n = 20, 50, 20_000
rng = np.random.default_rng(1)
means = rng.standard_normal((K, p)) * 8 / np.sqrt(2 * p)
labels = rng.choice(K, n, p=rng.dirichlet(np.full(K, 5.0)))
X = means[labels] + rng.standard_normal((n, p))


def gaps(found):
    """Distance of each mean from the one it is matched with."""
    distance = np.linalg.norm(found[:, None] - means, axis=2)
    rows, columns = linear_sum_assignment(distance)
    return distance[rows, columns][np.argsort(columns)]


how = {"covariance_type": "spherical"}
GaussianMixture(2).fit(X[:99])  # compiles
fits = {
    "k-means start": [timed(Theirs(K, random_state=s, **how), X) for s in range(8)],
    "n_init=10": [timed(Theirs(K, n_init=10, random_state=s, **how), X) for s in range(2)],
    "ours": [timed(GaussianMixture(K, random_state=s, **how), X) for s in range(3)],
    "moments alone": [timed(GaussianMixture(K, max_iter=0, **how), X)],
}
for name, found in fits.items():
    errors = [np.sqrt((gaps(model.means_) ** 2).mean()) for model, _ in found]
    scores = [model.score(X) for model, _ in found]
    print(
        f"{name:14} error of the means {np.mean(errors):.2f} ({min(errors):.2f}..{max(errors):.2f})"
        f"   log-likelihood {np.mean(scores):.3f}   {np.mean([s for _, s in found]):.2f} s"
    )

# %% [markdown]
# In the plane that tells most of the true means apart, a k-means start leaves some components with
# two means and others with none. EM cannot move a mean across.

# %%
plane = np.linalg.svd(means - means.mean(axis=0))[2][:2].T
fig, axes = plt.subplots(1, 2, figsize=(9, 4.4), sharex=True, sharey=True)
for ax, name in zip(axes, ("k-means start", "ours"), strict=True):
    model = fits[name][0][0]
    missed = gaps(model.means_) > 1
    ax.scatter(*(X[::10] @ plane).T, s=2, color="0.85")
    ax.scatter(*(means @ plane).T, s=90, facecolors="none", edgecolors="k", label="true means")
    ax.scatter(*(model.means_ @ plane).T, s=25, color="tab:red", marker="x", label="found")
    ax.set_title(f"{name}: {missed.sum()} of {K} means missed")
axes[0].legend(loc="best")
plt.show()

# %% [markdown]
# The eigenvalues of the covariance, in units of the noise, say how many components there are: one
# more than stand above what noise alone would reach.

# %%
report = fits["ours"][0][0].report_
fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(np.arange(1, p + 1), report.eigenvalues, ".")
ax.axhline(report.edge, color="0.5", lw=1, label="noise alone")
ax.set(yscale="log", xlabel="direction", ylabel="variance over that of the noise")
ax.legend()
plt.show()

# %% [markdown]
# ## Handwritten digits
#
# Here no component is a Gaussian. Moments alone are a poor model, and a poor start. All starts of
# the race are in `report_`, with the log-likelihoods that they came to.

# %%
digits = PCA(30, random_state=0).fit_transform(load_digits().data)
for kind in ("full", "tied", "diag", "spherical"):
    ours, seconds = timed(GaussianMixture(10, covariance_type=kind, random_state=0), digits)
    ten, of_ten = timed(Theirs(10, covariance_type=kind, n_init=10, random_state=0), digits)
    one = Theirs(10, covariance_type=kind, random_state=0).fit(digits)
    reached = {}
    for start in ours.report_.starts:
        reached[start.kind] = start.likelihood / len(digits)
    print(
        f"{kind:10} from moments {reached['tensor']:8.2f}   ours {ours.score(digits):.2f} "
        f"({ours.init_}, {seconds:.2f} s)   theirs {one.score(digits):.2f}, "
        f"n_init=10 {ten.score(digits):.2f} ({of_ten:.2f} s)"
    )

# %% [markdown]
# ## Colours of a photograph
#
# Three columns cannot carry 16 components: moments take no part. On this many rows the winner of
# the race is improved by merging two components and splitting a third, while that gains.

# %%
image = load_sample_image("flower.jpg")
pixels = image.reshape(-1, 3)[::10] / 255.0
ours, seconds = timed(GaussianMixture(16, random_state=0), pixels)
one, of_one = timed(Theirs(16, random_state=0), pixels)
ten, of_ten = timed(Theirs(16, n_init=10, random_state=0), pixels)
print(ours.report_.fault)
for name, model, took in (("ours", ours, seconds), ("theirs", one, of_one), ("ten", ten, of_ten)):
    print(f"{name:7} {model.score(pixels):.3f} nats a pixel   {took:.1f} s")

# %%
small = image[::3, ::3] / 255.0
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2))
axes[0].imshow(small)
axes[1].imshow(ours.means_[ours.predict(small.reshape(-1, 3))].reshape(small.shape))
for ax, title in zip(axes, ("pixels", "each by the mean of its component"), strict=True):
    ax.set_title(title)
    ax.axis("off")
plt.show()

# %% [markdown]
# ## Weights and missing entries
#
# A missing entry is NaN: its row counts for what is there. Here a tenth of all entries is missing,
# so that hardly a row of fifty columns is complete.

# %%
holes = np.where(rng.random(X.shape) < 0.1, np.nan, X)
print("complete rows:", np.mean(~np.isnan(holes).any(axis=1)).round(3))
weight = rng.uniform(0.5, 1.5, n)
model, seconds = timed(GaussianMixture(K, covariance_type="diag", random_state=0), holes)
print(f"error of the means {np.sqrt((gaps(model.means_) ** 2).mean()):.2f}, {seconds:.1f} s")
weighted = GaussianMixture(K, random_state=0, **how).fit(holes, sample_weight=weight)
print(f"with weights, too: {np.sqrt((gaps(weighted.means_) ** 2).mean()):.2f}")

# %% [markdown]
# ## For scikit-learn's own class
#
# `moments_init` gives its start. It raises a `RankError` where the moments do not carry so many
# components, as of means on a line.

# %%
model, seconds = timed(Theirs(K, **how, **moments_init(X, K, "spherical")), X)
print(f"error of the means {np.sqrt((gaps(model.means_) ** 2).mean()):.2f}, {model.n_iter_} steps")
line = np.outer(rng.integers(4, size=5000) * 4.0, np.ones(8)) + rng.standard_normal((5000, 8))
try:
    moments_init(line, 4)
except RankError as error:
    print(error)
