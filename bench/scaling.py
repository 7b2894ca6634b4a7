"""Time and peak memory of a fit, K=30, from 10,000 to 10,000,000 tokens.

Each size runs in a fresh process that loads its codes from a file, so that its peak memory is its
own: codes, counting and the whole fit, with the libraries. Draws ``bench/results/scaling.png``.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import RESULTS, Report, main
from spectral_nn.datasets import planted_hmm, sample_hmm

N_COMPONENTS, N_SYMBOLS = 30, 50
CHILD = """
import json, resource, sys
import numpy as np
from bench import harness, ours
harness.confine_to_one_thread()
codes = np.load(sys.argv[1])
ours.warm_up()
_, seconds, model = ours.fit(codes, np.array([0, codes.size]), {k}, {d}, seed=0)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps(dict(tokens=codes.size, seconds=seconds, peak=peak)))
"""


def run(sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)) -> Report:
    """Fit every size and report the largest, and the slope of log time against log N."""
    report = Report(
        "scaling",
        {
            "model": f"K={N_COMPONENTS}, d={N_SYMBOLS}, emissions Dirichlet(0.3), one sequence",
            "seed": 0,
            "sizes": list(sizes),
            "slope": "of log time against log N, over the two largest sizes",
        },
    )
    rng = np.random.default_rng(0)
    true = planted_hmm(N_COMPONENTS, N_SYMBOLS, rng=rng)
    codes = sample_hmm(true, max(sizes), rng)[0].ravel()
    points = [_fit_in_child(codes[:size]) for size in sizes]
    report.details = {"points": points}
    for point in points:
        report.add(f"N={point['tokens']}: fit", point["seconds"], unit="s")
        report.add(f"N={point['tokens']}: peak memory", point["peak"], must=8.0, unit="GiB")
    seconds = np.log([point["seconds"] for point in points[-2:]])
    slope = (seconds[1] - seconds[0]) / np.log(sizes[-1] / sizes[-2])
    report.add("slope of log time against log N (linear: 1)", slope, reach=1.1)
    _draw(points, RESULTS / "scaling.png")
    return report


def _fit_in_child(codes: NDArray[np.int32]) -> dict[str, Any]:
    """Fit in a fresh process: tokens, seconds, peak memory in GiB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "codes.npy"
        np.save(path, codes)
        done = subprocess.run(
            [sys.executable, "-c", CHILD.format(k=N_COMPONENTS, d=N_SYMBOLS), str(path)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return json.loads(done.stdout)


def _draw(points: list[dict[str, Any]], path: Path) -> None:
    """Time and memory against N, both axes logarithmic, with a line of slope one."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    tokens = np.array([point["tokens"] for point in points], dtype=float)
    seconds = np.array([point["seconds"] for point in points])
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    left.loglog(tokens, seconds, "o-", label="fit")
    left.loglog(tokens, seconds[-1] * tokens / tokens[-1], "k:", label="linear in N")
    left.set(xlabel="tokens N", ylabel="seconds", title=f"time, K={N_COMPONENTS}, one thread")
    left.legend()
    right.loglog(tokens, [point["peak"] for point in points], "o-")
    right.axhline(8.0, color="k", linestyle=":")
    right.set(xlabel="tokens N", ylabel="GiB", title="peak memory of the process")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main(run)
