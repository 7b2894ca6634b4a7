"""Genomes as codons of one reading frame, and which codons lie in which genes.

The genome of *Chlamydia trachomatis* with its annotated genes comes with the R package seqinr
(GPL-2 or newer), that of *Helicobacter pylori* with the examples of sibelia (GPL-2). ``make
genomes`` fetches both as packages of Debian and unpacks them in ``build/genomes``; they are not
redistributed here. Elsewhere, give the folder that holds the files named below in
``SPECTRAL_NN_GENOMES``.

Nothing was chosen on *H. pylori*; the widths of windows and .97 of a sticky start were chosen on
*C. trachomatis*, so that figures on that are no fresh evidence.
"""

import gzip
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent.parent / "build" / "genomes"

N_CODONS = 64
N_KINDS = 7  # noncoding, and three frames on each of two strands
_BASES = "TCAG"
_LEAST_FRAME = 100  # codons between two stops that a gene is taken to lie in
_STOPS = ("TAA", "TAG", "TGA")


@dataclass(frozen=True, eq=False)
class Genome:
    """A genome in codons of the first frame of its forward strand.

    Attributes
    ----------
    codons : int32 array of shape (n,)
        From 0 to 63 in the order TTT, TTC, TTA, ..., GGG; 64 where a base is unknown.
    kind : int array of shape (n,)
        0 outside of genes, else 1 to 3 by the frame of the gene that the middle base lies in, and
        3 more on the other strand.
    """

    codons: NDArray[np.int32]
    kind: NDArray[np.int64]


def chlamydia() -> Genome:
    """C. trachomatis D/UW-3/CX, 347,506 codons; 895 genes as annotated in 1998."""
    sequence = _sequences(_find("ct.fasta.gz"))[0]
    with gzip.open(_find("ct.gbk.gz"), "rt") as file:
        places = re.findall(r"^     CDS +(.*)$", file.read(), re.MULTILINE)
    genes = [
        (int(first) - 1, int(last), "complement" in place)
        for place in places
        for first, last in re.findall(r"<?(\d+)\.\.>?(\d+)", place)
    ]
    return _genome(sequence, genes)


def helicobacter() -> Genome:
    """H. pylori F32, 526,274 codons; genes by the rule of `open_frames`."""
    sequence = _sequences(_find("Helicobacter_pylori.fasta.gz"))[0]
    return _genome(sequence, open_frames(sequence))


def open_frames(sequence: str) -> list[tuple[int, int, bool]]:
    """Stretches of at least 100 codons without a stop: a rule of thumb for where genes are.

    Parameters
    ----------
    sequence : str
        Bases.

    Returns
    -------
    list of (int, int, bool)
        First base, base after the last, and whether it is on the other strand; the shortest first,
        so that of two which overlap the longer has the last word.
    """
    found = []
    for strand, bases in enumerate((sequence, _complement(sequence))):
        for frame in range(3):
            triplets = [bases[i : i + 3] for i in range(frame, len(bases) - 2, 3)]
            stops = [i for i, triplet in enumerate(triplets) if triplet in _STOPS]
            for a, b in zip([-1, *stops], [*stops, len(triplets)], strict=True):
                first, last = frame + 3 * (a + 1), frame + 3 * b
                if b - a - 1 >= _LEAST_FRAME:
                    if strand:
                        first, last = len(bases) - last, len(bases) - first
                    found.append((first, last, bool(strand)))
    return sorted(found, key=lambda one: one[1] - one[0])


def _genome(sequence: str, genes: list[tuple[int, int, bool]]) -> Genome:
    digits = np.full(256, -N_CODONS, dtype=np.int64)
    for digit, base in enumerate(_BASES):
        digits[ord(base)] = digit
    n = len(sequence) // 3
    triplets = digits[np.frombuffer(sequence.encode(), dtype=np.uint8)[: 3 * n]].reshape(n, 3)
    codons = triplets @ np.array([16, 4, 1])
    kind = np.zeros(3 * n, dtype=np.int64)
    for first, last, other_strand in genes:
        frame = last % 3 if other_strand else first % 3
        kind[first:last] = 1 + frame + 3 * other_strand
    return Genome(np.where(codons < 0, N_CODONS, codons).astype(np.int32), kind[1::3])


def _complement(sequence: str) -> str:
    return sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))


def _sequences(path: Path) -> list[str]:
    """Sequences of a FASTA file, in capitals."""
    with gzip.open(path, "rt") as file:
        records = file.read().split(">")[1:]
    return ["".join(record.splitlines()[1:]).upper() for record in records]


def _find(name: str) -> Path:
    """A file anywhere below the folder of genomes."""
    folder = Path(os.environ.get("SPECTRAL_NN_GENOMES", FOLDER))
    found = sorted(folder.rglob(name))
    if not found:
        raise FileNotFoundError(
            f"there is no {name} below {folder}. `make genomes` fetches it where there is apt-get; "
            "elsewhere set SPECTRAL_NN_GENOMES to a folder that has it."
        )
    return found[0]
