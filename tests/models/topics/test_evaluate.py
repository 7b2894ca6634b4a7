"""How good topics are: likelihoods of held-out words."""

import numpy as np
import pytest
from scipy import sparse

from spectral_nn.models.topics.evaluate import complete_documents


def test_topics_have_to_be_probabilities(rng):
    topics = rng.dirichlet(np.ones(20), 2)
    X = sparse.csr_array(rng.multinomial(60, topics[rng.integers(0, 2, 50)]))

    def perplexity(topics):
        nats, n = complete_documents(X, topics, np.full(2, 0.5), np.random.default_rng(0))
        return np.exp(-nats.sum() / n.sum())

    assert 1 < perplexity(topics) < 20
    assert perplexity(topics.astype(np.float32)) == pytest.approx(perplexity(topics), rel=1e-5)
    with pytest.raises(ValueError, match=r"topics .* row 1 sums to 5, and not to 1.*axis=1"):
        perplexity(topics * [[1.0], [5.0]])
    with pytest.raises(ValueError, match="row 0 sums to nan"):
        perplexity(topics * np.nan)
