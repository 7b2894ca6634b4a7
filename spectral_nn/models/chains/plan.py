"""What a race between starts may cost, and how that is spent.

The unit is a climb: as many EM steps as the fit may take (100 at the most), on what the race looks
at.  All figures are estimates from sizes, so that the plan does not depend on who computes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spectral_nn.models.chains.engine import RACE_ROWS
from spectral_nn.models.chains.options import HMMOptions, wants_anchors
from spectral_nn.moments.ngrams import NgramCounts
from spectral_nn.trainers.halving import Round

__all__ = ["MAX_WINDOWS", "MOST_IN_WINDOWS", "Plan", "plan_race"]

MAX_WINDOWS = 2**16  # distinct ones that EM goes over

MOST_IN_WINDOWS = 500  # symbols: beyond, each is too rare in a window to say what follows

N_STARTS = 12
WINDOW_STEPS = 30

# Where more than 10 states outnumber the symbols, decompositions see little of them, and starts end
# alike: on four planted automata, K=32, half the race led to the same likelihoods.
_FEW_STARTS, _MANY_STATES = 6, 10
_ANCHORED = {"anchor": 3, "tensor": 6}  # starts where some have anchors, by `init`

_CLIMB_STEPS = 100
_BUDGET = 1.25  # climbs for the race
_ALLOWANCE = 1.75e8  # flops: less than 0.05 s is nothing to save
_ON_WINDOWS = 0.3  # of the budget; rounds on the data share the rest evenly
_FOR_SPECTRAL = 0.3  # of the budget, at the most, to make spectral starts
_ROUNDS = ((1.0, 8), (1 / 2, 16), (1 / 4, 32))  # share of the starts, EM steps each
_PATIENCE = (10, 30)  # states: between these, rounds last longer in proportion, as EM slows down
_LEAST_STARTS = 4
_LEAST_STEPS = 7  # on windows
_LEAST_WINDOWS = 2**12
_LEAST_ROWS = 2**13
_ROWS_A_PARAMETER = 16  # of a sample, if affordable; on fewer, starts learn the sample
_FEATURES = 6000.0  # flops that a distinct n-gram costs, in features and products with them
_OF_WINDOWS = 1000.0  # flops that pairs of symbols in wide windows cost a position
_SCATTERED = 500.0  # flops that a bigram costs for each state, in 20 updates
_CALLS = 1.5e6  # flops in the time that the calls of an EM step take, whatever it works on
_DECOMPOSING = 5e7  # the same of a spectral start
_M_STEP = 500  # flops that an entry of the emissions costs a step: logarithms, powers, divisions


@dataclass(frozen=True)
class Plan:
    """A race.

    Attributes
    ----------
    n_spectral, n_random : starts of each kind.
    wide : whether one of the spectral starts may be of wide windows.
    n_windows, window_steps : distinct windows, about, and EM steps on them from every start; 0
        where some starts have anchors, which windows would rank by how much each may fit.
    rounds : on the data, the first with all starts.
    """

    n_spectral: int
    n_random: int
    wide: bool
    n_windows: int
    window_steps: int
    rounds: tuple[Round, ...]


def plan_race(counts: NgramCounts, options: HMMOptions) -> Plan:
    """Plan a race that costs 1.25 climbs and 0.05 s; more where `n_init` is beyond 12.

    It grows in proportion, and is half as long where more than 10 states outnumber the symbols.
    More starts, or more states, get fewer rows a round rather than more time.  Where little can be
    spent (few EM steps are wanted, or states are many) fewer starts take part, and spectral ones
    are left out that would cost more than a third of the race.
    """
    if wants_anchors(options):
        n_starts = options.n_init or _ANCHORED[options.init]
        n_random = 0 if options.init == "anchor" else n_starts // 2
        rounds = _rounds(n_starts, _budget(counts, options, n_starts), counts, options)
        return Plan(n_starts - n_random, n_random, False, 0, 0, rounds)
    alike = options.n_components > max(options.n_symbols, _MANY_STATES)
    most = _FEW_STARTS if alike else N_STARTS
    n_starts = options.n_init or most
    budget = _budget(counts, options, n_starts)
    if options.n_init is None:
        budget *= most / N_STARTS
    for_windows = _ON_WINDOWS * budget
    rows = min(counts.n_rows, RACE_ROWS)
    least = min(max(_LEAST_WINDOWS, _as_m_step(options) // 3), rows // 12, MAX_WINDOWS)
    least = max(1, least)
    if options.n_init is None:
        cost = _LEAST_STEPS * _step(3 * least, options)
        n_starts = int(np.clip(for_windows / cost, _LEAST_STARTS, most))
    each = for_windows / n_starts
    n_windows = _rows_for(each / WINDOW_STEPS, options) // 3
    n_windows = int(np.clip(n_windows, least, MAX_WINDOWS))
    window_steps = int(np.clip(each / _step(3 * n_windows, options), 2, WINDOW_STEPS))
    rounds = _rounds(n_starts, budget - for_windows, counts, options)
    wanted = -(-n_starts // 4)
    if options.n_init is None:
        wanted = 1 if alike else wanted
        wanted = min(wanted, _affordable(_FOR_SPECTRAL * budget, counts, options))
    wide = options.init == "tensor" and options.n_symbols <= MOST_IN_WINDOWS
    if options.n_iter and options.n_init is None:
        for_wide = rows * (_OF_WINDOWS + 6.0 * options.n_components**2)
        wide &= wanted > 0 and for_wide < _FOR_SPECTRAL * budget
    return Plan(wanted, n_starts - wanted, wide, n_windows, window_steps, rounds)


def _budget(counts: NgramCounts, options: HMMOptions, n_starts: int) -> float:
    """Flops of a race."""
    climb = int(np.clip(options.n_iter, 1, _CLIMB_STEPS))
    cost = _BUDGET * climb * _step(min(counts.n_rows, RACE_ROWS), options) + _ALLOWANCE
    return cost * max(1.0, n_starts / N_STARTS)


def _rounds(
    n_starts: int, budget: float, counts: NgramCounts, options: HMMOptions
) -> tuple[Round, ...]:
    """Rounds on the data that cost so many flops."""
    rows = min(counts.n_rows, RACE_ROWS)
    least_rows = min(max(_LEAST_ROWS, _as_m_step(options)), rows)
    parameters = options.n_components * (options.n_components + options.n_symbols)
    telling = 0 if wants_anchors(options) else _ROWS_A_PARAMETER * parameters
    longer = np.clip(options.n_components, *_PATIENCE) / _PATIENCE[0]
    each = budget / len(_ROUNDS)
    rounds = []
    for share, steps in _ROUNDS:
        n = max(2, int(np.ceil(share * n_starts)))
        n_steps = int(np.clip(options.n_iter, 1, steps * longer))
        affordable = _rows_for(each / (n * min(2, n_steps)), options)
        wanted = max(_rows_for(each / (n * n_steps), options), min(telling, affordable))
        n_rows = int(np.clip(wanted, least_rows, rows))
        n_steps = int(np.clip(each / (n * _step(n_rows, options)), 2, n_steps))
        rounds.append(Round(n, n_steps, n_rows))
    return tuple(rounds)


def _as_m_step(options: HMMOptions) -> int:
    """Rows whose E-step costs as much as an M-step.

    Fewer would save little, and say little of rare symbols.
    """
    m_step = _M_STEP * options.n_components * options.n_symbols
    return m_step // (6 * options.n_components**2)


def _step(n_rows: float, options: HMMOptions) -> float:
    """Flops of an EM step on so many positions."""
    K = options.n_components
    return max(6.0 * K**2 * n_rows + _M_STEP * K * options.n_symbols, _CALLS)


def _rows_for(flops: float, options: HMMOptions) -> int:
    """Positions on which an EM step costs so much; 0 where the M-step alone costs more."""
    K = options.n_components
    return max(0, int((flops - _M_STEP * K * options.n_symbols) / (6.0 * K**2)))


def _spectral_cost(counts: NgramCounts, options: HMMOptions) -> float:
    """Flops of a spectral start, roughly."""
    K, d = options.n_components, options.n_symbols
    bigrams = _SCATTERED * K * min(counts.codes.size, d**2)
    operators = 2.0 * d * K**2 * min(d, K**2)
    decomposition = 800.0 * min(2 * K, 64) * K**3
    return _DECOMPOSING + bigrams + operators + decomposition


def _affordable(flops: float, counts: NgramCounts, options: HMMOptions) -> int:
    """Spectral starts that cost no more, beyond counting; all but the first gather moments anew."""
    first = _spectral_cost(counts, options)
    anew = first + counts.codes.size * (_FEATURES + 2.0 * options.n_components**2)
    return 1 + int((flops - first) / anew) if flops >= first else 0
