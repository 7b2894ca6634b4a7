"""Strings of planted automata: perplexity over the optimum, likelihood and moments alone.

Likelihood: `CategoricalHMM` with its defaults, and with the best of ten random starts, which is
Baum-Welch; to the first of the strings, as many as ten random starts have time for.  Moments
alone, from all strings: `ObservableOperatorModel`, which chooses its rank itself, and the
parameters that a decomposition gives (``init="tensor", n_iter=0``).  `ObservableOperatorModel` is
fitted to the first strings, too, beside the others.

Hidden Markov models get strings with an end symbol appended, all at equal priors, and K is the one
of a small grid with the highest likelihood of held-out strings; their time is that of the grid.
"""

import statistics
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import ours
from bench.harness import Report, main, timed
from bench.planted_automata import Automaton, count_free, draw_automaton, perplexity
from spectral_estimators import ObservableOperatorModel
from spectral_nn.data import Sequences
from spectral_nn.models.chains.inference import log_likelihoods
from spectral_nn.models.chains.parameters import HMMParameters

FIRST_SEED = 100  # the draws 0..99 are for trying things out
GRID = (16, 32, 64)  # an automaton has up to 60 states, and arcs of one state that differ
HELD_OUT = 0.1
OPERATORS = "ObservableOperatorModel"
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "random": {"init": "random", "n_init": 10},
    "n_iter=0": {"init": "tensor", "n_iter": 0},
    OPERATORS: {"ends": True},
}
# name of a row: which model, and whether it gets all strings
ENTRANTS = {
    "default": ("default", False),
    "10 random starts": ("random", False),
    "operators, first strings": (OPERATORS, False),
    "operators": (OPERATORS, True),
    "n_iter=0": ("n_iter=0", True),
}


def run(
    n_automata: int = 20, n_train: int = 20_000, n_first: int = 3_000, n_test: int = 1_000
) -> Report:
    """Fit all to every automaton."""
    report = Report(
        "automata",
        {
            "automata": f"{n_automata}, seeds {FIRST_SEED}..{FIRST_SEED + n_automata - 1}, see "
            "bench/planted_automata.py",
            "strings": f"{n_train} to learn from, of which likelihood gets the first {n_first}; "
            f"{n_test} distinct ones to test on",
            "perplexity": "2^(-sum p log2 q) over the test strings, p and q normalised over them; "
            "the gap is that over the automaton's own",
            "hidden Markov models": f"CategoricalHMM(K, ...), K of {GRID} by the likelihood of "
            f"a share of {HELD_OUT:g} of the strings, held out",
            "maximum likelihood of the true machine": "asymptotic loss, half a nat for each free "
            "parameter in all strings together: zeros of the machine are known",
            "arguments": {name: str(settings) for name, settings in SETTINGS.items()},
        },
    )
    _warm_up()
    bounds: dict[int, list[float]] = {n_first: [], n_train: []}
    gaps: dict[str, list[float]] = {name: [] for name in ENTRANTS}
    seconds: dict[str, list[float]] = {name: [] for name in ENTRANTS}
    for seed in range(FIRST_SEED, FIRST_SEED + n_automata):
        automaton = draw_automaton(seed)
        rng = np.random.default_rng(seed)
        train, test = automaton.sample(n_train, rng), automaton.distinct(n_test, rng)
        true = automaton.log_probabilities(test)
        optimum, shown = perplexity(true, true), []
        for n, each in bounds.items():
            each.append(optimum * count_free(automaton, seed) / (2 * n))
        for name, (model, all_strings) in ENTRANTS.items():
            strings = train if all_strings else train[:n_first]
            fit = partial(_fit, model, automaton, strings, test, seed)
            (found, chosen), elapsed = timed(fit)
            gaps[name].append(perplexity(true, found) - optimum)
            seconds[name].append(elapsed)
            shown.append(f"{name} {gaps[name][-1]:.4f} (K={chosen}, {elapsed:.1f} s)")
        print(
            f"  seed {seed}, {automaton.n_states} states, {automaton.n_symbols} symbols, optimum "
            f"{optimum:.3f}: " + ", ".join(shown),
            flush=True,
        )
    report.details = {"gaps": gaps, "seconds": seconds}
    _add_rows(report, gaps, seconds)
    for n, each in bounds.items():
        claim = f"gap that maximum likelihood of the true machine has with {n:,} strings"
        report.add(f"{claim}, mean", statistics.mean(each))
        report.add(f"{claim}, median", statistics.median(each))
    return report


def _add_rows(
    report: Report, gaps: dict[str, list[float]], seconds: dict[str, list[float]]
) -> None:
    """Gaps and times, and where they have to be."""
    bounds = {"default": (None, 0.013), "operators": (0.1, 0.02), "n_iter=0": (1.0, 0.2)}
    for name, each in gaps.items():
        must, reach = bounds.get(name, (None, None))
        mean_reach = 0.025 if name == "default" else None
        report.add(f"{name}: mean gap", statistics.mean(each), reach=mean_reach)
        report.add(f"{name}: median gap", statistics.median(each), must=must, reach=reach)
        report.add(f"{name}: time of all", sum(seconds[name]), unit="s")
    report.add(
        "default: mean gap less that of the best of 10 random starts",
        statistics.mean(gaps["default"]) - statistics.mean(gaps["10 random starts"]),
        must=0.0,
    )
    report.add(
        "time of 10 random starts over that of the default",
        sum(seconds["10 random starts"]) / sum(seconds["default"]),
        must=4.0,
        unit="x",
        higher_is_better=True,
    )


def _fit(
    name: str,
    automaton: Automaton,
    train: list[NDArray[np.int32]],
    test: list[NDArray[np.int32]],
    seed: int,
) -> tuple[NDArray[np.float64], int]:
    """Log-probabilities of the test strings, and the number of states or the rank."""
    d = automaton.n_symbols
    if name == OPERATORS:
        model = ObservableOperatorModel(n_features=d, random_state=seed, **SETTINGS[name])
        model.fit(train)
        return model.score_samples(test), model.rank_
    n_held_out = int(HELD_OUT * len(train))
    held_out, rest = _ended(train[:n_held_out], d), _ended(train[n_held_out:], d)
    best, chosen, found = -np.inf, 0, None
    for k in GRID:
        parameters, _, _ = ours.fit(
            rest.values, rest.offsets, k, d + 1, seed=seed, **SETTINGS[name]
        )
        score = float(log_likelihoods(parameters, held_out).sum())
        if score > best or found is None:
            best, chosen, found = score, k, parameters
    assert isinstance(found, HMMParameters)
    return log_likelihoods(found, _ended(test, d)), chosen


def _ended(strings: list[NDArray[np.int32]], end: int) -> Sequences:
    """Strings with the end appended to each."""
    return Sequences.from_list([np.append(string, np.int32(end)) for string in strings])


def _warm_up() -> None:
    """Compile all that is used: first calls are `startup.py`'s."""
    ours.warm_up()
    ObservableOperatorModel(1, ends=True).fit([[0, 1], [1]] * 5).score([[0]])


if __name__ == "__main__":
    main(run)
