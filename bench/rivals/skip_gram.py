"""gensim's skip-gram with negative sampling, one worker."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def skip_gram(
    documents: Sequence[list[str]],
    *,
    size: int,
    window: int,
    negative: int,
    min_count: int,
    epochs: int,
    seed: int,
) -> tuple[list[str], NDArray[np.float32], float]:
    """Words, their vectors, and seconds of the processor; all else is as gensim has it.

    One worker, and the thread that hands it documents.
    """
    from gensim.models import Word2Vec

    begin = time.process_time()
    model = Word2Vec(
        documents,
        sg=1,
        vector_size=size,
        window=window,
        negative=negative,
        min_count=min_count,
        epochs=epochs,
        workers=1,
        seed=seed,
    )
    seconds = time.process_time() - begin
    return list(model.wv.index_to_key), model.wv.vectors, seconds
