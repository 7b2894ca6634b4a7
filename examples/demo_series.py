"""The first part of ``make demo``: hidden Markov models of real-valued series.

Fifteen years of daily returns of the S&P 500 with four states, judged on the five years that
follow, and a planted model of ten states, of which everybody gets 5,000 rows.  Our estimator runs
once for each of five seeds; hmmlearn runs ten restarts and keeps the one with the highest
objective, which is the same on both sides and computed by one function.  One thread each.
"""

import statistics
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from bench import ours_series
from bench.harness import environment
from bench.rivals import hmmlearn_series
from bench.series_data import REGIMES, Series, closing_prices, planted, returns
from bench.series_scoring import OBJECTIVE_SAID, Fits, fit_seeds, log_likelihood
from examples import demo_pictures
from examples.live_line import LiveLine

SEEDS = range(5)
RESTARTS = range(10)
WITHIN = 1.0  # nats
COVARIANCE = "diag"
OURS, THEIRS = "ours", "hmmlearn"


class Problem(NamedTuple):
    """A series, and the number of states that are fitted to it."""

    load: Callable[[], Series]
    n_components: int


S_AND_P = "S&P 500, daily returns"
PROBLEMS = {
    S_AND_P: Problem(partial(returns, "sp500"), 4),
    "planted, four columns": Problem(partial(planted, REGIMES["planted, K=10"], 100, 5_000), 10),
}


def compare(name: str, line: LiveLine) -> dict[str, Fits]:
    """All fits of both sides to one series."""
    problem = PROBLEMS[name]
    to_fit = (problem.load(), problem.n_components, COVARIANCE)
    fits = {}
    for side, fit, seeds in (
        (OURS, ours_series.fit, SEEDS),
        (THEIRS, hmmlearn_series.fit, RESTARTS),
    ):
        line.show(f"  {name}: {side}, {len(seeds)} fits")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # hmmlearn sets shapes in place
            fits[side] = fit_seeds(fit, *to_fit, seeds)
        line.end(f"  {name}: {side}, {len(seeds)} fits, {sum(fits[side].seconds):.1f} s")
    return fits


def print_comparison(name: str, fits: dict[str, Fits]) -> None:
    """Print what both sides made of a series."""
    problem = PROBLEMS[name]
    series = problem.load()
    best = max(of_side.best for of_side in fits.values())
    print(
        f"\n{name}: {problem.n_components} states, {len(series.rows):,} rows\n"
        f"\n{'':<28}{'seconds':>9}{'objective':>13}{'held-out nats/row':>20}{'found':>10}"
    )
    for side, of_side in fits.items():
        found = sum(gap <= WITHIN for gap in of_side.gaps(best))
        print(
            f"{f'{side}, mean of {len(of_side.models)} fits':<28}"
            f"{statistics.mean(of_side.seconds):>9.2f}"
            f"{statistics.mean(of_side.objectives):>13.1f}"
            f"{statistics.mean(_held_out(model, series) for model in of_side.models):>20.4f}"
            f"{f'{found} of {len(of_side.models)}':>10}"
        )
    rival = fits[THEIRS]
    print(
        f"{f'{THEIRS}, best of {len(RESTARTS)}':<28}{sum(rival.seconds):>9.2f}"
        f"{rival.best:>13.1f}{_held_out(rival.winner, series):>20.4f}"
    )


def print_settings() -> None:
    """Print all that is needed to run this again."""
    versions = environment()["versions"]
    print(
        f"""
found     the highest objective that a fit of either side reached, within {WITHIN:g} nat
objective {OBJECTIVE_SAID}
ours      GaussianHMM, defaults but for min_covar, random_state {SEEDS[0]}..{SEEDS[-1]}
hmmlearn  GaussianHMM, implementation="scaling", n_iter={hmmlearn_series.N_ITER}, tol at its default
          .01, random_state {RESTARTS[0]}..{RESTARTS[-1]}; best by objective
seconds   of the processor, one thread
held out  returns: the last quarter of the days; planted: as many rows again
no proof  our starts were chosen on these returns, and on planted models of other draws
versions  hmmlearn {versions["hmmlearn"]}, arch {versions["arch"]} (the returns)"""
    )


def main(line: LiveLine) -> dict[str, Figure]:
    """Run both sides on both series, print the tables, draw the picture."""
    line.show("  compiling, the first time only")
    ours_series.warm_up()
    outcome = {name: compare(name, line) for name in PROBLEMS}
    for name, fits in outcome.items():
        print_comparison(name, fits)
    print_settings()
    days, prices = closing_prices("sp500")
    n_train = len(PROBLEMS[S_AND_P].load().rows)
    return {"series": demo_pictures.market(outcome[S_AND_P][OURS].winner, days, prices, n_train)}


def _held_out(model: Any, series: Series) -> float:
    """Log-likelihood of the part that no fit has seen, nats a row."""
    assert series.test_rows is not None
    assert series.test_lengths is not None
    total = log_likelihood(COVARIANCE, model, series.test_rows, series.test_lengths)
    return total / len(series.test_rows)
