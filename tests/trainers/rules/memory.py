"""What a rule allocates for a batch, at a size for tests."""

import numpy as np

from spectral_nn.trainers.rules.measure import peak_memory
from tests.trainers.rules.conftest import make_small


def peak_of(rule, depth, width=64, rows=256, activation="relu"):
    """Bytes of temporaries at the peak: not parameters, their gradient or the batch."""
    sizes = (width,) * depth + (10,)
    small = make_small(activation, sizes, rows=rows, like=np.empty(0, np.float32))
    return peak_memory(rule, small.objective, small.x, slice(0, rows))
