"""Every public estimator: settings that make it quick, the data that it takes, what it answers."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import FunctionTransformer

import spectral_estimators as se
from spectral_estimators import trainers
from tests.fuzz.arguments import arguments
from tests.fuzz.documents import Named, names, texts
from tests.fuzz.graphs import graphs
from tests.fuzz.sequences import Labelled, cuts
from tests.fuzz.tables import tables
from tests.fuzz.targets import LABELS, NUMBERS, PARTLY, Rows, targets, weights

NUMBERS_LAWS = ("normal", "clusters", "scales", "counts")


@dataclass(frozen=True)
class Subject:
    """An estimator, and how it is tried.

    Attributes
    ----------
    kind : class
    cases : strategy of what ``make()`` turns into the arguments of ``fit``.
    settings : of the constructor, unless a case changes them.
    answers : methods that a fitted estimator has for the data of its fit.
    choices : values of arguments that constraints do not name.
    """

    kind: type
    cases: st.SearchStrategy[Any]
    settings: dict[str, Any]
    answers: tuple[str, ...]
    choices: dict[str, list[Any]] = field(default_factory=dict)

    def models(self) -> st.SearchStrategy[Any]:
        """Estimators that are not fitted."""
        return arguments(self.kind, self.choices).map(lambda a: self.kind(**self.settings | a))

    def __str__(self) -> str:
        return self.kind.__name__


def _rows(*laws, y=None, weight=True):
    return st.builds(
        Rows,
        X=tables(*laws),
        y=st.none() if y is None else targets(y),
        sample_weight=weights() if weight else st.none(),
        seed=st.integers(0, 99),
    )


CHAIN: dict[str, Any] = {"n_components": 2, "n_iter": 3, "n_init": 2, "random_state": 0}
CHAIN_ANSWERS = (
    "predict",
    "predict_proba",
    "predict_next",
    "decode",
    "score",
    "score_samples",
    "aic",
    "bic",
    "icl",
    "sample",
    "get_stationary_distribution",
)
CHAIN_CHOICES: dict[str, list[Any]] = {
    "params": ["", "s", "st", "t"],
    "init_params": ["", "s", "t", "st"],
    "missing": [np.nan, 0, -1],
    "startprob_prior": [[1.0, 2.0], 0.5],
    "transmat_prior": [np.full((2, 2), 3.0), 0.5],
}
NET: dict[str, Any] = {"max_iter": 3, "random_state": 0}
NET_CHOICES: dict[str, list[Any]] = {
    "hidden_layer_sizes": [(3,), 2, (2, 3), (1,), "auto", (30,), (), (0,), (2.5,), [[2]]],
    "solver": [getattr(trainers, name)() for name in trainers.__all__],
    "n_iter_no_change": [np.inf],
}
CLASSES = ("predict", "predict_proba", "predict_log_proba")
MIXTURE_ANSWERS = ("predict", "predict_proba", "score", "score_samples", "aic", "bic", "sample")
HMMS = [
    se.CategoricalHMM(2, n_iter=2, random_state=0),
    se.GaussianHMM(1, random_state=0),
    se.PoissonHMM(2, n_iter=2, random_state=0),
]
RESIDUALS = (*CHAIN_ANSWERS, "pseudo_residuals")

SUBJECTS = [
    Subject(se.GaussianHMM, cuts(*NUMBERS_LAWS), CHAIN, RESIDUALS, CHAIN_CHOICES),
    Subject(se.GMMHMM, cuts(*NUMBERS_LAWS), CHAIN | {"n_mix": 2}, RESIDUALS, CHAIN_CHOICES),
    Subject(se.PoissonHMM, cuts("counts", "symbols"), CHAIN, RESIDUALS, CHAIN_CHOICES),
    Subject(
        se.MultinomialHMM,
        cuts("trials", "counts"),
        CHAIN,
        tuple(name for name in CHAIN_ANSWERS if name != "sample"),  # which needs one n_trials
        CHAIN_CHOICES | {"n_trials": [6, [6] * 20]},
    ),
    Subject(se.BernoulliHMM, cuts("binary"), CHAIN, RESIDUALS, CHAIN_CHOICES),
    Subject(
        se.CategoricalHMM,
        cuts("symbols", "binary", max_columns=1),
        CHAIN,
        CHAIN_ANSWERS,
        CHAIN_CHOICES
        | {"context_lags": [[1], [1, 2], [0]], "symbol_features": [np.eye(4), np.ones((4, 1))]},
    ),
    Subject(
        se.HMMClassifier,
        st.builds(
            Labelled,
            cuts("symbols", "binary", max_columns=1, labels=False),
            targets({"labels": None, "words": None}),
        ),
        {"estimator": HMMS[0]},
        (*CLASSES, "decision_function"),
        {"estimator": HMMS, "priors": [[0.5, 0.5], [0.2, 0.3, 0.5], [0.0, 1.0, 0.0]]},
    ),
    Subject(
        se.ObservableOperatorModel,
        cuts("symbols", "binary", max_columns=1, labels=False),
        {"n_components": 2, "random_state": 0},
        ("predict_next", "score", "score_samples", "sample"),
    ),
    Subject(
        se.PerSequence,
        cuts(*NUMBERS_LAWS, labels=False),
        {"transformer": se.Lagged(2)},
        ("transform",),
        {"transformer": [se.Lagged(1), FunctionTransformer(np.asarray, validate=True)]},
    ),
    Subject(se.Lagged, _rows(*NUMBERS_LAWS, weight=False), {}, ("transform",)),
    Subject(
        se.MLPRegressor,
        _rows(*NUMBERS_LAWS, y=NUMBERS),
        NET | {"hidden_layer_sizes": (3,)},
        ("predict", "score"),
        NET_CHOICES,
    ),
    Subject(
        se.MLPClassifier,
        _rows(*NUMBERS_LAWS, y=LABELS),
        NET | {"hidden_layer_sizes": (3,)},
        (*CLASSES, "score"),
        NET_CHOICES,
    ),
    Subject(
        se.TensorFeatures,
        _rows(*NUMBERS_LAWS, y=NUMBERS | LABELS),
        {"n_components": 2, "random_state": 0},
        ("transform",),
    ),
    Subject(
        se.EquilibriumMLPRegressor,
        _rows(*NUMBERS_LAWS, y=NUMBERS),
        NET | {"n_units": 4},
        ("predict", "score"),
    ),
    Subject(
        se.EquilibriumMLPClassifier,
        _rows(*NUMBERS_LAWS, y=LABELS),
        NET | {"n_units": 4},
        (*CLASSES, "score"),
    ),
    Subject(
        se.EquilibriumPropagationClassifier,
        _rows(*NUMBERS_LAWS, y=LABELS),
        NET | {"hidden_layer_sizes": (4,)},
        (*CLASSES, "score"),
        NET_CHOICES,
    ),
    Subject(
        se.SpikingClassifier,
        _rows(*NUMBERS_LAWS, y=LABELS),
        NET | {"hidden_layer_sizes": (4,), "n_steps": 4},
        (*CLASSES, "score", "spikes_per_sample"),
        NET_CHOICES,
    ),
    Subject(
        se.GaussianMixture,
        _rows(*NUMBERS_LAWS),
        {"n_components": 2, "max_iter": 5, "random_state": 0},
        MIXTURE_ANSWERS,
    ),
    Subject(
        se.MultiViewGaussianMixture,
        _rows(*NUMBERS_LAWS),
        {"n_components": 2, "max_iter": 5, "random_state": 0},
        MIXTURE_ANSWERS,
        {"views": [[[0], [1], [2]], [[0, 1], [2]], [[0], [0]], [[9]], [[]], [0, 1]]},
    ),
    Subject(
        se.MultiViewMixture,
        _rows("symbols", "binary"),
        {"n_components": 2, "n_init": 3, "max_iter": 5, "random_state": 0},
        MIXTURE_ANSWERS,
        {"categories": [[[0, 1, 2, 3]] * 3, [], [[0]], (1, 2)]},
    ),
    Subject(
        se.DawidSkene,
        _rows("symbols", "binary", weight=False),
        {"max_iter": 5, "random_state": 0},
        ("predict", "predict_proba", "transform"),
    ),
    Subject(
        se.LatentDirichletAllocation,
        _rows("counts", "symbols", weight=False),
        {"n_components": 2, "max_iter": 3, "random_state": 0},
        ("transform", "score", "perplexity"),
        {"doc_topic_prior": [0.5, [0.1, 0.2]], "init": [np.ones((2, 3))]},
    ),
    Subject(
        se.PMIEmbedding,
        texts() | st.builds(Named, tables("counts", "symbols"), names()),
        {"n_components": 2, "min_count": 1, "random_state": 0},
        (),
    ),
]
for _kind in (se.LabelPropagation, se.LabelSpreading):
    SUBJECTS += [
        Subject(
            _kind,
            _rows(*NUMBERS_LAWS, y=PARTLY, weight=False),
            {"max_iter": 20},
            ("predict", "predict_proba"),
            {"kernel": ["rbf", "knn", rbf_kernel]},
        ),
        Subject(
            _kind,
            st.builds(Rows, X=graphs(), y=targets(PARTLY)),
            {"max_iter": 20, "kernel": "precomputed"},
            ("predict", "predict_proba"),
        ),
    ]
