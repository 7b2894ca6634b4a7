"""Topic models to be found again."""

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment


def planted_topics(n_topics, n_words, rng, concentration=0.1):
    """Topics (k, V) of few words each."""
    return rng.dirichlet(np.full(n_words, concentration), n_topics)


def planted_documents(topics, alpha, n_documents, length, rng):
    """Counts of words (n, V), CSR."""
    shares = rng.dirichlet(alpha, n_documents) @ topics
    return sparse.csr_array(rng.multinomial(length, shares).astype(float))


def match_topics(found, topics):
    """For each of the topics the number of the one that was found for it."""
    distance = np.abs(found[:, None] - topics).sum(axis=2)
    rows, columns = linear_sum_assignment(distance)
    order = np.empty(len(topics), dtype=int)
    order[columns] = rows
    return order
