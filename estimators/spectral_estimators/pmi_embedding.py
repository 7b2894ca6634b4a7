"""`PMIEmbedding`: vectors of words, from how often they stand near each other."""

import sys
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from spectral_estimators._base import SpectralEstimator
from spectral_estimators._sklearn_compat import Interval, check_constraints, with_input_tags
from spectral_estimators._validation import spawn_rng
from spectral_estimators._word_input import (
    check_cooccurrences,
    check_documents,
    is_matrix,
    names_of_rows,
)
from spectral_nn.models.words import factorise, nearest, positive_pmi, shrink_rows, unit_rows
from spectral_nn.moments.cooccurrences import (
    CoOccurrences,
    Vocabulary,
    count_cooccurrences,
    window_weights,
)
from spectral_nn.runners.base import Runner, runner

__all__ = ["PMIEmbedding", "WordsSeen"]


class WordsSeen(NamedTuple):
    """What has been counted: of documents, `CoOccurrences`; of matrices, their sum.

    Attributes
    ----------
    counts : CoOccurrences or csr_array (n, m)
    words : list
        In the order of the counts.
    settings : tuple
        Window and weights of documents, which must stay; empty for matrices.
    """

    counts: Any
    words: list[Any]
    settings: tuple[Any, ...]


class PMIEmbedding(ClassNamePrefixFeaturesOutMixin, SpectralEstimator):
    r"""Vectors of words: a factorisation of their mutual information.

    Words that stand near the same words get similar vectors. They are the largest singular vectors
    of the matrix of positive pointwise mutual information of words and of those around them,

    .. math:: M_{ij} = \frac{C_{ij}}{C_{ij} + \delta}
        \max\Bigl(0, \log \frac{P(i, j)}{P(i) P_\alpha(j)} - \log k\Bigr), \qquad
        M \approx U S V^T, \qquad
        E_{ik} = \frac{r_i q_k}{r_i q_k + \delta} U_{ik} S_k^p, \quad
        q_k = \frac{S_k^2}{\sum_l S_l^2},

    where i and j are C times near each other, and r are the sums of its rows. word2vec's skip-gram
    with k negative samples factorises M, without the factors of delta, by stochastic gradients
    [1]_. Here the words near each other are counted, once, and the matrix is decomposed.

    Parameters
    ----------
    n_components : int, default=300
        Length of the vectors.
    window : int, default=5
        Words on either side that are near.
    dynamic_window : bool, default=True
        Whether nearer words count more: at distance t by (window + 1 - t) / window, which is how
        often a window of word2vec, whose width is drawn, reaches them.
    shift : float, default=1.0
        k: above 1, pairs that are hardly more frequent than by chance are left out.
    context_smoothing : float, default=0.75
        Alpha, at most 1: frequencies of the words around are raised to this power, so that rare
        ones count less.
    eigenvalue_power : float, default=0.0
        p: how much larger singular values count.
    shrinkage : float, default=0.5
        Delta: what n counts say is multiplied by n / (n + delta): the information of a pair that
        was near n times [4]_, and the coordinate of a word in a direction whose share of the word's
        pairs is n. Rare words are described by the largest directions alone. None at 0.
    min_count : int, default=5
        Words that occur less often have no vector, and are not counted as near. They keep their
        places: words on their two sides are two apart.
    random_state : int, RandomState or None
        Draws the directions that the decomposition starts from.
    n_jobs : int, optional
        Workers that count and multiply, as joblib means it: threads, or what a
        `joblib.parallel_config` around ``fit`` says. Words are looked up by one.
    verbose : int, default=0
        Whether counts and seconds are printed.

    Attributes
    ----------
    embedding_ : ndarray of shape (n_words, n_components), float32
        A row for each word, the most frequent one first.
    vocabulary_ : dict of str to int
        Row of each word.
    words_ : list of str
        The word of each row.
    word_counts_ : ndarray of shape (n_words,)
        How often each word occurs; of a matrix, the sum of its row.
    singular_values_ : ndarray of shape (n_components,)
    context_vectors_ : ndarray of shape (n_contexts, n_components), float32
        V: right singular vectors, a row for each word or context.
    n_words_ : int
    n_tokens_ : int or float
        Words that were read, those without a vector included; of a matrix, its sum.

    See Also
    --------
    LatentDirichletAllocation : Topics, from words that share documents.
    spectral_nn.moments.cooccurrences : The counts.
    spectral_nn.models.words : The decomposition.

    Notes
    -----
    One walk over the documents, which need not fit in memory; counts of pairs do. Counts are whole
    numbers: text in many parts gives the same ones as in one, whoever counts. Counting is O(window)
    for each token; the decomposition is a few products of the matrix, which stays sparse, with
    n_components + 20 vectors.

    References
    ----------
    .. [1] Levy and Goldberg, "Neural word embedding as implicit matrix factorization", NIPS 2014.
    .. [2] Levy, Goldberg and Dagan, "Improving distributional similarity with lessons learned from
       word embeddings", TACL 3, 2015.
    .. [3] Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 53, 2011.
    .. [4] Pantel and Lin, "Discovering word senses from text", KDD 2002.

    Examples
    --------
    >>> texts = ["the cat eats fish", "the dog eats meat", "a cat drinks", "a dog drinks"]
    >>> documents = [text.split() for text in texts]
    >>> model = PMIEmbedding(2, window=2, min_count=1, random_state=0).fit(documents)
    >>> model.transform(["cat", "dog"]).shape
    (2, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "window": [Interval(Integral, 1, None, closed="left")],
        "dynamic_window": ["boolean"],
        "shift": [Interval(Real, 0, None, closed="neither")],
        "context_smoothing": [Interval(Real, 0, 1, closed="both")],
        "eigenvalue_power": [Interval(Real, None, None, closed="neither")],
        "shrinkage": [Interval(Real, 0, None, closed="left")],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
    }

    _seen: WordsSeen | None = None

    def __init__(
        self,
        n_components: int = 300,
        *,
        window: int = 5,
        dynamic_window: bool = True,
        shift: float = 1.0,
        context_smoothing: float = 0.75,
        eigenvalue_power: float = 0.0,
        shrinkage: float = 0.5,
        min_count: int = 5,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.window = window
        self.dynamic_window = dynamic_window
        self.shift = shift
        self.context_smoothing = context_smoothing
        self.eigenvalue_power = eigenvalue_power
        self.shrinkage = shrinkage
        self.min_count = min_count
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, *, words: Iterable[Any] | None = None) -> Self:
        """Count which words stand near each other, and decompose.

        Parameters
        ----------
        X : iterable of lists of str, or array or sparse matrix of shape (n_words, n_contexts)
            Documents in words, walked once; or how often each word occurs in each context, whose
            rows of zeros get vectors of zeros.
        y : ignored
            For scikit-learn's conventions.
        words : iterable, optional
            What the rows of a matrix are called. By default those of a data frame's index, or
            0, 1, ...

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If X is a string, or holds some in place of lists, or tokens are no strings.
        ValueError
            Naming the argument at fault: no word occurs ``min_count`` times; a matrix has negative
            entries or NaN. The estimator is then as it was before.
        RankError
            If ``n_components`` is larger than the rank of the matrix of mutual information.
        """
        check_constraints(self)
        return self._learn(X, words, None)

    def partial_fit(self, X: Any, y: Any = None, *, words: Iterable[Any] | None = None) -> Self:
        """Add to what has been counted, and decompose anew.

        The vectors are those of a `fit` to all documents in one call. Words that are too rare so
        far are counted, too. ``partial_fit([])`` decomposes again after `set_params`.

        Parameters
        ----------
        X : as in `fit`
            A matrix has to have the shape, and ``words``, of the one before.
        y : ignored
        words : iterable, optional

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError, RankError
            As `fit`; if ``window`` or ``dynamic_window`` have changed since the first call.

        Examples
        --------
        More text, and then other settings without reading it again:

        >>> from spectral_estimators import PMIEmbedding
        >>> model = PMIEmbedding(2, min_count=1, random_state=0)
        >>> model = model.partial_fit([["a", "b", "c"], ["a", "c", "b"]]).partial_fit([["d", "a"]])
        >>> model.n_tokens_, sorted(model.words_)
        (8, ['a', 'b', 'c', 'd'])
        >>> model.set_params(n_components=1).partial_fit([]).embedding_.shape
        (4, 1)
        """
        check_constraints(self)
        return self._learn(X, words, self._seen)

    def transform(self, words: Iterable[Any]) -> NDArray[np.float32]:
        """Look up the vectors of words.

        Parameters
        ----------
        words : list of str

        Returns
        -------
        ndarray of shape (n, n_components), float32

        Raises
        ------
        ValueError
            Naming those that have no vector; if ``words`` is a string.
        """
        check_is_fitted(self)
        if isinstance(words, str):
            raise ValueError(f"words must be a list of words; got a string. Give [{words!r}].")
        return self.embedding_[self._rows_of(list(words))]

    def most_similar(
        self, positive: Any = (), negative: Any = (), topn: int = 10
    ) -> list[tuple[Any, float]]:
        """Find the words whose vectors point the same way.

        Parameters
        ----------
        positive : str, array of shape (n_components,), or list of these
            Words or vectors to be near to: the mean of their unit vectors is.
        negative : as positive
            Those to be far from: "king" and "woman" less "man" should be near to "queen".
        topn : int, default=10
            How many.

        Returns
        -------
        list of (str, float)
            Words and cosines, the nearest first; words that were asked for are left out.

        Raises
        ------
        ValueError
            Naming words that have no vector; if there are none; if a vector has another length.

        Examples
        --------
        >>> import numpy as np
        >>> from spectral_estimators import PMIEmbedding
        >>> counts = np.kron(np.eye(2), np.full((3, 4), 5)) + 1  # two groups of three
        >>> model = PMIEmbedding(1, random_state=0).fit(counts, words=list("abcdef"))
        >>> sorted(word for word, cosine in model.most_similar("a", topn=2))
        ['b', 'c']
        """
        check_is_fitted(self)
        wanted, unwanted = _listed(positive), _listed(negative)
        if not wanted and not unwanted:
            raise ValueError("positive and negative are empty: give a word or a vector.")
        asked = [one for one in (*wanted, *unwanted) if not _is_vector(one)]
        rows = self._rows_of(asked)
        of_words = iter(self.embedding_[rows])
        vectors = np.array(
            [self._checked(one) if _is_vector(one) else next(of_words) for one in wanted + unwanted]
        )
        signs = np.repeat([1.0, -1.0], [len(wanted), len(unwanted)])
        found, cosines = nearest(unit_rows(self.embedding_), signs @ unit_rows(vectors), topn, rows)
        return [(self.words_[row], float(c)) for row, c in zip(found, cosines, strict=True)]

    def to_keyed_vectors(self) -> Any:
        """Copy the vectors to gensim's `KeyedVectors`, with the counts of words.

        Returns
        -------
        gensim.models.KeyedVectors

        Raises
        ------
        ImportError
            If gensim is not installed.
        """
        check_is_fitted(self)
        try:
            from gensim.models import KeyedVectors
        except ImportError as error:
            raise ImportError("to_keyed_vectors needs gensim: pip install gensim") from error
        keyed = KeyedVectors(self.embedding_.shape[1], dtype=np.float32)
        keyed.add_vectors([str(word) for word in self.words_], self.embedding_)
        for word, count in zip(keyed.index_to_key, self.word_counts_, strict=True):
            keyed.set_vecattr(word, "count", int(count))
        return keyed

    def _learn(self, X: Any, words: Iterable[Any] | None, before: WordsSeen | None) -> Self:
        """Count, add, decompose, and assign all at once."""
        with runner(self.n_jobs) as run:
            seen = _of_matrix(X, words, before) if is_matrix(X) else self._count(X, before, run)
            if self.verbose:
                sys.stdout.write(_describe(seen))
            names, numbers, near, n_tokens = self._choose(seen)
            shrinkage = self.shrinkage * _unit(seen)
            information = positive_pmi(
                near,
                shift=self.shift,
                context_smoothing=self.context_smoothing,
                shrinkage=shrinkage,
            )
            rng = spawn_rng(self.random_state)
            found = factorise(information, self.n_components, run, rng=rng)
        scale = self._scale(found.values)
        if self.verbose:
            sys.stdout.write(
                f"decomposed: {len(names):,} words, {information.nnz:,} entries above 0\n"
            )
        self._seen = seen
        self.words_, self.word_counts_, self.n_tokens_ = names, numbers, n_tokens
        self.n_words_ = len(names)
        self.vocabulary_ = {word: row for row, word in enumerate(names)}
        self.singular_values_, self.context_vectors_ = found.values, found.right
        rows = shrink_rows(found, near.sum(axis=1), shrinkage)
        self.embedding_ = rows * scale
        return self

    def _scale(self, values: NDArray) -> NDArray:
        """Singular values to the power that is asked for."""
        with np.errstate(all="ignore"):
            scale = values**self.eigenvalue_power
        if not (np.isfinite(scale).all() and scale.any()):
            raise ValueError(
                f"eigenvalue_power={self.eigenvalue_power:g}: singular values between "
                f"{values.min():.3g} and {values.max():.3g} to that power are beyond "
                f"{scale.dtype}. Use 0, 0.5 or 1."
            )
        return scale

    def _count(self, X: Any, before: WordsSeen | None, run: Runner) -> WordsSeen:
        """Count the words of documents, in addition to those of before."""
        documents = check_documents(X)
        settings = (self.window, self.dynamic_window)
        if before is not None and before.settings != settings:
            raise ValueError(
                "partial_fit adds to what was counted with (window, dynamic_window)="
                f"{before.settings or 'none, of a matrix'}, but they are {settings} now. Set them "
                "back, or call fit."
            )
        vocabulary = Vocabulary(
            {} if before is None else {word: code for code, word in enumerate(before.words)}
        )
        weights = window_weights(self.window, self.dynamic_window)
        counts = count_cooccurrences(documents, vocabulary, weights, run)
        if before is not None:
            counts = before.counts + counts
        return WordsSeen(counts, list(vocabulary), settings)

    def _choose(self, seen: WordsSeen) -> tuple[list[Any], NDArray, sparse.csr_array, Any]:
        """Frequent words, how often they occur, and near each other; the number of all tokens."""
        if not isinstance(seen.counts, CoOccurrences):
            sums = seen.counts.sum(axis=1)
            return seen.words, sums, seen.counts, sums.sum()
        numbers = seen.counts.words
        chosen = np.flatnonzero(numbers >= self.min_count)
        if not chosen.size:
            raise ValueError(
                f"no word occurs min_count={self.min_count} times: X holds {numbers.sum():,} "
                f"tokens of {numbers.size:,} words, the most frequent of them "
                f"{numbers.max(initial=0):,} times. Give more text, or a smaller min_count."
            )
        chosen = np.array(sorted(chosen, key=lambda code: (-numbers[code], seen.words[code])))
        kept = seen.counts.of_words(chosen)
        names = [seen.words[code] for code in chosen]
        return names, kept.words, kept.near(), int(numbers.sum())

    def _rows_of(self, words: list[Any]) -> list[int]:
        """Rows of words; ValueError naming those that are not known."""
        unknown = [word for word in words if word not in self.vocabulary_]
        if unknown:
            named = ", ".join(repr(word) for word in unknown[:5])
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            raise ValueError(
                f"no vectors of {named}{more}: they are not among the {self.n_words_:,} words of "
                "vocabulary_. Leave them out, or fit with a smaller min_count."
            )
        return [self.vocabulary_[word] for word in words]

    def _checked(self, vector: ArrayLike) -> NDArray[np.float64]:
        found = np.asarray(vector, dtype=np.float64)
        shape = self.embedding_.shape[1:]
        if found.shape != shape or not np.isfinite(found).all():
            raise ValueError(
                f"a vector must be {shape[0]} finite numbers, got an array of shape {found.shape}."
            )
        return found

    @property
    def _n_features_out(self) -> int:
        """How many names `get_feature_names_out` makes."""
        return int(self.embedding_.shape[1])

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that X holds words."""
        return with_input_tags(
            super().__sklearn_tags__(), string=True, two_d_array=False, sparse=True
        )


def _of_matrix(X: Any, words: Iterable[Any] | None, before: WordsSeen | None) -> WordsSeen:
    """A matrix of counts, in addition to that of before."""
    counts = check_cooccurrences(X)
    names = names_of_rows(X, words)
    if before is None:
        return WordsSeen(counts, names, ())
    if before.settings or before.counts.shape != counts.shape or before.words != names:
        raise ValueError(
            f"X is a matrix of shape {counts.shape}, and does not add to what was given before: "
            f"{'documents' if before.settings else f'shape {before.counts.shape}'}, or "
            "other words. Give the same words and contexts, or call fit."
        )
    return WordsSeen(before.counts + counts, names, ())


def _unit(seen: WordsSeen) -> int:
    """What two words side by side are counted as."""
    return int(window_weights(*seen.settings)[0]) if seen.settings else 1


def _listed(given: Any) -> list[Any]:
    """Words and vectors of an argument of `most_similar`."""
    if isinstance(given, str) or _is_vector(given) or np.isscalar(given):
        return [given]
    return list(given)


def _is_vector(one: Any) -> bool:
    return isinstance(one, np.ndarray) and one.ndim > 0 and one.dtype.kind in "fiu"


def _describe(seen: WordsSeen) -> str:
    if isinstance(seen.counts, CoOccurrences):
        n_tokens, n_pairs = seen.counts.words.sum(), seen.counts.following.nnz
        return f"counted: {n_tokens:,} tokens, {len(seen.words):,} words, {n_pairs:,} pairs\n"
    return f"counted: {len(seen.words):,} rows, {seen.counts.nnz:,} entries\n"
