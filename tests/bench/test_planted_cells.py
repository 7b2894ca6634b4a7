"""Simulated cells, the bits that predictions tell, and rivals that find their subunits."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bench import harness, white_noise_stnmf
from bench.planted_cells import RATE, energy_cell, subunit_cell
from bench.rivals import stc, stnmf


@pytest.mark.parametrize("draw", [subunit_cell, energy_cell])
def test_cells_fire_as_often_as_they_should(draw):
    cell = draw(100, 5000)
    assert cell.X.shape == (5000, 256)
    assert cell.y.mean() == pytest.approx(RATE, abs=0.05)
    np.testing.assert_allclose(np.linalg.norm(cell.subunits, axis=0), 1)
    overlap = np.abs(cell.subunits.T @ cell.subunits - np.eye(6)).max()
    assert overlap < (0.15 if draw is subunit_cell else 0.3)


def test_bits_a_spike():
    """None for the mean rate, and more for the subunits' drive; negative rates count as low."""
    cell = subunit_cell(100, 5000)
    mean = cell.y.mean()
    assert cell.bits(np.full(cell.test_y.shape, mean)) == pytest.approx(0)
    drive = np.maximum(cell.test_X @ cell.subunits - 0.25, 0).sum(axis=1)
    assert cell.bits(mean / drive.mean() * drive) > 0.3
    assert np.isfinite(cell.bits(-drive))


def test_covariance_of_spikes_shows_what_drives_them(rng):
    X = rng.standard_normal((20_000, 5))
    y = rng.poisson(X[:, 0] ** 2)
    found = stc.directions(X, y, 1)
    np.testing.assert_allclose(np.abs(found[:, 0]), np.eye(5)[0], atol=0.05)


def test_factorisation_sees_a_stimulus_once_a_spike(monkeypatch):
    """And its modules come back as columns, pixels in the order of the cell's."""

    def factorise(stimuli, r, disp):
        assert stimuli.shape[:2] == (16, 16)
        assert not disp
        return SimpleNamespace(modules=np.moveaxis(stimuli[:, :, -r:], 2, 0))

    monkeypatch.setitem(sys.modules, "stnmf", SimpleNamespace(STNMF=factorise))
    cell = subunit_cell(100, 200)
    seen = [row for row, spikes in zip(cell.X, cell.y, strict=True) for _ in range(int(spikes))]
    np.testing.assert_array_equal(stnmf.directions(cell), np.array(seen[-20:]).T)


def test_cosines_are_those_of_the_most_similar(rng):
    cell = subunit_cell(100, 10)
    found = np.column_stack([-3 * cell.subunits[:, ::-1], rng.standard_normal((256, 4))])
    np.testing.assert_allclose(white_noise_stnmf.best_cosines(cell, found), 1)
    assert white_noise_stnmf.best_cosines(cell, cell.subunits[:, :1])[1:].max() < 0.15


def test_a_rival_that_is_not_installed_is_skipped(monkeypatch, capsys):
    monkeypatch.setattr(white_noise_stnmf, "find_spec", lambda name: None)
    assert white_noise_stnmf.main() == harness.SKIPPED
    assert "pip install --no-deps stnmf" in capsys.readouterr().out
