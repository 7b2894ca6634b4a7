"""What data say of a hidden Markov model: information criteria, and a summary."""

from typing import Any

from numpy.typing import ArrayLike

from spectral_estimators.hmm._inference import HMMInference
from spectral_nn.models.chains import inference
from spectral_nn.models.chains.parameters import n_parameters
from spectral_nn.models.chains.summary import HMMSummary, aic, bic, summarise

__all__ = ["HMMCriteria"]


class HMMCriteria(HMMInference):
    """Figures by which models are compared, for an estimator that holds the parameters of a chain.

    Their number of parameters p is that of `spectral_nn.models.chains.parameters.n_parameters`, and
    n counts the observations that are not missing.
    """

    def aic(self, X: Any, lengths: ArrayLike | None = None) -> float:
        """Akaike's information criterion, ``-2 log L + 2 p``; lower is better.

        Parameters
        ----------
        X, lengths : see `score`

        Returns
        -------
        float, with the p of `spectral_nn.models.chains.parameters.n_parameters`
        """
        return aic(self.score(X, lengths=lengths), n_parameters(self._parameters()))

    def bic(self, X: Any, lengths: ArrayLike | None = None) -> float:
        """Bayesian information criterion, ``-2 log L + p log n``; lower is better.

        Parameters
        ----------
        X, lengths : see `score`

        Returns
        -------
        float
            The number n counts the observations that are not missing.
        """
        parts = list(self._likelihoods(X, lengths))
        total, n = sum(part.sum() for part, _ in parts), sum(seen for _, seen in parts)
        return bic(float(total), n_parameters(self._parameters()), n)

    def icl(self, X: Any, lengths: ArrayLike | None = None) -> float:
        """Integrated complete likelihood, ``-2 log P(path, X) + p log n``; lower is better.

        The BIC of data and states together, with the most likely path in the place of the states:
        unlike `bic`, it counts against states that the data do not tell apart.

        Parameters
        ----------
        X, lengths : see `score`

        Returns
        -------
        float
            At least `bic`.

        References
        ----------
        Biernacki, Celeux, Govaert, "Assessing a mixture model for clustering with the integrated
        completed likelihood", IEEE Transactions on Pattern Analysis and Machine Intelligence 22,
        2000.
        """
        parameters = self._parameters()
        total, n = 0.0, 0
        for piece in self._coded(X, lengths, parameters.emission).pieces():
            total += float(inference.find_paths(parameters, piece)[1].sum())
            n += self._n_observed(piece.values, parameters.emission)
        return bic(total, n_parameters(parameters), n)

    def summary(self, X: Any, lengths: ArrayLike | None = None) -> HMMSummary:
        """Criteria of the model, and what each state is like; ``print`` shows it as a table.

        Parameters
        ----------
        X, lengths : see `score`; its pieces are walked once

        Returns
        -------
        HMMSummary
            ``n_components``, ``n_observations``, ``n_parameters``, ``log_likelihood`` (nats),
            ``aic``, ``bic``, ``icl``; for each state ``occupancy`` (share of the positions, by
            posteriors), ``mean_stay`` (positions; inf if it is never left), ``start``,
            ``stationary`` and ``mean`` (K, p) of an observation, for symbols their probabilities
            (K, d), whose names are ``symbols`` (d,).  All are NumPy's.

        Examples
        --------
        >>> import numpy as np
        >>> from spectral_estimators import GaussianHMM
        >>> model = GaussianHMM(2)
        >>> model.startprob_ = np.array([0.5, 0.5])
        >>> model.transmat_ = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> model.means_, model.covars_ = np.array([[0.0], [4.0]]), np.array([[1.0], [1.0]])
        >>> found = model.summary([0.1, 4.2, 3.9])
        >>> found.n_parameters, found.mean_stay.round(6).tolist()
        (7, [10.0, 5.0])
        """
        parameters = self._parameters()
        return summarise(
            parameters,
            self._coded(X, lengths, parameters.emission).pieces(),
            lambda values: self._n_observed(values, parameters.emission),
            getattr(self, "symbols_", None),
        )
