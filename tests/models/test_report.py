"""Reports of fits: frozen, printed as a table, HTML that is escaped."""

from dataclasses import FrozenInstanceError, dataclass, replace

import numpy as np
import pytest

from spectral_estimators import CategoricalHMM
from spectral_nn.models.report import FitReport, StartReport, fact


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Report(FitReport):
    values: np.ndarray | None = fact("values")
    hidden: np.ndarray | None = fact()
    fault: str | None = fact("fault")


STARTS = (StartReport(kind="tensor", likelihood=-1.5), StartReport(kind="random", loss=2.0))


def test_a_report_is_frozen():
    with pytest.raises(FrozenInstanceError):
        FitReport(winner="tensor").winner = "random"


def test_what_is_not_known_is_not_printed():
    report = Report(winner="tensor", starts=STARTS, hidden=np.ones(3), converged=False)
    lines = str(report).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["start that won", "starts", "", "converged"]
    assert lines[1].endswith("tensor, log-likelihood and log prior -1.5")
    assert lines[2].endswith("random, loss 2")
    assert lines[3].endswith("no")


def test_long_arrays_are_cut():
    [line] = str(Report(values=np.arange(40.0))).splitlines()
    assert line.endswith("10, 11, ... (40)")


def test_html_has_the_same_rows_and_is_escaped():
    report = Report(winner="tensor", starts=STARTS, fault="2 < 3 & more")
    html = report._repr_html_()
    assert "2 &lt; 3 &amp; more" in html
    assert html.count("<tr>") == 3
    assert "tensor, log-likelihood and log prior -1.5<br>random, loss 2" in html


def test_repr_is_one_line():
    assert repr(replace(Report(winner="tensor"), n_iter=3, converged=True)) == (
        "Report(winner='tensor', 0 starts, n_iter=3, converged=True)"
    )


def test_the_report_of_a_fit_agrees_with_the_model():
    model = CategoricalHMM(2, random_state=0).fit(list("aabbaabbab" * 30))
    report = model.report_
    assert report.n_iter == model.monitor_.iter
    assert report.converged == model.monitor_.converged
    assert report.winner == report.starts[0].kind
    assert report.starts[0].likelihood == model.monitor_.history[-1]
