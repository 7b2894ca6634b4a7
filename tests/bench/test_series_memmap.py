"""The benchmark of a mapped file: its rows, its fit, and what it makes of the figures."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

series_memmap = pytest.importorskip("bench.series_memmap")


@pytest.fixture
def tiny(monkeypatch):
    for name, value in {"N_STATES": 2, "N_FEATURES": 3, "PIECE_ROWS": 400}.items():
        monkeypatch.setattr(series_memmap, name, value)


def test_the_file_holds_the_planted_rows(tiny, tmp_path):
    series_memmap.write(1000, tmp_path / "rows.npy")
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert (rows.shape, rows.dtype) == ((1000, 3), np.float32)
    np.testing.assert_array_equal(rows, np.concatenate(list(series_memmap.pieces(1000))))


def test_planted_states_last():
    rows = next(series_memmap.pieces(20_000))
    assert rows.shape == (20_000, series_memmap.N_FEATURES)
    near, far = (np.mean(rows[:-lag] * rows[lag:]) - rows.mean() ** 2 for lag in (1, 500))
    assert near > 0.1
    assert abs(far) < 0.02


def test_every_step_of_a_fit_is_timed(tiny, tmp_path):
    path = tmp_path / "rows.npy"
    series_memmap.write(500, path)
    figures = series_memmap.fit_file(path)
    assert 0 < len(figures["steps"]) < series_memmap.N_ITER
    assert 0 < sum(figures["steps"]) < figures["seconds"]
    assert np.isfinite(figures["objective"])
    assert 0.01 < figures["peak"] < 100


def test_growth_is_that_of_the_fastest_step_a_row(tiny, monkeypatch):
    seconds = {100: [0.3, 0.1], 1000: [1.1, 4.0]}

    def child(bound, module, path):
        n = np.load(path, mmap_mode="r").shape[0]
        figures = {"seconds": 9.0, "steps": seconds[n], "objective": -2.0 * n, "peak": 0.5}
        return SimpleNamespace(returncode=0, stdout=json.dumps(figures))

    bound = SimpleNamespace(how="nothing", peak=lambda: None)
    monkeypatch.setattr(series_memmap, "limited", lambda limit: nullcontext(bound))
    monkeypatch.setattr(series_memmap, "run_in", child)
    report = series_memmap.run((100, 1000))
    assert report.passed
    measured = {row.claim: row.measured for row in report.rows}
    assert measured["1,000 rows: growth of a step and row"] == pytest.approx(1.1)
    assert measured["100 rows: objective a row"] == -2

    monkeypatch.setattr(series_memmap, "run_in", lambda *_: SimpleNamespace(returncode=-9))
    killed = series_memmap.run((100,))
    assert not killed.passed
    assert killed.details["100 rows: exit status"] == -9
