"""Who follows a fit: printed lines with their pace, functions, and scikit-learn's callbacks."""

import importlib.util
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from spectral_estimators import (
    CategoricalHMM,
    DawidSkene,
    GaussianHMM,
    GaussianMixture,
    Lagged,
    LatentDirichletAllocation,
    MLPRegressor,
    PerSequence,
    TensorFeatures,
    _progress,
    _sklearn_compat,
)
from spectral_estimators._progress import Pace
from spectral_estimators.trainers import LayerWise
from tests.estimators.test_check_estimator import ESTIMATORS
from tests.estimators.test_frames import assert_same_fit, data_for, seeded

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks")

pytestmark = [
    pytest.mark.filterwarnings("ignore::spectral_estimators.RankWarning"),
    pytest.mark.filterwarnings("ignore::spectral_estimators.RecoveryWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


class Recorder:
    """Writes down all that it is told."""

    def __init__(self):
        self.told = []

    def setup(self, estimator, context):
        self.told.append(("setup", context.max_subtasks))

    def teardown(self, estimator, context):
        self.told.append(("teardown",))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.told.append(("begin", context.task_name, context.task_id, context.max_subtasks))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.told.append(("end", context.task_name, context.task_id, context.max_subtasks))

    def steps(self):
        """Names and numbers of the subtasks that have ended."""
        return [one[1:3] for one in self.told if one[0] == "end" and one[1] != "fit"]


class Propagated(Recorder):
    """The same in the estimators within an estimator."""

    max_propagation_depth = None


def steps_taken(model):
    return model.n_iter_ if hasattr(model, "n_iter_") else model.monitor_.iter


FOLLOWED = [estimator for estimator in ESTIMATORS if hasattr(estimator, "_max_steps")]


@pytest.mark.parametrize("estimator", FOLLOWED, ids=repr)
def test_callbacks_see_every_step(estimator):
    _, X, more = data_for(estimator)
    recorder = Recorder()
    plain = seeded(estimator).fit(X, **more)
    model = seeded(estimator).set_callbacks(recorder).fit(X, **more)
    assert_same_fit(model, plain)
    most = estimator.get_params().get("max_iter", estimator.get_params().get("n_iter"))
    n_climbs = 1
    if isinstance(estimator, GaussianMixture) and estimator.n_components > 1:
        n_climbs = 2  # from the winner of the race, and from k-means: n_iter_ counts the better
    first, begun, *steps, ended, last = recorder.told
    assert first == ("setup", n_climbs * most)
    assert begun == ("begin", "fit", 0, n_climbs * most)
    assert [one[0] for one in steps] == ["begin", "end"] * (len(steps) // 2)
    assert [number for _, number in recorder.steps()] == list(range(len(steps) // 2))
    assert steps_taken(model) <= len(recorder.steps()) <= n_climbs * steps_taken(model) + n_climbs
    if n_climbs == 1:
        assert len(recorder.steps()) == steps_taken(model)
    assert (ended[0], last) == ("end", ("teardown",))
    assert not hasattr(model, "_callback_fit_ctx")


def test_starts_that_are_climbed_to_the_end_are_the_steps():
    recorder = Recorder()
    X = np.random.default_rng(0).integers(0, 3, 60)
    model = CategoricalHMM(2, init="random", n_init=3, n_iter=5, random_state=0)
    model.set_callbacks(recorder).fit(X)
    assert recorder.told[0] == ("setup", 3)
    assert recorder.steps() == [("EM, random start", i) for i in range(3)]


def test_the_number_of_steps_may_be_unknown_or_none():
    X = np.random.default_rng(0).integers(0, 2, 400)
    recorder = Recorder()
    CategoricalHMM("auto", n_iter=3, random_state=0).set_callbacks(recorder).fit(X)
    assert recorder.told[0] == ("setup", None)
    assert {name for name, _ in recorder.steps()} == {"EM"}
    recorder = Recorder()
    CategoricalHMM(2, n_iter=0, random_state=0).set_callbacks(recorder).fit(X)
    assert recorder.told[0] == ("setup", 0)
    assert recorder.steps() == []


def test_rules_and_solvers_name_their_steps():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), rng.normal(size=40)
    net = MLPRegressor(hidden_layer_sizes=(3, 3), init="random", max_iter=4, random_state=0)
    for solver, name in (("sgd", "sgd"), (LayerWise(), LayerWise.name)):
        recorder = Recorder()
        model = clone(net).set_params(solver=solver).set_callbacks(recorder).fit(X, y)
        assert recorder.steps() == [(name, i) for i in range(model.n_iter_)]


def test_a_fit_that_fails_is_closed():
    recorder = Recorder()
    model = GaussianHMM(2).set_callbacks(recorder)
    with pytest.raises(ValueError, match="infinity"):
        model.fit(np.full((5, 1), np.inf))
    assert recorder.told[-1] == ("teardown",)
    assert not hasattr(model, "_callback_fit_ctx")
    recorder = Recorder()
    with pytest.raises(ValueError, match="n_iter"):
        GaussianHMM(2, n_iter=-1).set_callbacks(recorder).fit(np.zeros((5, 1)))
    assert recorder.told == []


def test_a_search_and_a_pipeline_hand_callbacks_on():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    recorder = Propagated()
    net = MLPRegressor(hidden_layer_sizes=2, init="random", max_iter=4, random_state=0)
    pipe = make_pipeline(Lagged(2), TensorFeatures(2, random_state=0), net)
    search = GridSearchCV(pipe, {"mlpregressor__max_iter": [2, 3]}, cv=2)
    search.set_callbacks(recorder).fit(X, y)
    steps = [one for one in recorder.steps() if one[0] == "lbfgs"]
    wanted = [0, 1] * 2 + [0, 1, 2] * 2 + list(range(search.best_estimator_[-1].n_iter_))
    assert [number for _, number in steps] == wanted
    assert [one[0] for one in recorder.told].count("setup") == 1


@pytest.mark.parametrize(
    "model",
    [
        GaussianHMM(2, random_state=0),
        GaussianMixture(2, random_state=0),
        make_pipeline(PerSequence(Lagged(1)), GaussianHMM(2, random_state=0)),
        GridSearchCV(GaussianHMM(random_state=0, n_iter=3), {"n_components": [1, 2]}, cv=2),
    ],
    ids=["hmm", "mixture", "pipeline", "search"],
)
def test_a_progress_bar_runs(model, capsys):
    pytest.importorskip("rich", reason="rich, which draws the bars, is not installed")
    X = np.random.default_rng(0).normal(size=(6, 10, 2))
    model = clone(model).set_callbacks(callback.ProgressBar())
    model.fit(X.reshape(60, 2) if isinstance(model, GaussianMixture) else list(X))
    out = capsys.readouterr().out
    assert type(model).__name__ in out
    assert "100%" in out


def test_a_monitor_of_scores_gets_the_fitted_model():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), rng.normal(size=40)
    monitor = callback.ScoringMonitor(scoring="r2")
    net = MLPRegressor(hidden_layer_sizes=2, max_iter=3, random_state=0).set_callbacks(monitor)
    weight = rng.random(40)
    net.fit(X, y, sample_weight=weight)
    (row,) = monitor.get_logs().data
    assert row["r2"] == net.score(X, y, sample_weight=weight)


def test_functions_and_callbacks_are_told_alike(capsys):
    told, recorder = [], Recorder()
    X = np.random.default_rng(0).normal(size=(50, 1))
    model = GaussianHMM(2, random_state=0, verbose=lambda *one: told.append(one))
    model.set_callbacks(recorder).fit(X)
    assert len([one for one in told if one[0] == "EM"]) == len(recorder.steps())
    model.set_params(verbose=True).fit(X)
    assert capsys.readouterr().err.count("EM  ") == len(recorder.steps()) / 2


def test_earlier_fits_are_told_no_more():
    recorder = Recorder()
    X = np.random.default_rng(0).normal(size=(50, 1))
    model = GaussianHMM(2, random_state=0).set_callbacks(recorder).fit(X)
    n_told = len(recorder.told)
    model.partial_fit(X)
    model.predict(X)
    assert len(recorder.told) == n_told
    model.set_callbacks().fit(X)
    assert len(recorder.told) == n_told


def test_scikit_learn_without_callbacks_will_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec = importlib.util.spec_from_file_location("compat_without", _sklearn_compat.__file__)
    without = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(without)
    assert not hasattr(without.CallbackSupportMixin, "set_callbacks")
    assert without.with_callbacks(len) is len
    assert not without.has_callbacks(without.CallbackSupportMixin())
    assert without.open_task(without.CallbackSupportMixin()) is None


class Clock:
    """Tells a time that goes on by so many seconds with each look."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds

    def __call__(self):
        self.now += self.seconds
        return self.now


def test_pace_is_told_of_long_climbs(monkeypatch):
    monkeypatch.setattr(_progress, "perf_counter", Clock(2.0))
    pace = Pace(40)
    assert [pace.words("EM", step) for step in (1, 2, 3)] == ["", "", ""]
    assert pace.words("EM", 4) == "  (0.5 steps/s, at most 72 s left)"
    assert pace.words("EM", 40) == "  (4.88 steps/s, at most 0 s left)"
    assert pace.words("EM", 1) == ""  # another climb
    assert Pace(None).words("EM", 1) == ""
    monkeypatch.setattr(_progress, "perf_counter", Clock(1000.0))
    pace = Pace(None)
    pace.words("adam", 1)
    assert pace.words("adam", 2) == "  (0.001 steps/s)"
    pace = Pace(12)
    pace.words("adam", 1)
    assert pace.words("adam", 2) == "  (0.001 steps/s, at most 2.8 h left)"
    assert pace.words("adam", 11) == "  (0.005 steps/s, at most 3 min left)"


def test_lines_have_a_pace_where_fits_are_long(monkeypatch, capsys):
    monkeypatch.setattr(_progress, "perf_counter", Clock(6.0))
    X = np.random.default_rng(0).integers(0, 4, (60, 3))
    GaussianHMM(2, random_state=0, verbose=True, n_iter=5, tol=0).fit(X)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("EM")]
    assert "steps/s" not in lines[0]
    assert lines[1].endswith("  (0.167 steps/s, at most 18 s left)")
    GaussianMixture(2, random_state=0, verbose=1, verbose_interval=2, max_iter=30).fit(X)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("EM")]
    assert all(line.endswith(" left)") for line in lines)
    LatentDirichletAllocation(2, init="random", random_state=0, verbose=1, max_iter=7).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "iteration: 1 of max_iter: 7"
    assert lines[1].endswith("max_iter: 7  (0.167 steps/s, at most 30 s left)")
    net = MLPRegressor(hidden_layer_sizes=2, init="random", max_iter=4, random_state=0)
    net.set_params(verbose=True).fit(X, X[:, 0])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Iteration 1, loss = {net.loss_curve_[0]:.8f}"
    assert lines[1].endswith("  (0.167 steps/s, at most 12 s left)")


def test_votes_are_followed_without_verbose():
    recorder = Recorder()
    X = np.array([["a", "a", "b"], ["b", "b", "b"], ["a", None, "a"]], dtype=object)
    model = DawidSkene().set_callbacks(recorder).fit(X)
    assert len(recorder.steps()) == model.n_iter_
