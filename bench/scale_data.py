"""What the benchmarks of scale share: planted data in memory, in pieces, on a cluster; clusters."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_nn.datasets import planted_hmm, planted_network, sample_hmm, sample_network
from spectral_nn.models.network.dense import Network

Table = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class PlantedRows:
    """Rows of a planted ReLU network, piece by piece; each walk draws the same pieces afresh.

    Attributes
    ----------
    n_rows, n_features, n_units : int
    piece_rows : int
        Rows of a piece; the last may have less.
    seed : int
    dtype : str
        Of inputs and targets.
    """

    n_rows: int
    n_features: int
    n_units: int
    piece_rows: int
    seed: int = 0
    dtype: str = "float64"

    @property
    def n_pieces(self) -> int:
        """How many pieces there are."""
        return -(-self.n_rows // self.piece_rows)

    @property
    def teacher(self) -> Network:
        """The network that the rows are drawn from."""
        return planted_network(self.n_features, self.n_units, rng=np.random.default_rng(self.seed))

    def piece(self, index: int) -> Table:
        """Inputs and targets of one piece."""
        rows = min(self.piece_rows, self.n_rows - index * self.piece_rows)
        X, y = sample_network(self.teacher, rows, rng=np.random.default_rng([self.seed, index]))
        return X.astype(self.dtype, copy=False), y.astype(self.dtype, copy=False)

    def __iter__(self) -> Iterator[Table]:
        return map(self.piece, range(self.n_pieces))

    def together(self) -> Table:
        """All rows in memory."""
        pieces = list(self)
        return np.concatenate([X for X, _ in pieces]), np.concatenate([y for _, y in pieces])

    def on_cluster(self) -> tuple[Any, Any]:
        """A dask array of the inputs and one of the targets, a chunk for each piece, lazy."""
        import dask.array as da
        from dask.delayed import delayed

        pieces = [delayed(self.piece, pure=True)(index) for index in range(self.n_pieces)]
        rows = [min(self.piece_rows, self.n_rows - i * self.piece_rows) for i in range(len(pieces))]
        kind = {"dtype": np.dtype(self.dtype)}
        inputs = [
            da.from_delayed(piece[0], (n, self.n_features), **kind)
            for piece, n in zip(pieces, rows, strict=True)
        ]
        targets = [
            da.from_delayed(piece[1], (n,), **kind) for piece, n in zip(pieces, rows, strict=True)
        ]
        return da.concatenate(inputs), da.concatenate(targets)


@dataclass(frozen=True)
class PlantedSequences:
    """Sequences of a planted hidden Markov model; each walk draws the same ones afresh.

    Attributes
    ----------
    n_tokens, n_components, n_symbols : int
    length : int
        Tokens of a sequence.
    piece_tokens : int
        Tokens of a piece, drawn at once; a multiple of the length.
    seed : int
    """

    n_tokens: int
    n_components: int
    n_symbols: int
    length: int = 1000
    piece_tokens: int = 100_000
    seed: int = 0

    @property
    def n_pieces(self) -> int:
        """How many pieces there are."""
        return -(-self.n_tokens // self.piece_tokens)

    def piece(self, index: int) -> list[NDArray[np.int32]]:
        """Sequences of one piece."""
        true = planted_hmm(self.n_components, self.n_symbols, rng=np.random.default_rng(self.seed))
        tokens = min(self.piece_tokens, self.n_tokens - index * self.piece_tokens)
        rng = np.random.default_rng([self.seed, index])
        return list(sample_hmm(true, self.length, rng, tokens // self.length)[0])

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        for index in range(self.n_pieces):
            yield from self.piece(index)

    def on_cluster(self) -> Any:
        """A dask bag of sequences, a partition for each piece, lazy."""
        import dask.bag as db
        from dask.delayed import delayed

        return db.from_delayed(
            [delayed(self.piece, pure=True)(index) for index in range(self.n_pieces)]
        )


@dataclass(frozen=True)
class PlantedSeries(PlantedSequences):
    """Sequences of rows: each state of a planted chain has a normal law, or one of counts.

    Attributes
    ----------
    n_features : int
        Columns.
    counts : bool
        Whether rows are counts.
    """

    n_features: int = 3
    counts: bool = False

    def piece(self, index: int) -> list[NDArray[Any]]:
        """Sequences of one piece."""
        shape = (self.n_components, self.n_features)
        means = 2.0 * np.random.default_rng(self.seed).standard_normal(shape)
        true = planted_hmm(self.n_components, self.n_symbols, rng=np.random.default_rng(self.seed))
        tokens = min(self.piece_tokens, self.n_tokens - index * self.piece_tokens)
        rng = np.random.default_rng([self.seed, index])
        states = sample_hmm(true, self.length, rng, tokens // self.length)[1]
        if self.counts:
            return [rng.poisson(np.exp(means[path] / 2)) for path in states]
        return [means[path] + rng.standard_normal((path.size, self.n_features)) for path in states]


@contextmanager
def local_cluster(n_workers: int = 2, settings: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """A dask cluster of processes on this machine, one thread each; yields its client."""
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set(settings or {}),
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            local_directory=folder,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def kept_on(client: Any, *collections: Any) -> list[Any]:
    """Dask collections, computed once and kept in the memory of the workers."""
    from distributed import wait

    kept = client.persist(list(collections))
    wait(kept)
    return kept
