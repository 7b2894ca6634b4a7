"""Checks of scikit-learn that cannot hold, by class, with the reason for each.

The tests are strict: a check that is named here and passes fails the suite.
"""

_COLUMNS = (
    "the check indexes columns of its table, but the estimator takes one column of symbols, and the"
    " check's own data have one dimension where tags say so"
)

_ROWS_DRAWN = (
    "moments weigh rows, but the noise that they are compared with and the rows of a race are "
    "drawn by row, so that a row twice is not a row of weight two to the last bit"
)

BATCHES_DRAWN = dict.fromkeys(
    (
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
    ),
    "batches are drawn by row: a row twice is in two of them, or twice in one",
)

DRAWN_STARTS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "k-means draws rows, of which a row twice is two: starts differ, and so may the optimum"
    ),
}

LABELS_OF_THREE_STATES = (
    "the check's y names three states, and CategoricalHMM() has one: labels of states that the "
    "model does not have are refused"
)
LABELLED_CHECKS = (
    "check_estimators_overwrite_params",
    "check_estimators_fit_returns_self",
    "check_readonly_memmap_input",
    "check_estimators_dtypes",
    "check_pipeline_consistency",
    "check_estimators_pickle",
    "check_array_api_input",
    "check_fit_idempotent",
    "check_fit_check_is_fitted",
)
LABELLED_CHECKS_OF_ROWS = (
    *LABELLED_CHECKS,
    "check_fit_score_takes_y",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_estimators_nan_inf",
    "check_f_contiguous_array_estimator",
    "check_dict_unchanged",
    "check_dtype_object",
)

_MANY_LABELS = (
    "the check's y holds whole numbers of any size, and labels of states that the model does not "
    "have are refused"
)

HELD_OUT_CHECKS = dict.fromkeys(
    (
        "check_fit_score_takes_y",
        "check_estimators_overwrite_params",
        "check_estimators_fit_returns_self",
        "check_readonly_memmap_input",
        "check_estimators_dtypes",
        "check_pipeline_consistency",
        "check_estimators_pickle",
        "check_array_api_input",
    ),
    "n_components='auto' holds out data, and the check has too few, or calls partial_fit, which "
    "keeps only sums",
)

_SYMBOL_CHECKS = {
    "check_estimators_nan_inf": (
        "the check passes a table of three columns; NaN and infinity in one column raise, "
        "see test_bad_input.py"
    ),
    "check_estimator_sparse_array": (
        "the check makes its sparse table from data of one dimension, which SciPy cannot do; "
        "sparse input raises, see test_bad_input.py"
    ),
    "check_n_features_in": "there is no n_features_in_: a sequence of symbols has no columns",
    "check_n_features_in_after_fitting": (
        "there is no n_features_in_: a sequence of symbols has no columns"
    ),
} | dict.fromkeys(
    (
        "check_dont_overwrite_parameters",
        "check_dtype_object",
        "check_f_contiguous_array_estimator",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_fit2d_1sample",
        "check_fit2d_1feature",
        "check_dict_unchanged",
        "check_fit2d_predict1d",
    ),
    _COLUMNS,
)

_WEIGHED_CHECKS = dict.fromkeys(
    (
        "check_all_zero_sample_weights_error",
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weights_list",
        "check_sample_weights_not_an_array",
        "check_sample_weights_not_overwritten",
        "check_sample_weights_pandas_series",
        "check_sample_weights_shape",
    ),
    "the check gives a weight for every row of a table, but a table is one sequence, and weights "
    "are those of sequences; see test_sample_weight.py",
)

CHECKS_OF_COUNTS = _WEIGHED_CHECKS | dict.fromkeys(
    (
        "check_dont_overwrite_parameters",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_fit2d_1feature",
        "check_fit2d_predict1d",
    ),
    _MANY_LABELS,
)

EXPECTED_FAILED_CHECKS: dict[str, dict[str, str]] = {
    "BernoulliHMM": _WEIGHED_CHECKS
    | dict.fromkeys(
        (
            "check_array_api_input",
            "check_dict_unchanged",
            "check_dont_overwrite_parameters",
            "check_estimators_dtypes",
            "check_estimators_fit_returns_self",
            "check_estimators_overwrite_params",
            "check_f_contiguous_array_estimator",
            "check_fit2d_1feature",
            "check_fit2d_1sample",
            "check_fit2d_predict1d",
            "check_fit_check_is_fitted",
            "check_fit_idempotent",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
            "check_n_features_in",
            "check_n_features_in_after_fitting",
            "check_positive_only_tag_during_fit",
            "check_readonly_memmap_input",
        ),
        "the check's data are not zeros and ones, which are all that a mark can be; "
        "test_check_estimator.py runs it with numbers above 1 read as 1",
    ),
    "GaussianHMM": CHECKS_OF_COUNTS | {"check_fit2d_1sample": _MANY_LABELS},
    "GaussianMixture": {},
    "GMMHMM": CHECKS_OF_COUNTS | {"check_fit2d_1sample": _MANY_LABELS},
    "MultinomialHMM": CHECKS_OF_COUNTS,
    "PoissonHMM": CHECKS_OF_COUNTS,
    "CategoricalHMM": _WEIGHED_CHECKS
    | _SYMBOL_CHECKS
    | {
        "check_fit_score_takes_y": (
            "y holds labels of states, which partial_fit refuses rather than ignores: n-gram "
            "counts cannot carry them"
        ),
    },
    "DawidSkene": {
        "check_fit_idempotent": (
            "every number of the check's data is a label of its own, and labels that fit has not "
            "seen are refused"
        ),
    },
    "EquilibriumMLPClassifier": BATCHES_DRAWN,
    "EquilibriumMLPRegressor": BATCHES_DRAWN,
    "EquilibriumPropagationClassifier": BATCHES_DRAWN,
    "MLPClassifier": {},
    "MLPRegressor": {},
    "MultiViewGaussianMixture": {},
    "MultiViewMixture": dict.fromkeys(
        ("check_fit_idempotent", "check_sample_weight_equivalence_on_dense_data"),
        "every number of the check's data is a category of its own, and categories that fit has "
        "not seen, or has seen in rows of weight zero alone, are refused",
    ),
    "ObservableOperatorModel": _SYMBOL_CHECKS,
    "PerSequence": {},
    "SpikingClassifier": {},
    "LatentDirichletAllocation": {},
    "LabelPropagation": {},
    "LabelSpreading": {},
    "Lagged": dict.fromkeys(
        ("check_methods_sample_order_invariance", "check_methods_subset_invariance"),
        "what came before a row is part of its answer",
    ),
    "TensorFeatures": {
        "check_sample_weight_equivalence_on_dense_data": _ROWS_DRAWN,
        "check_sample_weight_equivalence_on_sparse_data": _ROWS_DRAWN,
    },
}
