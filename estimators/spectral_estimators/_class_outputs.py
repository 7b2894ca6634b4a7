"""Labels and probabilities from the outputs of a network."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from spectral_estimators._network_input import fit_classes, one_hot
from spectral_estimators._reading import Encoder
from spectral_nn.arrays import Array, clip, from_numpy, get_namespace, is_foreign, to_numpy

__all__ = ["ClassOutputs"]


class ClassOutputs(ClassifierMixin):
    """What classifiers share whose `_outputs` (X) are numbers in [0, 1], (n, q), one a class.

    Two classes have one output, that of the second.
    """

    _numeric: ClassVar[bool] = False  # labels may be strings

    classes_: NDArray
    _label_binarizer: Any
    _outputs: Callable[[Any], Array]

    def _targets(self, y: Any) -> tuple[Encoder, dict[str, Any]]:
        """Columns of 0 and 1, the classes they stand for, and the output that suits them."""
        binarizer = fit_classes(y)
        return partial(one_hot, binarizer), {
            "_label_binarizer": binarizer,
            "classes_": binarizer.classes_,
            "out_activation_": "softmax" if binarizer.y_type_ == "multiclass" else "logistic",
        }

    def predict(self, X: Any) -> NDArray:
        """Likeliest class of each row, or for several labels which of them apply.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)

        Returns
        -------
        y : array (n,), or (n, q) of 0 and 1 for several labels
        """
        outputs = to_numpy(self._outputs(X))
        if outputs.shape[1] == 1:
            outputs = outputs[:, 0]
        labels = self._label_binarizer.inverse_transform(outputs)
        back = is_foreign(X) and labels.dtype.kind in "iufb"
        return from_numpy(labels, like=X) if back else labels

    def predict_proba(self, X: Any) -> NDArray:
        """Probability of each class.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)

        Returns
        -------
        probabilities : array (n, n_classes)
            In the order of ``classes_``.  Rows sum to one, except for several labels, where each
            column is the probability that its label applies.  None is less than the least normal
            number of its dtype, so that all have a logarithm.
        """
        outputs = self._outputs(X)
        xp = get_namespace(outputs)
        if len(self.classes_) == 1:
            return xp.ones_like(outputs)
        if outputs.shape[1] == 1:
            outputs = xp.concat([1 - outputs, outputs], axis=1)
        return clip(outputs, low=float(xp.finfo(outputs.dtype).smallest_normal))

    def predict_log_proba(self, X: Any) -> NDArray:
        """Logarithm of `predict_proba`, always finite.

        Parameters
        ----------
        X : array or sparse matrix, shape (n, d)

        Returns
        -------
        log_probabilities : array (n, n_classes)
        """
        proba = self.predict_proba(X)
        return get_namespace(proba).log(proba)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that y may hold several labels."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
