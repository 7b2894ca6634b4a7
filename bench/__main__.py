"""All benchmarks, one after another, each in its own process: ``python -m bench [name ...]``."""

import subprocess
import sys
from dataclasses import replace

from bench.harness import MISSED, SKIPPED, Row, kept_rows, print_table

PROBLEMS = (
    "one_step",
    "startup",
    "e_step",
    "planted_slope",
    "planted_sticky",
    "operators",
    "automata",
    "text_k10",
    "text_k30",
    "genes",
    "economy",
    "words",
    "words_default",
    "series_e_step",
    "series_optima",
    "series_real",
    "series_coverage",
    "series_classify",
    "series_missing",
    "series_memmap",
    "latent_classes",
    "scaling",
    "network_speed",
    "network_recovery",
    "network_angles",
    "network_zhong",
    "network_tabular",
    "network_lift",
    "sensitivity",
    "directions_coverage",
    "input_laws",
    "white_noise",
    "white_noise_stnmf",
    "simulations",
    "trainers",
    "trainers_gradients",
    "trainers_planted",
    "trainers_models",
    "trainers_mnist",
    "trainers_speed",
    "topics_planted",
    "topics_real",
    "topics_stream",
    "embeddings",
    "embeddings_stream",
    "mixture_planted",
    "mixture_real",
    "labels",
    "scale_same",
    "scale_speed",
    "scale_memory",
    "scale_memmap",
    "scale_costs",
    "scale_law",
)


def main(names: list[str]) -> int:
    """Run the named benchmarks, all by default; 1 if one crashed or missed a must."""
    unknown = sorted(set(names) - set(PROBLEMS))
    if unknown:
        print(f"no benchmark called {', '.join(unknown)}; there are {', '.join(PROBLEMS)}")
        return 2
    failed: list[str] = []
    claims: list[Row] = []
    for name in names or PROBLEMS:
        print(f"== {name}", flush=True)
        status = subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode
        if status not in (0, SKIPPED):
            failed.append(name if status == MISSED else f"{name} (crashed)")
        if status in (0, MISSED):
            claims += [
                replace(row, claim=f"{name}: {row.claim}")
                for row in kept_rows(name)
                if row.must is not None or row.reach is not None
            ]
    if claims:
        print_table("all claims", claims)
    if failed:
        print(f"missed a must, or crashed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
