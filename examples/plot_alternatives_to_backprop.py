# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Is backpropagation necessary?
#
# Backpropagation keeps the values of all layers, sends an error back through the weights that made
# them, and lets no layer learn before all above it have answered. There are a dozen rules that do
# without one of these. Here they train one network on one table, at equal epochs, each at its own
# learning rate; the hidden layers that do not learn at all stand beside them.
#
# 1. the table: what each rule scores, costs, and how far its steps are from the gradient;
# 2. unbiased rules: right on average, and what the noise costs;
# 3. moments, then any rule: what a start is worth;
# 4. networks with states of their own: equilibria and spikes;
# 5. what to take home.
#
# `python -m bench trainers trainers_gradients trainers_planted trainers_mnist trainers_models` has
# all of it with more seeds, and its bounds.

# %%
import os

for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA"):  # one thread, so that times compare
    os.environ[f"{pool}_NUM_THREADS"] = "1"

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from spectral_estimators import (
    EquilibriumMLPClassifier,
    EquilibriumPropagationClassifier,
    MLPClassifier,
    MLPRegressor,
    SpikingClassifier,
    TrainersDisplay,
    compare_trainers,
)
from spectral_estimators.datasets import make_mnist1d, planted_network, sample_network
from spectral_estimators.metrics import direction_angles
from spectral_estimators.trainers import (
    Backprop,
    Checkpointed,
    FeedbackAlignment,
    ForwardGradient,
    Frozen,
    LayerWise,
    PredictiveCoding,
    RandomizedAD,
    SyntheticGradients,
    TargetPropagation,
)

plt.rcParams["figure.dpi"] = 80
warnings.simplefilter("ignore")

# %% [markdown]
# ## One table
#
# MNIST-1D: signals of 40 values, each the shape of a digit, shifted, scaled and in noise. Linear
# models score 32 %; digits or MNIST would not tell rules apart, as random features do well there.

# %%
X, y = make_mnist1d(5000, rng=np.random.default_rng(100))
X = X.astype(np.float32)
fig, axes = plt.subplots(1, 5, figsize=(11, 1.8), sharey=True)
for ax, digit in zip(axes, range(5), strict=True):
    ax.plot(X[y == digit][:3].T, lw=1)
    ax.set_title(str(digit))
plt.show()

# %%
network = MLPClassifier(
    (128, 128, 128),
    init="random",
    alpha=0,
    batch_size=64,
    learning_rate="cosine",
    max_iter=20,
    n_iter_no_change=21,
)
rules = {
    "backprop": Backprop("sgd"),
    "frozen": Frozen("sgd"),
    "checkpointed": Checkpointed("sgd"),
    "randomised AD": RandomizedAD(keep=0.1),
    "layer-wise": LayerWise("sgd"),
    "forward, local guess": ForwardGradient("sgd", guess="local", space="weight"),
    "forward, random guess": ForwardGradient(guess="isotropic", space="activity"),
    "synthetic gradients": SyntheticGradients(),
    "feedback, direct": FeedbackAlignment(),
    "feedback, layered": FeedbackAlignment(direct=False),
    "predictive coding": PredictiveCoding(n_steps=10),
    "target propagation": clone(network).set_params(activation="tanh", solver=TargetPropagation()),
}
report = compare_trainers(network, X, y, rules, learning_rates=[0.003, 0.1], n_fits=1)
print(report)

# %% [markdown]
# Left: accuracy against the seconds of a fit. Middle: against the memory that one batch takes.
# Right: the cosine between the steps of the hidden layers and their gradient. Feedback alignment
# begins at a right angle, and weights come to agree with the feedback; layer-wise steps leave the
# gradient in the course of the fit, and score nearly as well.

# %%
TrainersDisplay.from_report(report)
plt.show()

# %% [markdown]
# ## Right on average
#
# Randomised automatic differentiation keeps a tenth of the activations; a forward gradient sends
# nothing back, and moves along a random direction as far as the loss says. Both are right on
# average. The more numbers a guess has to hit, the nearer a single step is to a right angle: a
# guess of all weights teaches hidden layers next to nothing.

# %%
guesses = {
    "frozen": Frozen(),
    "randomised AD, keep 50 %": RandomizedAD(keep=0.5),
    "randomised AD, keep 10 %": RandomizedAD(keep=0.1),
    "random guess of activities": ForwardGradient(guess="isotropic", space="activity"),
    "random guess of weights": ForwardGradient(guess="isotropic", space="weight"),
}
for row in compare_trainers(network, X, y, guesses, learning_rates=[0.003], n_fits=1).rows:
    cosine = np.mean(row.cosines)
    print(f"{row.name:28} accuracy {row.score:.2f}   mean cosine to the gradient {cosine:.3f}")

# %% [markdown]
# ## Moments, then any rule
#
# A planted network: 30 inputs, ten ReLUs, 30,000 rows. From random weights no rule finds it in
# twenty epochs, backpropagation included. From moments of the data the hidden layer may as well be
# frozen. A rule that is not the gradient can also lead away from there: feedback alignment does.

# %%
rng = np.random.default_rng(100)
teacher = planted_network(30, 10, activation="relu", rng=rng)
inputs, outputs = sample_network(teacher, 30_000, noise=0.05, rng=rng)
test_inputs, test_outputs = sample_network(teacher, 5000, noise=0.0, rng=rng)
for name, rule in {
    "frozen": Frozen(),
    "backprop": Backprop(),
    "randomised AD": RandomizedAD(keep=0.1),
    "random guess": ForwardGradient(guess="isotropic", space="activity"),
    "feedback": FeedbackAlignment(),
}.items():
    line = f"{name:15}"
    for init in ("random", "tensor"):
        net = MLPRegressor(
            hidden_layer_sizes=(10,),
            solver=rule,
            init=init,
            learning_rate="cosine",
            learning_rate_init=0.003,
            max_iter=20,
            n_iter_no_change=21,
            random_state=0,
        ).fit(inputs, outputs)
        angle = direction_angles(net.coefs_[0], teacher.coefs[0]).mean()
        r2 = net.score(test_inputs, test_outputs)
        line += f"   from {init}: R2 {r2:.5f}, angle {angle:5.1f}"
    print(line)

# %% [markdown]
# ## Networks with states of their own
#
# A deep equilibrium network applies one layer until nothing changes; its gradient solves one more
# equation, and takes the memory of one layer. Equilibrium propagation lets a network of springs
# come to rest twice, and learns from the difference. A spiking network counts in pulses.

# %%
digits, digit = load_digits(return_X_y=True)
parts = train_test_split(digits.astype(np.float32) / 16, digit, random_state=0, stratify=digit)
train, test, train_y, test_y = parts
states = {
    "perceptron": MLPClassifier((100,), init="random", solver="adam", learning_rate_init=0.003),
    "deep equilibrium": EquilibriumMLPClassifier(100, learning_rate_init=0.003),
    "equilibrium propagation": EquilibriumPropagationClassifier((100,)),
    "spiking": SpikingClassifier((100,)),
}
for name, model in states.items():
    model.set_params(max_iter=40, random_state=0).fit(train, train_y)
    print(f"{name:24} accuracy {model.score(test, test_y):.3f}")

# %% [markdown]
# ## What to take home
#
# - **Memory**: checkpointing has the gradient itself for the root of the depth in memory; it is the
#   first thing to try. Layer-wise learning needs one layer at a time, whatever the depth.
# - **Locks**: layer-wise learning is the one rule here that lets layers learn without waiting for
#   others at nearly the accuracy of backpropagation.
# - **No backward pass**: forward gradients need a good guess; the local loss that makes it good is
#   as good by itself.
# - **Biology**: feedback alignment, target propagation and predictive coding teach hidden layers
#   something (they beat frozen ones), and cost accuracy.
# - **Speed**: at equal epochs no rule that teaches hidden layers is much faster than backprop.
# - **A start** can be worth more than the rule: see the planted network. It takes a table whose
#   inputs the moments understand; on everyday tables no gain was seen.
