"""One E-step on 100,000 characters: lanes against hmmlearn and warm dynamax, K = 10, 30, 100.

The time of an E-step does not depend on what the model has learned, so its parameters are random.
dynamax gets the text both as one sequence and cut into 100, and is compared at its faster.
"""

import numpy as np

from bench import ours
from bench.harness import Report, main, race
from bench.rivals import dynamax, hmmlearn
from bench.scoring import split_text
from spectral_nn.models.chains.parameters import HMMParameters

HMMLEARN = {10: (8.0, 15.0), 30: (15.0, 40.0), 100: (15.0, 40.0)}  # must, reach by K
DYNAMAX = (4.0, 10.0)


def run(n_tokens: int = 100_000, sizes: tuple[int, ...] = (10, 30, 100), rounds: int = 5) -> Report:
    """Time every E-step in turn and report ratios of the fastest rounds."""
    split = split_text("python manual", n_tokens, n_tokens)
    codes, whole = split.train, split.offsets
    pieces = np.arange(0, codes.size + 1, codes.size // 100)
    cut = codes[: pieces[-1]]
    report = Report(
        "e_step",
        {
            "tokens": codes.size,
            "symbols": split.n_symbols,
            "seed": 0,
            "rounds": rounds,
            "figures": "ratios of the fastest of the rounds; rivals timed in turn",
            "lanes": "codes laid out once a fit, outside the ratios",
            "precision": "lanes and dynamax float32, hmmlearn float64",
        },
    )
    for n_components in sizes:
        model = _random_model(n_components, split.n_symbols)
        times = race(
            {
                "lanes float32": ours.prepare_e_step(model, codes, whole),
                "lanes float32, laid out anew": ours.prepare_first_e_step(model, codes, whole),
                "lanes float64": ours.prepare_e_step(model, codes, whole, np.float64),
                "hmmlearn scaling": hmmlearn.prepare_e_step(model, codes, whole),
                "dynamax, 1 sequence": dynamax.prepare_e_step(model, codes, whole),
                "dynamax, 100 sequences": dynamax.prepare_e_step(model, cut, pieces),
            },
            rounds,
        )
        report.details[f"seconds, K={n_components}"] = times
        seconds = {name: time["min"] for name, time in times.items()}
        fast = seconds["lanes float32"]
        best = min(seconds["dynamax, 1 sequence"], seconds["dynamax, 100 sequences"])
        must, reach = HMMLEARN.get(n_components, (None, None))
        report.add(f"K={n_components}: lanes, float32", 1e3 * fast, unit="ms")
        report.add(
            f"K={n_components}: lanes, float32, laid out anew",
            1e3 * seconds["lanes float32, laid out anew"],
            unit="ms",
        )
        report.add(f"K={n_components}: lanes, float64", 1e3 * seconds["lanes float64"], unit="ms")
        report.add(
            f"K={n_components}: lanes against hmmlearn scaling",
            seconds["hmmlearn scaling"] / fast,
            must=must,
            reach=reach,
            unit="x",
            higher_is_better=True,
        )
        report.add(
            f"K={n_components}: lanes against warm dynamax, its best",
            best / fast,
            must=DYNAMAX[0],
            reach=DYNAMAX[1],
            unit="x",
            higher_is_better=True,
        )
    return report


def _random_model(n_components: int, n_symbols: int) -> HMMParameters:
    """Flat Dirichlet draws, seed 0."""
    rng = np.random.default_rng(0)
    return HMMParameters.categorical(
        rng.dirichlet(np.ones(n_components)),
        rng.dirichlet(np.ones(n_components), size=n_components),
        rng.dirichlet(np.ones(n_symbols), size=n_components),
    )


if __name__ == "__main__":
    main(run)
