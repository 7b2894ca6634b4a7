"""The pure parts of the benchmarks of scale: planted pieces, the simulation, page and picture."""

import json
from dataclasses import replace

import numpy as np
import pytest

data = pytest.importorskip("bench.scale_data")
model = pytest.importorskip("bench.scale_model")
page = pytest.importorskip("bench.scale_page")
law = pytest.importorskip("bench.scale_law")
same = pytest.importorskip("bench.scale_same")

COSTS = model.Costs(
    token=5e-8,
    part=1e-5,
    merge=4e-6,
    task=8e-4,
    empty_pass=2e-2,
    message=4e-3,
    bandwidth=1e9,
    size=2e4,
)


def test_rows_are_the_same_in_every_walk():
    rows = data.PlantedRows(25, 4, 2, piece_rows=10)
    first, second = rows.together(), rows.together()
    assert [len(y) for _, y in rows] == [10, 10, 5]
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_sequences_are_the_same_in_every_walk():
    tokens = data.PlantedSequences(250, 3, 5, length=10, piece_tokens=100)
    first, second = list(tokens), list(tokens)
    assert [len(sequence) for sequence in first] == [10] * 25
    np.testing.assert_array_equal(first, second)


def test_a_cluster_holds_the_same_data():
    dask = pytest.importorskip("dask")
    rows = data.PlantedRows(25, 4, 2, piece_rows=10)
    tokens = data.PlantedSequences(60, 3, 5, length=10, piece_tokens=20)
    with dask.config.set(scheduler="synchronous"):
        X, y = dask.compute(*rows.on_cluster())
        bag = tokens.on_cluster().compute()
    np.testing.assert_array_equal(X, rows.together()[0])
    np.testing.assert_array_equal(y, rows.together()[1])
    np.testing.assert_array_equal(bag, list(tokens))


@pytest.mark.parametrize(
    ("n_parts", "tasks", "levels"), [(1, 1, 0), (2, 3, 1), (8, 9, 1), (9, 12, 2), (4000, 4572, 4)]
)
def test_tree_of_sums(n_parts, tasks, levels):
    assert model.n_tasks(n_parts) == tasks
    assert model.depth(n_parts) == levels


def test_one_worker_computes_everything_and_sends_nothing():
    one = model.simulate_pass(COSTS, 1e7, 1, parts_per_worker=1)
    assert one.compute == pytest.approx(1e7 * COSTS.token + COSTS.part)
    assert (one.parameters, one.tree) == (0, 0)
    assert one.scheduling == pytest.approx(COSTS.empty_pass + COSTS.task)


def test_two_workers_share_the_work_and_send_one_sum():
    two = model.simulate_pass(COSTS, 1e7, 2, parts_per_worker=1)
    assert two.compute == pytest.approx(1e7 * COSTS.token / 2 + COSTS.part)
    assert two.tree == pytest.approx(COSTS.transfer + COSTS.merge)


def test_simulation_is_near_the_closed_form_without_waiting():
    free = replace(COSTS, part=0.0, merge=0.0, message=0.0, bandwidth=float("inf"))
    found = model.simulate_pass(free, 1e9, 1000)
    assert found.tree == 0
    assert found.seconds == pytest.approx(
        1e9 * COSTS.token / 1000 + COSTS.task * 4572 + COSTS.empty_pass
    )


def test_everybody_waits_for_the_slowest():
    slowness = np.ones(64)
    slowness[17] = 3.0
    even = model.simulate_pass(COSTS, 1e10, 64)
    assert model.simulate_pass(COSTS, 1e10, 64, slowness=slowness).compute == pytest.approx(
        3 * even.compute
    )


def test_more_data_are_worth_more_workers():
    counts = (1, 3, 10, 30, 100, 300, 1000)
    best = [model.fastest(COSTS, n, counts) for n in (1e7, 1e9, 1e11)]
    assert best == sorted(best)
    assert model.worthwhile(COSTS, 1e9, counts) <= model.fastest(COSTS, 1e9, counts)


def test_stragglers_cost_time():
    straggling = model.with_stragglers(COSTS, 1e10, 50, np.random.default_rng(0), rounds=5)
    assert straggling > model.simulate_pass(COSTS, 1e10, 50).seconds


def test_largest_relative_difference():
    expected = {"a": np.array([1.0, 2.0]), "b": np.array([10.0])}
    found = {"a": np.array([1.0, 2.002]), "b": np.array([10.0])}
    assert same.difference(found, expected) == pytest.approx(1e-3)
    assert np.isnan(same.difference(found | {"b": np.array([np.nan])}, expected))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4e-6, "4.0 us"), (0.0893, "89 ms"), (1.5, "1.5 s"), (90, "90 s"), (7200, "2.0 h")],
)
def test_durations_for_readers(seconds, text):
    assert page.duration(seconds) == text


def test_page_and_picture_come_from_what_was_kept(tmp_path):
    pytest.importorskip("matplotlib")
    passes = [
        {"workers": w, "parts": 8, "tokens": 10**7, "seconds": 0.5 / w, "predicted": 0.5 / w}
        for w in (1, 2)
    ]
    kept = {
        "details": {
            "costs": {"E-step, K=30": vars(COSTS), "counting": vars(COSTS)},
            "passes": passes,
        },
        "environment": {"date": "today", "cpu": "a processor"},
    }
    (tmp_path / "scale_costs.json").write_text(json.dumps(kept))
    report = law.run(docs=tmp_path / "docs", results=tmp_path)
    assert len(report.rows) == 6
    text = (tmp_path / "docs" / "scaling.md").read_text()
    assert "a processor" in text
    assert "{" not in text
    assert (tmp_path / "docs" / "scaling.png").stat().st_size > 10_000
