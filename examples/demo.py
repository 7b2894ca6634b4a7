"""The main jobs, by moments and by what is used otherwise: ``make demo``.

First series of numbers, real and planted, beside hmmlearn (`examples.demo_series`): two tables, a
picture.

Then a text.  A hidden Markov model with ten states learns from 100,000 characters of the Python
manual, which ships with the interpreter, and is judged on the 50,000 that follow.  Our estimator
runs once for each of five seeds; beside it hmmlearn runs ten restarts of at most 100 iterations and
keeps the one with the best training likelihood.  One thread each; both are scored by the same
function.  It prints one table and draws three pictures.

Then words, and their parts of speech without labels (`examples.demo_words`): a table, some tagged
sentences, a picture.

Then networks, planted and real, beside backpropagation (`examples.demo_network`): two tables, two
pictures.

Last topics of news, beside scikit-learn (`examples.demo_topics`): a table, a picture.

Pictures go to ``build/demo``, which git ignores, or to a folder named as the only argument:
``make pictures`` names ``examples/pictures``, where the committed ones are.
"""

from bench.harness import confine_to_one_thread, cpu_model, environment

confine_to_one_thread()  # before numpy is imported

import argparse
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bench import ours
from bench.rivals import hmmlearn
from bench.scoring import SMOOTHING, Split, held_out_bits, split_text
from examples import demo_network, demo_pictures, demo_series, demo_topics, demo_words
from examples.live_line import LiveLine
from spectral_estimators import CategoricalHMM
from spectral_estimators.metrics import HMMParameters, bits_per_symbol

N_COMPONENTS = 10
N_TRAIN, N_HELD_OUT = 100_000, 50_000
SEEDS = range(5)
RESTARTS = range(10)
N_ITER = 100


@dataclass
class Run:
    """One fit: what it found, and its training likelihood as it went."""

    parameters: HMMParameters
    seconds: float
    train: float  # bits a character, as held_out
    held_out: float
    model: CategoricalHMM | None = None
    likelihood: float = -np.inf
    curve: list[tuple[float, float]] = field(default_factory=list)  # seconds, bits a character


def fit_ours(split: Split, seed: int, line: LiveLine) -> Run:
    """Our estimator with its defaults."""
    curve: list[tuple[float, float]] = []
    begin = time.perf_counter()

    def on_step(stage: str, step: int, objective: float) -> None:
        elapsed = time.perf_counter() - begin
        line.show(f"  ours, seed {seed}: {elapsed:.1f} s, {stage} {step}")
        if stage == "EM":  # the stage that sees all of the text: races are on parts of it
            curve.append((elapsed, bits_per_symbol(objective, split.train.size)))

    parameters, seconds, model = ours.fit(
        split.train, split.offsets, N_COMPONENTS, split.n_symbols, seed=seed, verbose=on_step
    )
    run = _scored(split, parameters, seconds)
    run.model, run.curve, run.likelihood = model, curve, model.monitor_.history[-1]
    line.end(f"  ours, seed {seed}: {seconds:.2f} s, held out {run.held_out:.4f} bits")
    return run


def fit_hmmlearn(split: Split, seed: int, line: LiveLine, spent: float) -> Run:
    """One restart of hmmlearn, after ``spent`` seconds on those before."""
    curve: list[tuple[float, float]] = []
    begin = time.perf_counter()

    def on_step(iteration: int, likelihood: float) -> None:
        elapsed = spent + time.perf_counter() - begin
        bits = bits_per_symbol(likelihood, split.train.size)
        curve.append((elapsed, bits))
        line.show(
            f"  hmmlearn, restart {seed + 1} of {len(RESTARTS)}: {elapsed:.0f} s, "
            f"iteration {iteration}, {bits:.4f} bits"
        )

    parameters, seconds, scores = hmmlearn.fit(
        split.train,
        split.offsets,
        N_COMPONENTS,
        split.n_symbols,
        n_init=1,
        n_iter=N_ITER,
        seed=seed,
        on_step=on_step,
    )
    run = _scored(split, parameters, seconds)
    run.likelihood, run.curve = scores[0], curve
    line.end(f"  hmmlearn, restart {seed + 1}: {seconds:.1f} s, held out {run.held_out:.4f} bits")
    return run


def _scored(split: Split, parameters: HMMParameters, seconds: float) -> Run:
    """Score both parts of the text with the one scorer of both sides."""
    train, held_out = (held_out_bits(parameters, codes) for codes in (split.train, split.test))
    return Run(parameters, seconds, train, held_out)


def print_table(our_runs: list[Run], their_runs: list[Run]) -> None:
    """Print every seed of ours, the restart that hmmlearn keeps, means, and the ratio of times."""
    best = max(their_runs, key=lambda run: run.likelihood)
    total = sum(run.seconds for run in their_runs)
    mean, mean_one = _mean(our_runs), _mean(their_runs)
    rows = [
        *(
            (f"ours, seed {seed}", *_figures(run))
            for seed, run in zip(SEEDS, our_runs, strict=True)
        ),
        ("ours, mean of seeds", *mean),
        ("hmmlearn, a restart (mean)", *mean_one),
        (f"hmmlearn, best of {len(their_runs)}", total, best.train, best.held_out),
    ]
    print(f"\n{'':<28}{'seconds':>9}{'train bits/char':>18}{'held-out bits/char':>21}")
    for name, seconds, train, held_out in rows:
        if name.startswith(("ours, mean", "hmmlearn, a")):
            print("-" * 76)
        print(f"{name:<28}{seconds:>9.2f}{train:>18.4f}{held_out:>21.4f}")
    gain = best.held_out - mean[2]
    better = sum(run.held_out < best.held_out for run in our_runs)
    print(
        f"\nhmmlearn's best of {len(their_runs)} takes {total / mean[0]:.0f} times as long as a "
        f"fit of ours, one restart {mean_one[0] / mean[0]:.1f} times.\n"
        f"Held out, {better} of {len(our_runs)} seeds of ours are better than the best of "
        f"{len(their_runs)};\nthe mean of ours is {abs(gain):.4f} bits a character "
        f"{'better' if gain > 0 else 'worse'}."
    )
    print_settings()


def print_settings() -> None:
    """Print all that is needed to run this again."""
    versions = environment()["versions"]
    packages = ("numpy", "numba", "scikit-learn", "hmmlearn")
    print(
        f"""
ours      CategoricalHMM(n_components={N_COMPONENTS}), defaults, random_state {_span(SEEDS)}
hmmlearn  CategoricalHMM(n_components={N_COMPONENTS}, implementation="scaling", n_iter={N_ITER}),
          tol at its default .01, random_state {_span(RESTARTS)}; best by training likelihood
text      {N_TRAIN:,} characters of the Python manual, one sequence; next {N_HELD_OUT:,} held out
scoring   every row of both sides mixed with {SMOOTHING:g} uniform, hmmlearn's exact forward pass
machine   one thread of {cpu_model()}
versions  {", ".join(f"{name} {versions[name]}" for name in packages)}"""
    )


def _span(seeds: range) -> str:
    return f"{seeds[0]}..{seeds[-1]}"


def _figures(run: Run) -> tuple[float, float, float]:
    return run.seconds, run.train, run.held_out


def _mean(runs: list[Run]) -> tuple[float, ...]:
    return tuple(statistics.mean(column) for column in zip(*map(_figures, runs), strict=True))


def noise_spectrum(split: Split) -> np.ndarray:
    """Singular values of the same characters in random order, in which there is nothing to find."""
    shuffled = np.random.default_rng(0).permutation(split.train)
    model = CategoricalHMM(N_COMPONENTS, n_features=split.n_symbols, n_iter=0, random_state=0)
    return model.fit(shuffled).report_.singular_values


def main() -> None:
    """Run all parts, and say where their pictures are."""
    parser = argparse.ArgumentParser(description="The main jobs, beside rivals; four minutes.")
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=demo_pictures.FOLDER,
        help="where to put the pictures (default: %(default)s)",
    )
    folder = parser.parse_args().folder
    line = LiveLine()
    print("1. Hidden Markov models of series\n")
    pictures = demo_pictures.save(demo_series.main(line), folder)
    print("\n\n2. A hidden Markov model of a text\n")
    pictures += demo_pictures.save(learn_text(line), folder)
    print("\n\n3. Parts of speech without labels\n")
    pictures += demo_pictures.save(demo_words.main(line), folder)
    print("\n\n4. A shallow network\n")
    pictures += demo_pictures.save(demo_network.main(line), folder)
    print("\n\n5. Topics of news\n")
    pictures += demo_pictures.save(demo_topics.main(line), folder)
    print(f"\nPictures, in {folder}:", *(path.name for path in pictures), sep="\n  ")


def learn_text(line: LiveLine) -> dict[str, Figure]:
    """Run both sides on the text, print the table, draw the pictures."""
    split = split_text("python manual", N_TRAIN, N_HELD_OUT)
    line.show("  compiling, the first time only")
    ours.warm_up()
    our_runs = [fit_ours(split, seed, line) for seed in SEEDS]
    their_runs: list[Run] = []
    for seed in RESTARTS:
        spent = sum(run.seconds for run in their_runs)
        their_runs.append(fit_hmmlearn(split, seed, line, spent))
    print_table(our_runs, their_runs)
    best = max(our_runs, key=lambda run: run.likelihood)
    assert best.model is not None
    return {
        "likelihood": demo_pictures.likelihood_against_time(
            [run.curve for run in our_runs], [run.curve for run in their_runs]
        ),
        "states": demo_pictures.states(best.model, split.alphabet, split.test),
        "spectrum": demo_pictures.spectrum(best.model, noise_spectrum(split)),
    }


if __name__ == "__main__":
    main()
