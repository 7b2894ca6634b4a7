"""How many states: cross-validated likelihood of models of growing size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spectral_nn.data import Sequences, Source, blocks
from spectral_nn.models.base import OnStep, silent
from spectral_nn.models.chains.excerpts import beginning
from spectral_nn.models.chains.fit import fit_hmm
from spectral_nn.models.chains.inference import log_likelihoods
from spectral_nn.models.chains.options import HMMOptions
from spectral_nn.models.chains.report import OrderEvidence
from spectral_nn.runners.base import Runner, SerialRunner
from spectral_nn.warn import warn

_GRID = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64)
_MOST_ROWS = 2**18  # of larger data the beginning is looked at
_LEAST_BLOCKS = 50
_BLOCK = (10, 1000)
_HELD_OUT = 0.2
_FOLDS = 5
_LEAST_PARTS = 6  # to be cut into folds
_LEAST_GAIN = 3e-6  # nats a symbol, the tolerance of fits: a smaller gain is rounding
_PATIENCE = 2  # sizes without a gain before the search stops


def choose_n_components(
    source: Source,
    options: HMMOptions,
    *,
    rng: np.random.Generator,
    run: Runner | None = None,
    on_step: OnStep | None = None,
) -> tuple[int, list[OrderEvidence]]:
    """Choose the number of states by the likelihood of held-out blocks.

    The data are cut into blocks of at most 1000 symbols, and these dealt at random into five folds,
    each of which is held out once, from a model of the others.  A larger K must beat the best
    smaller one by more than one standard error of the paired differences between blocks (after the
    one-standard-error rule of Breiman, Friedman, Olshen, Stone, *Classification and Regression
    Trees*, 1984), and by more than 3e-6 nats a symbol, the tolerance of the fits.  The search stops
    after two sizes in a row that do not.

    Parameters
    ----------
    source : coded sequences without labels.
    options : of the fit; `n_components` is not looked at.
    rng : chooses blocks and draws starts.
    run, on_step : as in `fit_hmm`.

    Returns
    -------
    n_components : int
    evidence : what was found for each K tried, in order.

    Raises
    ------
    ValueError
        If there are fewer than six blocks (of ten symbols, where data are short), too few to hold
        any out.

    Warns
    -----
    UserWarning
        If 64 states, the most that are tried, are chosen.

    Notes
    -----
    Five fits for every K tried, at most 16 of them, on four fifths of at most 262,144 symbols, and
    2 K^2 flops a held-out symbol.  Of 3,772 daily returns one fold alone chose 2 to 10 states in
    eight draws; five folds chose 4 in five of the draws, and 5, 6 and 10 in one each, between which
    the likelihood of these data hardly differs.
    """
    tell, run = on_step or silent, run or SerialRunner()
    parts = _cut(beginning(run, source, _MOST_ROWS), whole=False)
    folds = np.array_split(rng.permutation(len(parts)), _FOLDS)
    rows = parts.lengths
    n_training = rows.sum() - max(rows[fold].sum() for fold in folds)
    best, reference = 1, np.full(rows.size, -np.inf)
    evidence: list[OrderEvidence] = []
    without_gain = 0
    for n_components in _GRID:
        if n_components > n_training or without_gain == _PATIENCE:
            break
        found = np.empty(rows.size)
        for fold in folds:
            training = parts[np.setdiff1d(np.arange(rows.size), fold)]
            fit = fit_hmm(training, replace(options, n_components=n_components), rng=rng, run=run)
            found[fold] = log_likelihoods(fit.parameters, parts[fold])
        tell("held out, K states", n_components, found.sum())
        if n_components == 1:
            gain, error = np.inf, 0.0
        else:
            difference = found - reference
            gain = difference.sum() / rows.sum()
            error = difference.std(ddof=1) * np.sqrt(rows.size) / rows.sum()
        evidence.append(OrderEvidence(n_components, found.sum() / rows.sum(), gain, error))
        if gain > max(error, _LEAST_GAIN):
            best, reference, without_gain = n_components, found, 0
        else:
            without_gain += 1
    if best == _GRID[-1]:
        warn(
            f"n_components='auto' stopped at {best}, the largest number of states it tries: the "
            f"last step still gained {evidence[-1].gain:.3g} nats a held-out symbol. The data may "
            "not be those of a hidden Markov model; choose n_components by what you can afford.",
            UserWarning,
        )
    return best, evidence


def hold_out(
    data: Sequences, rng: np.random.Generator, *, whole: bool = False
) -> tuple[Sequences, Sequences]:
    """Blocks to learn from and a fifth of them to judge by.

    Parameters
    ----------
    data : sequences.
    rng : chooses.
    whole : whether sequences are left whole, instead of cut into blocks.

    Raises
    ------
    ValueError
        If there are too few.
    """
    parts = _cut(data, whole=whole)
    n_held_out = int(np.ceil(_HELD_OUT * len(parts)))
    order = rng.permutation(len(parts))
    return parts[np.sort(order[n_held_out:])], parts[np.sort(order[:n_held_out])]


def _cut(data: Sequences, *, whole: bool) -> Sequences:
    """Sequences in blocks, enough of them to hold some out; a ValueError if there are too few."""
    n_rows = data.values.shape[0]
    cut = blocks(data, n_rows if whole else int(np.clip(n_rows // _LEAST_BLOCKS, *_BLOCK)))
    parts = Sequences(data.values, np.append(cut.start, n_rows))
    if n_rows < 10 or len(parts) < _LEAST_PARTS:
        raise ValueError(
            f"n_components='auto' needs data to hold out, but X has {n_rows} symbols in "
            f"{len(data)} sequences. Give n_components as a number."
        )
    return parts
