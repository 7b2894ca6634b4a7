"""Tables, verdicts and the kept JSON of the benchmarks, and the scorer of both sides."""

import json
import math

import numpy as np
import pytest

bench = pytest.importorskip("bench.harness")


def test_rows_keep_lower_and_upper_bounds():
    speed = bench.Row("speed", 10.0, must=8.0, reach=15.0, higher_is_better=True)
    assert speed.meets(speed.must)
    assert not speed.meets(speed.reach)
    error = bench.Row("error", 0.2, must=0.1)
    assert error.meets(error.must) is False
    assert error.meets(error.reach) is None


def test_a_missing_figure_keeps_no_bound():
    assert bench.Row("nothing", math.nan, must=1.0).meets(1.0) is False


def test_report_is_printed_and_kept(tmp_path, capsys):
    report = bench.Report("toy", {"seed": 0})
    report.add("fast", 3.0, must=2.0, unit="x", higher_is_better=True)
    report.add("for information", 1.0)
    assert report.finish(tmp_path) == 0
    printed = capsys.readouterr().out
    assert "fast" in printed
    assert "pass" in printed
    kept = json.loads((tmp_path / "toy.json").read_text())
    assert kept["passed"]
    assert kept["environment"]["versions"]["numpy"] == np.__version__
    assert bench.kept_rows("toy", tmp_path) == report.rows


def test_missed_bound_is_an_exit_status(tmp_path):
    report = bench.Report("toy", {})
    report.add("slow", 1.0, must=2.0, higher_is_better=True)
    assert report.finish(tmp_path) == bench.MISSED


def test_race_calls_in_turn():
    calls = []
    times = bench.race({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2)
    assert calls == ["a", "b"] * 3
    assert all(0 <= times[name]["min"] <= times[name]["median"] for name in "ab")
