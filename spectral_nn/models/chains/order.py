"""How many states: held-out likelihood of models of growing size."""

from __future__ import annotations

import warnings
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

_GRID = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64)
_MOST_ROWS = 2**18  # of larger data the beginning is looked at
_LEAST_BLOCKS = 50
_BLOCK = (10, 1000)
_HELD_OUT = 0.2
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

    The data are cut into blocks of at most 1000 symbols, of which a random fifth is held out.
    Models of growing K are fitted to the others; a larger K must beat the best smaller one by more
    than one standard error of the paired differences between blocks (after the one-standard-error
    rule of Breiman, Friedman, Olshen, Stone, *Classification and Regression Trees*, 1984), and by
    more than 3e-6 nats a symbol, the tolerance of the fits.  The search stops after two sizes in a
    row that do not.

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
    A `fit_hmm` for every K tried, at most 16 of them, on four fifths of at most 262,144 symbols,
    and 2 K^2 flops a held-out symbol.
    """
    tell, run = on_step or silent, run or SerialRunner()
    training, held_out = hold_out(beginning(run, source, _MOST_ROWS), rng)
    rows = held_out.lengths
    best, reference = 1, np.full(rows.size, -np.inf)
    evidence: list[OrderEvidence] = []
    without_gain = 0
    for n_components in _GRID:
        if n_components > training.values.shape[0] or without_gain == _PATIENCE:
            break
        fit = fit_hmm(training, replace(options, n_components=n_components), rng=rng, run=run)
        found = log_likelihoods(fit.parameters, held_out)
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
        warnings.warn(
            f"n_components='auto' stopped at {best}, the largest number of states it tries: the "
            f"last step still gained {evidence[-1].gain:.3g} nats a held-out symbol. The data may "
            "not be those of a hidden Markov model; choose n_components by what you can afford.",
            UserWarning,
            stacklevel=4,
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
    n_rows = data.values.shape[0]
    cut = blocks(data, n_rows if whole else int(np.clip(n_rows // _LEAST_BLOCKS, *_BLOCK)))
    parts = Sequences(data.values, np.append(cut.start, n_rows))
    n_held_out = int(np.ceil(_HELD_OUT * len(parts)))
    if n_rows < 10 or n_held_out < 2 or n_held_out == len(parts):
        raise ValueError(
            f"n_components='auto' needs data to hold out, but X has {n_rows} symbols in "
            f"{len(data)} sequences. Give n_components as a number."
        )
    order = rng.permutation(len(parts))
    return parts[np.sort(order[n_held_out:])], parts[np.sort(order[:n_held_out])]
