"""Sequences of unequal length: in memory, in streams, in files and on clusters; and how to cut.

One *sample* is one sequence and time is the first axis of a sequence.  Wherever sequences are,
a fit asks the same of them (`Source`): parts that stand for something made of windows of them.
"""

from spectral_nn.data.container import (
    Sequences,
    as_rows,
    is_list_of_sequences,
    whole_sequences,
)
from spectral_nn.data.cuts import Blocks, Cut, Place, Window, blocks
from spectral_nn.data.lazy import LazySequences
from spectral_nn.data.long_tables import TableSequences, sequences_of_table
from spectral_nn.data.partitions import Partitions, is_partitioned
from spectral_nn.data.source import Source
from spectral_nn.data.streams import SequenceStream

__all__ = [
    "Blocks",
    "Cut",
    "LazySequences",
    "Partitions",
    "Place",
    "SequenceStream",
    "Sequences",
    "Source",
    "TableSequences",
    "Window",
    "as_rows",
    "blocks",
    "is_list_of_sequences",
    "is_partitioned",
    "sequences_of_table",
    "whole_sequences",
]
