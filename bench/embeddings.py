"""Vectors of words of two texts: agreement with people's judgements, and time, beside skip-gram.

All sides have vectors of one length, of words that occur five times; cosines are scored by the same
code. The rival's figures are those of the setting with the better mean correlation.
"""

import sys
import time

from bench.embeddings_data import NAMES, REPORTED, Documents, corpus, judgements, score
from bench.harness import SKIPPED, Report, main
from bench.rivals.skip_gram import skip_gram
from spectral_estimators import PMIEmbedding

SIZE, MIN_COUNT, EPOCHS = 300, 5, 15
SETTINGS = {
    "window 5, 5 negative": {"window": 5, "negative": 5},
    "window 10, 15 negative": {"window": 10, "negative": 15},
}
SETS = ("WordSim-353", "SimLex-999", "mean", "analogies")

Figures = dict[str, float]


def run(
    corpora: tuple[str, ...] = REPORTED, n_seeds: int = 1, epochs: int = EPOCHS, size: int = SIZE
) -> Report:
    """Learn vectors of every text, by both sides, at several seeds."""
    report = Report(
        "embeddings",
        {
            **{name: NAMES[name] for name in corpora},
            "ours": f"PMIEmbedding({size}); other defaults were chosen on another text, "
            "An Anarchist FAQ",
            "gensim": f"Word2Vec(sg=1, vector_size={size}, epochs={epochs}, workers=1), the better "
            f"of {'; '.join(SETTINGS)}",
            "seeds": f"0..{n_seeds - 1}",
            "seconds": "of the processor, reading the texts left out",
        },
    )
    for name in corpora:
        documents = corpus(name)
        n_tokens = sum(map(len, documents))
        report.details[name] = {"tokens": n_tokens}
        sides = {"ours": _mean([ours(documents, size, seed) for seed in range(n_seeds)])}
        for setting, values in SETTINGS.items():
            sides[f"gensim, {setting}"] = _mean(
                [gensim(documents, size, epochs, seed, **values) for seed in range(n_seeds)]
            )
        report.details[name] |= sides
        _compare(report, name, sides)
    return report


def ours(documents: Documents, size: int, seed: int) -> Figures:
    """Figures of `PMIEmbedding` with its defaults."""
    begin = time.process_time()
    model = PMIEmbedding(size, min_count=MIN_COUNT, random_state=seed).fit(documents)
    seconds = time.process_time() - begin
    return {"seconds": seconds, **score(model.embedding_, judgements(model.words_))}


def gensim(documents: Documents, size: int, epochs: int, seed: int, **values: int) -> Figures:
    """Figures of skip-gram."""
    words, vectors, seconds = skip_gram(
        documents, size=size, min_count=MIN_COUNT, epochs=epochs, seed=seed, **values
    )
    return {"seconds": seconds, **score(vectors, judgements(words))}


def _mean(each: list[Figures]) -> Figures:
    return {key: sum(one[key] for one in each) / len(each) for key in each[0]}


def _compare(report: Report, name: str, sides: dict[str, Figures]) -> None:
    """Rows of one text."""
    mine = sides["ours"]
    rivals = {side: figures for side, figures in sides.items() if side != "ours"}
    best = max(rivals, key=lambda side: rivals[side]["mean"])
    theirs = rivals[best]
    bounds = {"mean": {"must": 0.0, "reach": 0.01}}
    for which in SETS:
        unit = "right" if which == "analogies" else "rho"
        report.add(
            f"{name}: {which}, ours less {best} ({theirs[which]:.3f})",
            mine[which] - theirs[which],
            unit=unit,
            higher_is_better=True,
            **bounds.get(which, {}),
        )
    quickest = min(rivals, key=lambda side: rivals[side]["seconds"])
    for side in dict.fromkeys((best, quickest)):
        report.add(
            f"{name}: seconds, ours over {side} ({rivals[side]['seconds']:.0f} s)",
            mine["seconds"] / rivals[side]["seconds"],
            must=1 / 4,
            reach=1 / 10,
        )


if __name__ == "__main__":
    try:
        import gensim as _  # noqa: F401
    except ImportError:
        print("gensim is not installed: nothing was measured")
        sys.exit(SKIPPED)
    main(run)
