"""How certain the parameters of a fitted hidden Markov model are."""

from abc import abstractmethod
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from numpy.typing import ArrayLike

from spectral_estimators.hmm._inference import HMMInference
from spectral_nn.blas import one_blas_thread
from spectral_nn.models.chains.errors import StandardErrors, find_standard_errors

__all__ = ["HMMErrors"]


class HMMErrors(HMMInference):
    """Standard errors, for an estimator that names the fields of its emissions."""

    @abstractmethod
    def _emission_values(self, emission: Any) -> dict[str, Any]:
        """The fields of an emission of the core by the names of the attributes that hold them."""

    def standard_errors(
        self,
        X: Any,
        lengths: ArrayLike | None = None,
        *,
        kind: str = "robust",
        block: int | None = None,
    ) -> StandardErrors:
        r"""Standard errors of all parameters, and confidence intervals.

        The parameters must be at a maximum of the likelihood of X, so X is what `fit` was given,
        and the fit had flat priors, or weak ones, and a small ``tol``.

        Parameters
        ----------
        X, lengths : see `score`; X must fit in memory
        kind : {"robust", "hessian", "opg"}, default="robust"
            "robust": :math:`H^{-1} V H^{-1}` of the information H and the sum V of squared scores
            of blocks, right also where the model is not that of the data.  "hessian":
            :math:`H^{-1}`, which trusts the model.  "opg": :math:`V^{-1}`, which trusts it, too,
            and takes one E-step in place of two for each parameter.
        block : int, optional
            Rows of a block: several times as many as the chain remembers.  None: 50, or five
            mixing times of ``transmat_`` if that is more; fewer where X is short.

        Returns
        -------
        StandardErrors
            ``errors["transmat_"]`` has the shape of ``transmat_``, and ``intervals(0.95)`` gives
            lower and upper ends of each attribute, all NumPy's.  NaN: held fixed, since fewer than
            one observation is expected behind it, or, for ``startprob_``, fewer than 10 sequences.

        Raises
        ------
        ValueError
            If X is impossible under the model, ``kind`` is unknown, ``block`` is below 1, or there
            are fewer blocks than parameters.

        Warns
        -----
        UserWarning
            If the parameters are more than a quarter of a standard error from a maximum, or X does
            not tell them apart; with the figures.

        See Also
        --------
        spectral_nn.models.chains.errors : The method.

        Notes
        -----
        2 q + 1 exact E-steps of 8 n K^2 flops for q parameters.  They say how far the maximum is
        from the truth, and nothing of other maxima.

        Examples
        --------
        >>> import numpy as np
        >>> from spectral_estimators import PoissonHMM
        >>> X = np.random.default_rng(0).poisson(4.0, 400)
        >>> model = PoissonHMM(1).fit(X)
        >>> found = model.standard_errors(X, kind="hessian")
        >>> found["lambdas_"].round(3).tolist()  # the square root of 4 / 400, nearly
        [[0.099]]
        >>> found.intervals(0.95)["lambdas_"].ravel().round(2).tolist()
        [3.73, 4.12]
        """
        if block is not None and (block < 1 or block != int(block)):
            raise ValueError(f"block must be a whole number of rows of at least 1; got {block!r}.")
        parameters, codes, _ = self._prepared(X, lengths)
        with one_blas_thread():
            found = find_standard_errors(parameters, codes, kind=kind, block=block)
        return self._renamed(found)

    def _renamed(self, found: StandardErrors) -> StandardErrors:
        """Standard errors by the names of attributes."""
        return replace(
            found,
            values=self._by_attribute(found.values),
            errors=self._by_attribute(found.errors),
            coordinates=self._by_attribute(found.coordinates),
        )

    def _by_attribute(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Fields of all parameters by the names of the attributes that hold them."""
        chain = {"startprob_": fields["startprob"], "transmat_": fields["transmat"]}
        own = self._emission_fields(fields)
        return chain | {name.lstrip("_"): value for name, value in own.items()}

    def _emission_fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Those of emissions alone."""
        return self._emission_values(SimpleNamespace(**fields))
