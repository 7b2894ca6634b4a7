"""Genomes as codons, and which genes they lie in."""

import gzip

import numpy as np
import pytest

from bench.genes_data import N_CODONS, chlamydia, open_frames

GENBANK = """FEATURES             Location/Qualifiers
     CDS             <1..6
                     /gene="a"
     CDS             complement(8..13)
                     /gene="b"
     tRNA            14..15
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECTRAL_NN_GENOMES", str(tmp_path))
    return tmp_path


def test_codons_and_the_genes_that_they_lie_in(folder):
    (folder / "deep").mkdir()
    with gzip.open(folder / "deep" / "ct.fasta.gz", "wt") as file:
        file.write(">one genome\nTTTggg\nTTNTTCTTAC\n")
    with gzip.open(folder / "ct.gbk.gz", "wt") as file:
        file.write(GENBANK)
    genome = chlamydia()
    assert genome.codons.tolist() == [0, 63, N_CODONS, 1, 2]
    # bases 7 to 12 from 0 on, the other strand: from the end, 13 % 3 = 1
    assert genome.kind.tolist() == [1, 1, 5, 5, 0]
    assert genome.codons.dtype == np.int32


def test_a_genome_that_is_not_there_is_said_how_to_get(folder):
    with pytest.raises(FileNotFoundError, match=r"no ct\.fasta\.gz below .* `make genomes`"):
        chlamydia()


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_frames_without_stops_are_found_on_both_strands(shift):
    gene = "TAA" + "GCC" * 120 + "TAG"
    stops = "TTAATTAATTAA" * 10  # in all frames of both strands
    other = gene[::-1].translate(str.maketrans("ACGT", "TGCA"))
    sequence = stops + "A" * shift + gene + stops + other + stops
    begin = len(stops) + shift + 3
    found = open_frames(sequence)
    assert (begin, begin + 360, False) in found
    begin = len(stops) + shift + len(gene) + len(stops) + 3
    assert (begin, begin + 360, True) in found
    sizes = [last - first for first, last, _ in found]
    assert sizes == sorted(sizes)
    assert min(sizes) >= 300


def test_short_frames_are_not_taken_for_genes():
    assert open_frames("TTAATTAATTAA" + "GCC" * 60 + "TTAATTAATTAA") == []
