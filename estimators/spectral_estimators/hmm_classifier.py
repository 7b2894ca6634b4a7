"""`HMMClassifier`: a hidden Markov model for each class of sequences."""

from copy import deepcopy
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.base import ClassifierMixin, clone
from sklearn.utils import column_or_1d, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._column_names import check_names, names_of
from spectral_estimators._devices import on_host
from spectral_estimators._sklearn_compat import check_constraints, with_input_tags
from spectral_estimators._validation import in_memory, is_table, read, together
from spectral_estimators.hmm._base import BaseHMM
from spectral_estimators.hmm._parameters import probabilities
from spectral_nn.data import Sequences, Source, is_list_of_sequences

__all__ = ["HMMClassifier"]


class HMMClassifier(ClassifierMixin, SpectralEstimator):
    r"""Classify sequences by the hidden Markov model of each class that explains them best.

    A clone of ``estimator`` is fitted to the sequences of each class.  Bayes' rule does the rest:

    .. math:: P(y = c | x) = \frac{\pi_c P_c(x)}{\sum_{c'} \pi_{c'} P_{c'}(x)}

    Parameters
    ----------
    estimator : CategoricalHMM, GaussianHMM, PoissonHMM, MultinomialHMM or BernoulliHMM
        The model of a class, not fitted; its settings, ``random_state`` among them, are those of
        all classes.
    priors : array of float, shape (n_classes,), optional
        Probabilities of the classes, in the order of ``classes_``.  None: their shares of the
        training sequences.

    Attributes
    ----------
    classes_ : array (n_classes,)
        Labels, sorted.
    estimators_ : list of estimators
        The model of each class, in the order of ``classes_``.
    class_prior_ : array (n_classes,)
        Probabilities of the classes.
    feature_names_in_ : array (p,)
        Names of the columns, if the sequences were data frames.

    See Also
    --------
    PerSequence : Scales the rows of sequences, in front of this in a pipeline.

    Notes
    -----
    **Input.**  One sample is one sequence: X is a list of arrays, a `Sequences` or a 3-D array
    (m, t, p), in memory or of one file; what an observation may be is for ``estimator`` to say.
    `Sequences.from_lengths` cuts a table.  All classes of a `CategoricalHMM` have the alphabet
    found in all training sequences, or ``n_features``.

    **Long sequences** make probabilities of 0 and 1: likelihoods of n observations differ by a
    factor that grows exponentially in n.

    **Impossible sequences.**  A sequence that no class can make has the priors as its
    probabilities.

    **Cost.**  One fit a class, and 2 K^2 flops a class for each observation to be classified.
    X of other libraries is copied to the host, and results are NumPy's.

    References
    ----------
    Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition",
    Proceedings of the IEEE 77, 1989, section VI (recognition of isolated words).

    Examples
    --------
    Steps that stick to a direction, and steps that turn:

    >>> import numpy as np
    >>> from spectral_estimators import CategoricalHMM
    >>> rng = np.random.default_rng(0)
    >>> turns = rng.random((40, 50)) < np.repeat([0.1, 0.9], 20)[:, None]
    >>> X, y = list(np.cumsum(turns, axis=1) % 2), np.repeat(["sticks", "turns"], 20)
    >>> model = HMMClassifier(CategoricalHMM(2, random_state=0)).fit(X[::2], y[::2])
    >>> model.score(X[1::2], y[1::2])
    1.0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [BaseHMM],
        "priors": ["array-like", None],
    }

    def __init__(self, estimator: Any, *, priors: ArrayLike | None = None) -> None:
        self.estimator = estimator
        self.priors = priors

    def fit(self, X: Any, y: Any) -> Self:
        """Fit a model to the sequences of each class.

        Parameters
        ----------
        X : list of arrays (t_i,) or (t_i, p), Sequences, or 3-D array (m, t, p)
        y : array (m,)
            Label of each sequence: numbers or strings.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Naming the argument at fault, or the class whose model could not be fitted.  The
            estimator is then as it was before.
        """
        check_constraints(self)
        labels, names = _labels(y), names_of(X)
        sequences = in_memory(_source(X), "y (labels)")
        if labels.size != len(sequences):
            raise ValueError(
                f"y has {labels.size} labels, but X holds {len(sequences)} sequences. Give one "
                "label for each sequence."
            )
        classes, codes = np.unique(labels, return_inverse=True)
        prior = self._prior(np.bincount(codes), classes)
        model = clone(self.estimator)
        model._agree(sequences)
        models = []
        for code, label in enumerate(classes.tolist()):
            try:
                models.append(deepcopy(model).fit(sequences[np.flatnonzero(codes == code)]))
            except ValueError as error:
                raise ValueError(
                    f"In X, the sequences of class {label!r} alone: {error}"
                ) from error
        self.classes_, self.estimators_, self.class_prior_ = classes, models, prior
        self.__dict__.pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = names
        return self

    def predict(self, X: Any) -> NDArray:
        """Most likely class of each sequence.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        array (m,) of labels
        """
        best = self._joint(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each class.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        array (m, n_classes)
            In the order of ``classes_``; rows sum to one.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Logarithm of `predict_proba`, without its underflow.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        array (m, n_classes)
            Nats; -inf where a class makes a sequence impossible.
        """
        joint = self._joint(X)
        return joint - logsumexp(joint, axis=1, keepdims=True)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Logarithm of prior times likelihood of each class; of two classes their difference.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        array (m, n_classes), or (m,) for two classes
            Nats, positive where the second of two is the more likely.  Finite: infinities become
            the largest numbers there are.
        """
        joint = self._joint(X)
        return np.nan_to_num(joint[:, 1] - joint[:, 0] if joint.shape[1] == 2 else joint)

    def _joint(self, X: Any) -> NDArray[np.float64]:
        """Logarithms (m, n_classes) of prior times likelihood; the prior where none is possible."""
        check_is_fitted(self)
        check_names(self, X)
        sequences = together(_source(X))
        with np.errstate(divide="ignore"):
            prior = np.log(self.class_prior_)
        likelihoods = (model._likelihoods(sequences, None) for model in self.estimators_)
        each = [np.concatenate([part for part, _ in parts]) for parts in likelihoods]
        joint = prior + np.stack(each, axis=1)
        return np.where(np.isneginf(joint).all(axis=1, keepdims=True), prior, joint)

    def _prior(self, counts: NDArray[np.int64], classes: NDArray) -> NDArray[np.float64]:
        """Probabilities of the classes, checked."""
        if self.priors is None:
            return counts / counts.sum()
        prior = probabilities(self.priors, "priors")
        if prior.shape != classes.shape:
            raise ValueError(
                f"priors must have shape ({classes.size},), one for each class of y, which are "
                f"{classes.tolist()}; got {prior.shape}."
            )
        return prior

    def __sklearn_tags__(self) -> Any:
        """The tags of the model's input, but for tables: one sample is one sequence."""
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return with_input_tags(tags, one_d_array=False, two_d_array=False, three_d_array=True)


def _source(X: Any) -> Source:
    """Sequences, not checked yet.

    Raises
    ------
    ValueError
        If X is one sequence, or of no known form.
    """
    source = read(on_host(X))
    if is_table(X):
        shape = getattr(X, "shape", (len(X),))
        raise ValueError(
            f"X is one sequence, an array of shape {tuple(shape)}, but a sample is a whole "
            "sequence here. Give a list of arrays, a 3-D array (m, t, p), or "
            "Sequences.from_lengths(X, lengths)."
        )
    return source


def _labels(y: Any) -> NDArray:
    """Labels of sequences, in one row.

    Raises
    ------
    ValueError
        Naming ``y``.
    """
    if y is None:
        raise ValueError(
            "HMMClassifier requires y to be passed, but the target y is None. Give one label for "
            "each sequence."
        )
    if isinstance(y, Sequences) or is_list_of_sequences(y):
        raise ValueError("y holds sequences of labels. Give one label for each sequence.")
    labels = column_or_1d(on_host(y))
    check_classification_targets(labels)
    return labels
