"""What a rule allocates for a batch."""

import tracemalloc

import numpy as np

from spectral_nn.trainers.rules.base import views
from tests.trainers.rules.conftest import make_small


def peak_of(rule, depth, width=64, rows=256, activation="relu"):
    """Bytes of temporaries at the peak: not parameters, their gradient or the batch."""
    sizes = (width,) * depth + (10,)
    small = make_small(activation, sizes, rows=rows, like=np.empty(0, np.float32))
    rng = np.random.default_rng(0)
    memory = rule.init(small.layers, 10, rng)
    layers, batch = small.layers, small.batch
    into = views(small.objective.layers(np.empty_like(small.x)))
    learned = [np.empty_like(part) for part in memory.learned]

    def write():
        rule.write(layers, batch, into, memory=memory, into_learned=learned, rng=rng, stage=0)

    write()  # what is compiled or imported is not the rule's
    tracemalloc.start()
    try:
        write()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
