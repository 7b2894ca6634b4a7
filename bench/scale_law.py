"""What a fit would take on 1, 100 and 1,000 workers: from measured costs, by simulation.

Reads what `bench.scale_costs` and, as far as they have been run, the other benchmarks of scale have
kept; writes ``docs/scaling.md``, whose figures all come from there, and ``docs/scaling.png``.
"""

import json
from pathlib import Path

import numpy as np

from bench.harness import RESULTS, Report, main
from bench.scale_model import (
    BANDWIDTH,
    PARTS,
    SLOWDOWN,
    STRAGGLERS,
    WIRE,
    Costs,
    fastest,
    on_network,
    serial_pass,
    simulate_pass,
    with_stragglers,
    worthwhile,
)
from bench.scale_page import page
from bench.scale_plot import draw

DOCS = Path(__file__).parents[1] / "docs"
STEPS = 100  # of EM, the most by default
TOKENS = (1e9, 1e12)
WORKERS = (1, 100, 1000)
COUNTS = tuple(int(n) for n in np.unique(np.geomspace(1, 10_000, 49).round()))
CURVES = (1e7, 1e8, 1e9, 1e10, 1e12)
PLOTTED = "E-step, K=30"


def run(docs: Path = DOCS, results: Path = RESULTS) -> Report:
    """Predict passes and fits, and write the page and its picture."""
    kept = json.loads((results / "scale_costs.json").read_text())
    measured = {name: Costs(**values) for name, values in kept["details"]["costs"].items()}
    costs = {name: on_network(cost) for name, cost in measured.items()}
    report = Report(
        "scale_law",
        {
            "fit": f'init="random", one start: a counting pass and {STEPS} EM steps, d=50',
            "costs": f"bench/results/scale_costs.json of {kept['environment']['date']}, "
            f"{kept['environment']['cpu']}",
            "assumed network": f"{WIRE * 1e3:g} ms a message, {BANDWIDTH / 1e9:g} GB/s a worker",
            "assumed parts": f"{PARTS} a worker; data in the workers' memory at the start",
            "stragglers": f"{STRAGGLERS:.0%} of the workers at 1/{SLOWDOWN:g} of their speed, "
            "others in each pass",
        },
    )
    fits = {
        name: {
            n_tokens: [fit_seconds(costs, name, n_tokens, count) for count in WORKERS]
            for n_tokens in TOKENS
        }
        for name in costs
        if name != "counting"
    }
    for name, sizes in fits.items():
        for n_tokens, seconds in sizes.items():
            for n_workers, value in zip(WORKERS, seconds, strict=True):
                what = f"{name}: fit of {n_tokens:.0e} tokens, {n_workers} workers"
                report.add(what, value / 3600, unit="h")
    steps = {n_tokens: about_a_pass(costs[PLOTTED], n_tokens) for n_tokens in CURVES}
    checks = kept["details"]["passes"]
    report.details = {"passes": steps, "checks": checks}
    docs.mkdir(exist_ok=True)
    text = page(measured, steps, fits, checks, kept["environment"]["cpu"], results)
    (docs / "scaling.md").write_text(text)
    curves = {
        n: [simulate_pass(costs[PLOTTED], n, count).seconds for count in COUNTS] for n in CURVES
    }
    draw(COUNTS, curves, costs[PLOTTED], checks, docs / "scaling.png")
    return report


def fit_seconds(costs: dict[str, Costs], name: str, n_tokens: float, n_workers: int) -> float:
    """A counting pass and the steps of EM; on one worker without a cluster."""

    def one(cost: Costs) -> float:
        if n_workers == 1:
            return serial_pass(cost, n_tokens)
        return simulate_pass(cost, n_tokens, n_workers).seconds

    return one(costs["counting"]) + STEPS * one(costs[name])


def about_a_pass(costs: Costs, n_tokens: float) -> dict[str, float]:
    """What the page tells of a pass over so many tokens."""
    thousand = simulate_pass(costs, n_tokens, 1000)
    best = fastest(costs, n_tokens, COUNTS)
    return {
        "one process": serial_pass(costs, n_tokens),
        "1000 workers": thousand.seconds,
        "scheduling": thousand.scheduling,
        "compute": thousand.compute,
        "tree": thousand.tree + thousand.parameters,
        "stragglers": with_stragglers(costs, n_tokens, 1000, np.random.default_rng(0)),
        "half used": worthwhile(costs, n_tokens, COUNTS),
        "fastest": best,
        "seconds of the fastest": simulate_pass(costs, n_tokens, best).seconds,
    }


if __name__ == "__main__":
    main(run)
