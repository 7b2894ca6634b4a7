"""One E-step on 100,000 rows of 13 columns, 100 sequences: ours against hmmlearn and warm dynamax.

K is 5, 20 and 50. The time of an E-step does not depend on what the model has learned, so
parameters and rows are random. A full run takes about 5 minutes.
"""

from types import SimpleNamespace

import numpy as np

from bench import ours_series
from bench.harness import Report, main, race
from bench.rivals import dynamax_series, hmmlearn_series

N_SEQUENCES = 100
MUSTS = {  # by rival, covariance and K
    "hmmlearn scaling": {
        "diag": {5: 9.0, 20: 13.0, 50: 20.0},
        "full": {5: 6.0, 20: 16.0, 50: 24.0},
    },
    "dynamax, compiled and warm": {
        "diag": {5: 10.0, 20: 10.0, 50: 10.0},
        "full": {5: 2.0, 20: 8.0, 50: 8.0},
    },
}
COVARIANCES = ("diag", "full")


def run(
    n_rows: int = 100_000,
    n_features: int = 13,
    sizes: tuple[int, ...] = (5, 20, 50),
    rounds: int = 3,
) -> Report:
    """Time every E-step in turn and report ratios of the fastest rounds."""
    report = Report(
        "series_e_step",
        {
            "rows": n_rows,
            "columns": n_features,
            "sequences": N_SEQUENCES,
            "seed": 0,
            "rounds": rounds,
            "figures": "ratios of the fastest of the rounds; rivals timed in turn, on all rows",
            "ours": "rows laid out once a fit, outside the ratios",
            "precision": "ours and dynamax float32, hmmlearn float64",
            "rivals": 'hmmlearn GaussianHMM, implementation="scaling"; dynamax GaussianHMM and '
            "DiagonalGaussianHMM, all sequences in one batch, compiled by jax.jit beforehand",
        },
    )
    rows = np.random.default_rng(0).standard_normal((n_rows, n_features))
    lengths = np.full(N_SEQUENCES, n_rows // N_SEQUENCES)
    for covariance in COVARIANCES:
        for n_components in sizes:
            data = (_random_model(covariance, n_components, n_features), rows, lengths)
            times = race(
                {
                    "ours": ours_series.prepare_e_step(covariance, *data),
                    "ours, float64": ours_series.prepare_e_step(covariance, *data, np.float64),
                    "hmmlearn scaling": hmmlearn_series.prepare_e_step(covariance, *data),
                    "dynamax, compiled and warm": dynamax_series.prepare_e_step(covariance, *data),
                },
                rounds,
            )
            label = f"{covariance}, K={n_components}"
            report.details[f"seconds, {label}"] = times
            seconds = {name: time["min"] for name, time in times.items()}
            for name, time in seconds.items():
                report.add(f"{label}: {name}", 1e3 * time, unit="ms")
            for rival, musts in MUSTS.items():
                report.add(
                    f"{label}: ours against {rival}",
                    seconds[rival] / seconds["ours"],
                    must=musts[covariance].get(n_components),
                    unit="x",
                    higher_is_better=True,
                )
    return report


def _random_model(covariance: str, n_components: int, n_features: int) -> SimpleNamespace:
    """Flat Dirichlet draws, standard normal means, and covariances about the identity; seed 0."""
    rng = np.random.default_rng(0)
    variances = rng.uniform(0.5, 2.0, size=(n_components, n_features))
    roots = 0.2 * rng.standard_normal((n_components, n_features, n_features))
    full = variances[:, :, None] * np.eye(n_features) + roots @ roots.swapaxes(1, 2)
    return SimpleNamespace(
        startprob_=rng.dirichlet(np.ones(n_components)),
        transmat_=rng.dirichlet(np.ones(n_components), size=n_components),
        means_=rng.standard_normal((n_components, n_features)),
        covars_=variances if covariance == "diag" else full,
    )


if __name__ == "__main__":
    main(run)
