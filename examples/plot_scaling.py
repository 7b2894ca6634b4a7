# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # From a list to a cluster
#
# Every fit here is a number of passes over the data, each of which adds up statistics of chunks.
# Who computes the chunks, and where they lie, is not the estimator's business. This notebook takes
# one model from a list of arrays to threads, processes, a stream, a file, a dask cluster and a GPU,
# and compares what comes out.
#
# Times are printed, but not to impress: the data are small so that everything runs in half a
# minute, and for small data **the plain fit is the fastest**. The last part says from where on more
# workers pay.

# %%
import os

for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA"):  # one thread a worker, so that times compare
    os.environ[f"{pool}_NUM_THREADS"] = "1"

import json
import logging
import tempfile
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from joblib import parallel_config
from sklearn.base import clone

import spectral_estimators
from spectral_estimators import CategoricalHMM, MLPRegressor
from spectral_estimators.datasets import planted_hmm, planted_network, sample_hmm, sample_network

plt.rcParams["figure.dpi"] = 80


def learned(model):
    """All arrays that a fit has found."""
    if isinstance(model, CategoricalHMM):
        return [model.startprob_, model.transmat_, model.emissionprob_]
    return [*model.coefs_, *model.intercepts_]


def compare(way, model, reference, *data, **more):
    """Fit a copy, and print its time and how far its parameters are from those of the reference."""
    begin = time.perf_counter()
    fitted = clone(model).fit(*data, **more)
    seconds = time.perf_counter() - begin
    pairs = zip(learned(fitted), learned(reference or fitted), strict=True)
    apart = max(float(np.abs(a - b).max()) for a, b in pairs)
    same = "to the last bit" if apart == 0 else f"{apart:.0e}"
    print(f"{way:34}{seconds:6.2f} s   {same if reference else 'the reference'}")
    return fitted, apart


# %% [markdown]
# ## Sequences in a list
#
# A hundred sequences of a planted hidden Markov model. One sample is one sequence.

# %%
rng = np.random.default_rng(0)
true = planted_hmm(6, 20, rng=rng)
sequences = list(sample_hmm(true, 1000, rng, 100)[0])
print(len(sequences), "sequences, the first begins", sequences[0][:12])

model = CategoricalHMM(n_components=6, n_features=20, dtype="float64", random_state=0)
clone(model).fit(sequences[:10])  # the first fit of a process loads what is compiled
plain, _ = compare("a list", model, None, sequences)

# %% [markdown]
# ## Two threads, two processes
#
# `n_jobs=` counts workers as joblib does. They are threads: compiled loops let go of Python's lock,
# and threads share the data. A `parallel_config` around `fit` says otherwise; joblib's backends for
# dask, Ray and Spark are named in the same way. Chunks do not depend on the number of workers and
# sums are made in one tree, so the model is the same to the last bit.

# %%
_, apart = compare("n_jobs=2: threads", clone(model).set_params(n_jobs=2), plain, sequences)
assert apart == 0

with parallel_config("loky", n_jobs=2):
    _, apart = compare('parallel_config("loky"): processes', model, plain, sequences)
assert apart == 0


# %% [markdown]
# ## A stream, and a file
#
# What does not fit in memory is an object whose `__iter__` starts again: it is walked in every
# pass and nothing of it is kept. (A generator can be walked once; `fit` then keeps only counts.) Or
# it is an array on disk, an `np.memmap`, a zarr array or an HDF5 dataset, of which windows of a
# million rows are read when they are needed.


# %%
class Stream:
    """Sequences, one after another; here they could come from anywhere."""

    def __iter__(self):
        yield from sequences


_, apart = compare("a stream", model, plain, Stream())
assert apart == 0

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "symbols.npy"
np.save(path, np.concatenate(sequences).astype(np.uint8)[:, None])
lengths = [len(sequence) for sequence in sequences]
mapped = np.load(path, mmap_mode="r")
print(f"{type(mapped).__name__} of {mapped.shape[0]:,} symbols")
_, apart = compare("np.memmap", model, plain, mapped, lengths=lengths)
assert apart < 1e-10

# %% [markdown]
# The file differs in the last digits: a window is summed as a whole, where data in memory are
# summed by smaller chunks.
#
# ## A dask cluster
#
# Two worker processes on this machine stand for a cluster. Sequences are the elements of a
# dask.bag, or each partition is a `dask.delayed` list of them. Statistics are made where the
# partitions lie; only sums travel, and a sample for the race between the starts.
#
# (A notebook may start processes as below. In a script, dask imports the script again in every
# worker, so that everything belongs under `if __name__ == "__main__":`.)

# %%
try:
    import dask
    import dask.array
    import dask.bag
    from distributed import Client, LocalCluster
except ImportError:
    client = None
    print("dask is not installed (pip install 'spectral-nn[dask]'): its parts are skipped")
else:
    cluster = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        local_directory=folder.name,
        silence_logs=logging.ERROR,
    )
    client = Client(cluster)
    print(f"{len(cluster.workers)} workers")

# %%
if client is not None:
    bag = client.persist(dask.bag.from_sequence(sequences, npartitions=4))
    _, apart = compare("dask.bag", model, plain, bag)
    assert apart < 1e-10

    delayed = [dask.delayed(sequences[i : i + 25]) for i in range(0, 100, 25)]
    _, apart = compare("a list of dask.delayed", model, plain, delayed)
    assert apart < 1e-10

    with parallel_config("dask"):  # data that are here, and a cluster: they are sent once
        _, apart = compare('parallel_config("dask")', model, plain, sequences)
    assert apart < 1e-10

# %% [markdown]
# Where partitions of sequences end, sums end: these models agree up to rounding. The E-steps above
# are in double precision. In single precision, the default, rounding is 10⁻⁷, and where likelihood
# is flat EM may stop some steps earlier or later: a model about as good, with other digits.
#
# ## The same for a table
#
# A network takes the rows in the same ways: arrays, an iterable of tuples `(X, y)`, files, dask
# arrays. Chunks of any size are cut again to one size, so that sums do not depend on them.

# %%
teacher = planted_network(20, 5, rng=rng)
X, y = sample_network(teacher, 40_000, noise=0.05, rng=rng)
net = MLPRegressor(hidden_layer_sizes=(5,), random_state=0)
plain_net, _ = compare("two arrays", net, None, X, y)
_, apart = compare("n_jobs=2: threads", clone(net).set_params(n_jobs=2), plain_net, X, y)
assert apart < 1e-10


class Chunks:
    """Rows with their targets, some thousands at a time, say from Parquet files."""

    def __iter__(self):
        for begin in range(0, len(X), 7000):
            yield X[begin : begin + 7000], y[begin : begin + 7000]


_, apart = compare("an iterable of (X, y)", net, plain_net, Chunks())
assert apart < 1e-10

if client is not None:
    rows = dask.array.from_array(X, chunks=(10_000, 20))
    targets = dask.array.from_array(y, chunks=10_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dask: arrays from memory make a large graph
        fitted, apart = compare("dask.array", net, plain_net, rows, targets)
        prediction = fitted.predict(rows)
        print("\npredict of a dask.array is another one:", prediction)
        assert np.abs(prediction.compute() - plain_net.predict(X)).max() < 1e-8
    assert apart < 1e-10

# %%
if client is not None:
    client.close()
    cluster.close()
folder.cleanup()

# %% [markdown]
# ## A GPU
#
# With `device="cuda"` chunks of NumPy data are sent to the GPU, and results come back as NumPy.
# Arrays of CuPy or PyTorch are computed where they live, without `device`. A GPU has an arithmetic
# of its own: expect agreement up to rounding, not to the last bit.

# %%
try:
    compare('device="cuda"', clone(net).set_params(device="cuda"), plain_net, X, y)
except (ImportError, RuntimeError) as error:
    print(f"skipped. {error}")

# %% [markdown]
# ## When it pays
#
# A task of dask costs about a millisecond, wherever it runs, and a pass five to nine more. Sums
# over small parts are asked for without tasks, for two or three. Above, a whole pass takes hardly
# longer than that, so two workers gain nothing.
# `make bench-scale` measures these costs and simulates what they make of one EM step of K=30 states
# on up to a thousand workers. Its figures are kept in the repository:

# %%
kept = Path(spectral_estimators.__file__).parents[2] / "bench" / "results" / "scale_law.json"
try:
    details = json.loads(kept.read_text())["details"]
    simulated = {float(tokens): one for tokens, one in details["passes"].items()}
    measured = {n: [one for one in details["checks"] if one["workers"] == n] for n in (1, 2)}
    best = {n: min(ones, key=lambda one: one["seconds"]) for n, ones in measured.items()}
except (OSError, KeyError, ValueError):
    print("No kept figures beside this installation: see docs/scaling.md, or make bench-scale.")
else:
    figure, ax = plt.subplots(figsize=(7.4, 4.4), layout="constrained")
    colours = plt.get_cmap("viridis")(np.linspace(0.1, 0.85, len(simulated)))
    for (tokens, one), colour in zip(sorted(simulated.items()), colours, strict=True):
        points = {
            1: one["one process"],
            1000: one["1000 workers"],
            one["fastest"]: one["seconds of the fastest"],
        }
        counts = np.array(sorted(points))
        seconds = np.array([points[count] for count in counts])
        ax.plot(counts, seconds, "-o", color=colour, markersize=3.5)
        ax.plot(counts, seconds[0] / counts, ":", color=colour, linewidth=1)
        ax.annotate(
            rf"$10^{{{round(np.log10(tokens))}}}$ tokens",
            (1, seconds[0]),
            (-6, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=colour,
        )
    ax.plot(list(best), [one["seconds"] for one in best.values()], "o", color="crimson", zorder=3)
    ax.annotate(
        "measured",
        (1, best[1]["seconds"]),
        (-6, -16),
        textcoords="offset points",
        ha="right",
        va="center",
        color="crimson",
    )
    ax.set(xscale="log", yscale="log", xlim=(0.08, 9000))
    ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    ax.set(xlabel="workers of a cluster", ylabel="seconds of one EM step, K=30")
    ax.spines[["top", "right"]].set_visible(False)
    for tokens, one in sorted(simulated.items()):
        print(
            f"{tokens:8.0e} tokens: {one['one process']:12,.1f} s in one process, "
            f"{one['seconds of the fastest']:6.1f} s with {one['fastest']:5,} workers, "
            f"{one['1000 workers']:6.1f} s with 1,000"
        )

# %% [markdown]
# Points joined by lines are simulated: one process, the fastest number of workers, and a thousand.
# Dotted: if workers cost nothing but their share. Red: measured, on one and two processes of one
# machine. Ten million tokens are a second's work in one process: they have a use for a dozen
# workers at most, and a thousand take longer than one. So:
#
# - **Seconds a fit, as in this notebook:** nothing to set.
# - **A minute or more, on one machine:** `n_jobs=`. Files mapped into memory need not fit in it.
# - **A pass of many seconds, or data that lie on a cluster already:** dask, with few and large
#   partitions, some four a worker.
# - **Many fits, as in a grid:** one fit a worker, without any of this.
#
# `docs/scaling.md` has the arithmetic, and what it assumes.
