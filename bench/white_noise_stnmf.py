"""Subunits of cells that look at white noise, by non-negative matrix factorisation and by us.

Spike-triggered non-negative matrix factorisation (STNMF) looks for parts that add up to the stimuli
that spikes followed, and asks that parts be non-negative and sparse, which these subunits are; ours
fits rates.  STNMF runs with the defaults of its package, 20 modules for six subunits; ours with its
defaults at the true width.  The package is not among those that the benchmarks install: it asks for
an older NumPy, but runs with this one.
"""

import sys
import time
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import SKIPPED, Report, confine_to_one_thread
from bench.planted_cells import RATE, SIDE, THRESHOLD, Cell, subunit_cell
from bench.rivals import stnmf
from bench.white_noise import FIRST_SEED, FOUND, POISSON, fit_cell
from spectral_nn.tensors.matching import unit_columns

N_SUBUNITS = 6


def run(n_draws: int = 5, n_frames: int = 100_000) -> Report:
    """Fit both sides to every draw."""
    seeds = range(FIRST_SEED, FIRST_SEED + n_draws)
    report = Report(
        "white_noise_stnmf",
        {
            "cells": f"{SIDE}x{SIDE} pixels, standard normal, {n_frames} frames, Poisson spikes, "
            f"{RATE:g} a frame; 6 ReLU subunits (threshold {THRESHOLD:g} deviations)",
            "seeds": f"cells and random_state {seeds[0]}..{seeds[-1]}",
            "ours": 'MLPRegressor(hidden_layer_sizes=(6,), loss="poisson", link="softplus"), '
            "single precision",
            "STNMF": f"stnmf of PyPI, STNMF(stimuli, r={stnmf.MODULES}), single precision",
            "cosine": "absolute, of each true subunit to the most similar of those found",
        },
    )
    fit_cell(subunit_cell(100, 3000), init="tensor", seed=0, max_iter=20, **POISSON)  # compiles
    fits = [_fit_both(seed, n_frames) for seed in seeds]
    report.details["draws"] = {key: [fit[key] for fit in fits] for key in fits[0]}
    _add(report, fits)
    return report


def _fit_both(seed: int, n_frames: int) -> dict[str, Any]:
    cell = subunit_cell(seed, n_frames)
    model, seconds = fit_cell(cell, init="tensor", seed=seed, **POISSON)
    begin = time.process_time()
    modules = stnmf.directions(cell)
    fit: dict[str, Any] = {"spikes": int(cell.y.sum())}
    for side, found, spent in (
        ("ours", model.coefs_[0], seconds),
        ("STNMF", modules, time.process_time() - begin),
    ):
        cosines = best_cosines(cell, found)
        fit[f"{side} found"] = int((cosines > FOUND).sum())
        fit[f"{side} cosine"] = float(cosines.mean())
        fit[f"{side} s"] = spent
    print(fit, flush=True)
    return fit


def best_cosines(cell: Cell, found: NDArray[np.floating]) -> NDArray[np.float64]:
    """Absolute cosine of each true subunit to the most similar column found."""
    return np.abs(cell.subunits.T @ unit_columns(found.astype(np.float64))).max(axis=1)


def _add(report: Report, fits: list[dict[str, Any]]) -> None:
    for side in ("ours", "STNMF"):
        found = np.array([fit[f"{side} found"] for fit in fits])
        whole, count = int((found == N_SUBUNITS).sum()), f"of {len(fits)}"
        report.add(f"all six found, {side}", whole, unit=count, higher_is_better=True)
        report.add(f"found, mean, {side}", found.mean(), unit="of 6", higher_is_better=True)
        report.add(f"mean cosine, {side}", np.mean([fit[f"{side} cosine"] for fit in fits]))
        report.add(f"mean CPU time, {side}", np.mean([fit[f"{side} s"] for fit in fits]), unit="s")
    cosine = np.array([fit["ours cosine"] - fit["STNMF cosine"] for fit in fits])
    report.add(
        "mean cosine, ours less STNMF, worst draw", cosine.min(), reach=0.0, higher_is_better=True
    )
    spent = [sum(fit[f"{side} s"] for fit in fits) for side in ("ours", "STNMF")]
    report.add("CPU time of ours over STNMF", spent[0] / spent[1], unit="x")


def main(*sizes: int) -> int:
    """Measure; with a word to say so, nothing where the package is not installed."""
    if find_spec("stnmf") is None:
        print(
            "stnmf is not installed, nothing measured. Install it beside the benchmarks' packages, "
            "with `pip install --no-deps stnmf==1.1.0` and `pip install shapely scikit-image tqdm`."
        )
        return SKIPPED
    confine_to_one_thread()
    return run(*sizes).finish()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
