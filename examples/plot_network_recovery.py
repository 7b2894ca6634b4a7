# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Hidden units found again, by moments and by backpropagation
#
# Somebody builds a network with one hidden layer and hands out noisy rows of it. Can the weights be
# found again? Backpropagation starts anywhere and goes downhill. The method of moments looks at the
# averages of $y$, $y\,x$, $y\,x x^\top$, $y\,x\otimes x\otimes x$ and so on first: for inputs near
# to Gaussian these are sums of one term a hidden unit, and a tensor decomposition takes such sums
# apart. What it finds is a start, which L-BFGS then refines.
#
# 1. what the moments see before anything is fitted;
# 2. ReLU units: where the start matters;
# 3. how many rows it takes;
# 4. tanh units: where random starts do as well;
# 5. the textbook algorithm, and what signs do to it;
# 6. a real table, where it is a tie;
# 7. what the estimator says when it doubts itself.

# %%
import os

for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA"):  # one thread for everybody, so that times compare
    os.environ[f"{pool}_NUM_THREADS"] = "1"

import time
import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from matplotlib.ticker import FuncFormatter
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import ShuffleSplit, cross_val_score
from sklearn.neural_network import MLPRegressor as ScikitMLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spectral_estimators import LossDisplay, MLPRegressor, RecoveryDisplay, SpectrumDisplay
from spectral_estimators.datasets import planted_network, sample_network
from spectral_estimators.metrics import direction_angles

plt.rcParams["figure.dpi"] = 80
OURS, THEIRS, GREY = "#2b6ca3", "#c8642b", "#8a949e"


def draw(d, k, n, seed, noise=0.05, **options):
    """A planted network, rows of it, and test rows without noise."""
    rng = np.random.default_rng(seed)
    inputs = options.pop("inputs", "gaussian")
    network = planted_network(d, k, rng=rng, **options)
    X, y = sample_network(network, n, noise=noise, rng=rng, inputs=inputs)
    X_test, y_test = sample_network(network, 20_000, noise=0.0, rng=rng, inputs=inputs)
    return network, X, y, X_test, y_test


def timed_fit(model, X, y):
    """Fit without the warnings, which have a section of their own."""
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    return model, time.perf_counter() - begin


def worst_angle(model, network):
    return direction_angles(model.coefs_[0], network.coefs[0]).max()


_ = timed_fit(
    MLPRegressor(hidden_layer_sizes=(2,)), *draw(4, 2, 500, 0)[1:3]
)  # loads what is loaded late

# %% [markdown]
# ## What the moments see
#
# Ten ReLUs of thirty inputs: unit weights in random directions, biases within ±0.5, output weights
# of either sign between 0.5 and 1.5, and noise of 5 % of the signal's standard deviation. Singular
# values of the moments tell how many directions $y$ depends on. The line is what the moments of
# pure noise reach; it is measured, by giving the residuals random signs.

# %%
network, X, y, X_test, y_test = draw(d=30, k=10, n=30_000, seed=0)
auto, _ = timed_fit(MLPRegressor(hidden_layer_sizes="auto", random_state=0), X, y)

figure, axes = plt.subplots(1, 2, figsize=(10.4, 3.5), layout="constrained", sharey=True)
SpectrumDisplay.from_estimator(auto, ax=axes[0])
axes[0].set_title("30,000 rows")
few, _ = timed_fit(
    MLPRegressor(hidden_layer_sizes=(10,), max_iter=0, random_state=0), X[:3000], y[:3000]
)
SpectrumDisplay.from_estimator(few, ax=axes[1])
axes[1].set(title="3,000 rows", ylabel="")
values = np.concatenate([net.report_.singular_values for net in (auto, few)])
axes[0].set_ylim(values.min() / 2, values.max() * 2)
print(f'hidden_layer_sizes="auto" takes {auto.n_components_} units')

# %% [markdown]
# With 30,000 rows, `hidden_layer_sizes="auto"` reads the width off the picture. With 3,000 the
# weaker units are under water, and the width has to come from elsewhere, or from patience.
#
# ## ReLU units: where the start matters
#
# Three planted networks. One fit from moments; three fits each from random starts, by the same
# estimator with `init="random"` and by scikit-learn, of which the one with the least training loss
# counts. Everyone has ten units, L-BFGS, at most 200 iterations, `alpha=1e-4` and one thread.
# *Found* means R² above .999 on 20,000 fresh rows without noise. (`make demo` allows five restarts,
# `make bench` counts over twenty networks.)

# %%
STARTS = 3


def tensor(seed, width=10, **options):
    return MLPRegressor(
        hidden_layer_sizes=(width,), init="tensor", max_iter=200, random_state=seed, **options
    )


def backprop(seed, width=10, **options):
    return MLPRegressor(
        hidden_layer_sizes=(width,), init="random", max_iter=200, random_state=seed, **options
    )


def scikit(seed, width=10, **options):
    return ScikitMLPRegressor(
        hidden_layer_sizes=(width,), solver="lbfgs", max_iter=200, random_state=seed, **options
    )


print(f"scikit-learn {sklearn.__version__}\n")
print(f"{'':10}{'':34}{'seconds':>8}{'test R²':>10}{'largest angle':>15}{'found':>8}")
kept = {}
for seed in range(3):
    data = draw(d=30, k=10, n=30_000, seed=seed)
    for name, make, n_starts in (
        ('init="tensor"', tensor, 1),
        (f'init="random", best of {STARTS}', backprop, STARTS),
        (f"scikit-learn, best of {STARTS}", scikit, STARTS),
    ):
        fits = [timed_fit(make(start), *data[1:3]) for start in range(n_starts)]
        best = min((model for model, _ in fits), key=lambda model: model.loss_)
        kept[seed, name] = [model for model, _ in fits], best
        r2 = r2_score(data[4], best.predict(data[3]))
        seconds = sum(seconds for _, seconds in fits)
        label = f"network {seed}" if n_starts == 1 else ""
        angle = worst_angle(best, data[0])
        found = "yes" if r2 > 0.999 else "no"
        print(f"{label:10}{name:34}{seconds:8.2f}{r2:10.5f}{angle:14.2f}°{found:>8}")

# %%
names = [name for seed, name in kept if seed == 0]
_ = RecoveryDisplay.from_estimators({name: kept[0, name][1] for name in names}, network.coefs[0])

# %% [markdown]
# One dot a hidden unit: the angle between its true weights and the learned ones that they are
# matched to. The dashed line is where directions drawn at random would lie.
#
# Where does the time go? The dotted line before the hollow dot is spent on moments, their
# decomposition and a short race between starts; what comes after it is L-BFGS. Restarts are drawn
# one after another, the thick line is the best so far. (scikit-learn keeps no curve with this
# solver.)

# %%
curves = {name: kept[0, name][0] for name in names[:2]}
_ = LossDisplay.from_estimators(curves, time_scale="linear").ax_.set_title("Network 0")

# %% [markdown]
# A random start is not hopeless, only a lottery: some end where the planted network is, and more
# iterations or more restarts buy more tickets. Moments need one.
#
# ## How many rows it takes
#
# The rule that the estimator warns by is $n \ge 5\,d\,k^2$: here $d=20$, $k=5$, so 2,500 rows.
# Angles of the start alone (`max_iter=0`, the pure method of moments) and after refinement:

# %%
sizes = [500, 1000, 2500, 5000, 10_000, 30_000, 100_000]
angles = {"moments alone": [], "moments, refined": [], "one random start, refined": []}
for n in sizes:
    for seed in range(3):
        teacher, X_n, y_n, *_ = draw(d=20, k=5, n=n, seed=seed)
        for name, options in (
            ("moments alone", {"max_iter": 0}),
            ("moments, refined", {}),
            ("one random start, refined", {"init": "random"}),
        ):
            model, _ = timed_fit(
                MLPRegressor(hidden_layer_sizes=(5,), random_state=seed, **options), X_n, y_n
            )
            angles[name].append(worst_angle(model, teacher))

# %%
figure, ax = plt.subplots(figsize=(7.6, 4), layout="constrained")
for (name, values), colour in zip(angles.items(), (GREY, OURS, THEIRS), strict=True):
    table = np.reshape(values, (len(sizes), 3))
    ax.plot(sizes, table, "o", color=colour, alpha=0.35, markersize=5, markeredgewidth=0)
    ax.plot(sizes, np.median(table, axis=1), color=colour, linewidth=2)
    ax.annotate(
        name,
        (sizes[-1], np.median(table[-1])),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        color=colour,
    )
ax.axvline(5 * 20 * 5**2, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
ax.text(5 * 20 * 5**2 * 1.06, 0.13, "5 d k²", color=GREY)
guide = np.array([10_000, 100_000])
ax.plot(guide, 0.3 * (guide / 1e4) ** -0.5, color="#333333", linewidth=0.8)
ax.text(1.4e4, 0.12, "slope -½", fontsize=9, color="#333333")
ax.set(xscale="log", yscale="log", xlabel="rows", ylabel="largest angle, degrees")
ax.set_title("Three networks a size; lines are medians", loc="left")
for axis, form in ((ax.xaxis, "{:,.0f}"), (ax.yaxis, "{:g}")):
    axis.set_major_formatter(FuncFormatter(lambda value, _, form=form: form.format(value)))
ax.spines[["top", "right"]].set_visible(False)
ax.grid(axis="y", color="#e8eaed")

# %% [markdown]
# Moments by themselves are never sharp: tens of degrees with few rows, and still some degrees with
# many. They need only be good enough for the refinement to fall into the right valley, which here
# happens with fewer rows than the rule asks for, though not every time; from there on the error
# shrinks with the square root of the rows, as it does for any sound estimate.
#
# ## tanh units: random starts do as well
#
# The same comparison with tanh units (weights of length 2, 20,000 rows): one fit from moments, five
# from random starts.

# %%
print(f"{'':12}{'from moments':>27}{'from random starts':>32}")
print(f"{'':12}{'seconds':>9}{'angle':>8}{'found':>10}{'seconds each':>16}{'angle':>8}{'found':>8}")
for seed in range(4):
    data = draw(d=30, k=10, n=20_000, seed=seed, activation="tanh")

    def judge(make, start, data=data):
        model, seconds = timed_fit(make(start, activation="tanh"), *data[1:3])
        found = r2_score(data[4], model.predict(data[3])) > 0.999
        return seconds, worst_angle(model, data[0]), found

    seconds, angle, found = judge(tensor, 0)
    others = np.array([judge(backprop, start) for start in range(5)])
    print(
        f"network {seed:<4}{seconds:9.2f}{angle:7.2f}°{'yes' if found else 'no':>10}"
        f"{others[:, 0].mean():16.2f}{np.median(others[:, 1]):7.2f}°{others[:, 2].sum():6.0f}/5"
    )

# %% [markdown]
# (The angle of random starts is a median.) Here a random start is no lottery: most of them find the
# network, in about half of the time. There is little for moments to gain, and there are tanh
# networks on which they are the worse start. For these there is the race:
# `init="tensor"` lets its starts run against random ones for 15 steps, keeps what is best on rows
# held out, and says who it was in `init_` and in `report_.winner`.
#
# ## The textbook algorithm, and what signs do to it
#
# `init="nn-lift"` is the algorithm of Janzamin, Sedghi and Anandkumar (2016): third moments only,
# whitened, then one direction after another by the tensor power method. Whitening needs a matrix
# that is positive definite, and a third moment of a ReLU has the sign of its output weight times
# its bias. So its home ground is orthogonal units with one sign and one bias; then come the
# networks from above, of all signs. No refinement here, on either side: `max_iter=0`.


# %%
def teachers(ground):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        if ground == "mixed":
            yield planted_network(15, 5, rng=rng), rng
        else:
            network = planted_network(15, 5, kind="orthonormal", rng=rng)
            yield replace(network, intercepts=(np.ones(5), np.zeros(1))), rng


rows = {}
for ground in ("home ground", "mixed"):
    for init in ("tensor", "nn-lift"):
        found = []
        for teacher, rng in teachers(ground):
            X_s, y_s = sample_network(teacher, 100_000, rng=rng)
            model, _ = timed_fit(
                MLPRegressor(hidden_layer_sizes=(5,), init=init, max_iter=0), X_s, y_s
            )
            found.append(direction_angles(model.coefs_[0], teacher.coefs[0]))
        rows[f"{ground}, {init}"] = np.concatenate(found)
        print(f"{ground:13}{init:9}mean angle {np.mean(found):5.1f}°")

# %%
display = RecoveryDisplay(rows).plot()
_ = display.ax_.set_title("The start alone, three networks of five ReLUs each")

# %% [markdown]
# All orders decomposed together do not care about signs; each unit has a free weight in each order.
#
# ## A real table: a tie
#
# 442 patients, ten measurements, the progress of diabetes a year later. Ten random splits with a
# quarter held out, all columns standardised by the training part, twenty ReLUs, with hardly any
# penalty and with a strong one.

# %%
X_real, y_real = load_diabetes(return_X_y=True)
splits = ShuffleSplit(10, test_size=0.25, random_state=0)
scores = {}
for alpha in (1e-4, 10.0):
    for name, make in (
        ('init="tensor"', tensor),
        ('init="random"', backprop),
        ("scikit-learn", scikit),
    ):
        scores[alpha, name] = make(0, width=20, alpha=alpha)
scores["", "ridge regression"] = RidgeCV(np.logspace(-2, 3, 11))
for key, model in scores.items():
    pipeline = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), model), transformer=StandardScaler()
    )
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores[key] = cross_val_score(pipeline, X_real, y_real, cv=splits)
    alpha, name = key
    print(
        f"{name:18}{f'alpha={alpha:g}' if alpha else '':14}"
        f"R² {scores[key].mean():6.3f} ± {scores[key].std():.3f}"
        f"{time.perf_counter() - begin:8.1f} s"
    )

# %%
figure, ax = plt.subplots(figsize=(7.6, 3.2), layout="constrained")
for row, ((_, name), values) in enumerate(scores.items()):
    colour = {'init="tensor"': OURS, 'init="random"': THEIRS}.get(name, GREY)
    ax.plot(values, np.full(len(values), row), "o", color=colour, alpha=0.5, markersize=7)
    ax.plot(values.mean(), row, "|", color="#333333", markersize=16)
ax.set_yticks(
    range(len(scores)), [f"{name}  {alpha:g}" if alpha else name for alpha, name in scores]
)
ax.invert_yaxis()
ax.set_xlabel("R² on held-out patients (bar: mean); the number is alpha")
ax.set_title("Ten splits each: where the start comes from makes no difference", loc="left")
ax.spines[["top", "right", "left"]].set_visible(False)
ax.tick_params(axis="y", length=0)
ax.grid(axis="y", color="#e8eaed")

# %% [markdown]
# The penalty makes all the difference, the start none: the three agree to far less than one split
# differs from another, and a straight line is about as good as any network. No network made these
# data, so there is nothing to recover. On everyday tables expect the same loss from moments as from
# random starts, and no less time: with few rows the decomposition costs much more than the fit.
#
# ## What the estimator says when it doubts itself


# %%
def said(what, model, X, y):
    """Print what a fit has to say."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(X, y)
        except ValueError as error:
            caught = [type("Caught", (), {"category": ValueError, "message": error})]
    print(f"--- {what}")
    for one in caught:
        print(f"{one.category.__name__}: {one.message}")
    print()


said(
    "600 rows for ten units",
    MLPRegressor(hidden_layer_sizes=(10,), random_state=0),
    X[:600],
    y[:600],
)
_, X_heavy, y_heavy, *_ = draw(d=10, k=3, n=10_000, seed=0, inputs="lognormal")
said("skewed inputs", MLPRegressor(hidden_layer_sizes=(3,), random_state=0), X_heavy, y_heavy)
X_stuck = np.column_stack([X, np.ones(len(X))])
said("a constant column", MLPRegressor(hidden_layer_sizes=(10,), random_state=0), X_stuck, y)
said("more units than dimensions", MLPRegressor(hidden_layer_sizes=(12,), max_iter=0), X[:, :8], y)
said("squares", MLPRegressor(hidden_layer_sizes=(5,), activation="square"), X, y)

# %% [markdown]
# None of this keeps a fit from being used; it says that the weights are not to be read as those
# of a network behind the data. What is known about a fit is in `report_`, which prints as a table:

# %%
print(kept[0, 'init="tensor"'][1].report_)

# %% [markdown]
# ## When to use which
#
# - **ReLU units, inputs near to Gaussian, at least 5 d k² rows, and weights that matter:**
#   `init="tensor"`. It finds in one go what random starts find now and then.
# - **tanh and logistic units:** `init="random"` is as good and quicker. `init="tensor"` does no
#   harm, as random starts take part in its race.
# - **Everyday tables, prediction only:** `init="random"`, or scikit-learn.
# - **`init="nn-lift"`:** to compare with the literature.
