"""Dask: sums in a tree where the data are, and what is left when workers and clusters go."""

import contextlib
import io
import logging
import os
import signal
import threading
import time
from functools import partial

import joblib
import numpy as np
import pytest

from spectral_nn.additive import tree_sum
from spectral_nn.runners.base import SerialRunner, runner

dask = pytest.importorskip("dask", reason="dask is not installed")
distributed = pytest.importorskip("distributed", reason="dask is not installed")

# What is killed while it starts again complains on its way out.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

from dask import array, bag  # noqa: E402
from distributed.client import ClosedClientError  # noqa: E402
from distributed.comm import CommClosedError  # noqa: E402

from spectral_estimators import CategoricalHMM, MLPRegressor  # noqa: E402
from spectral_nn.runners import direct  # noqa: E402
from spectral_nn.runners.cluster import ClusterError, ClusterRunner, DaskRunner  # noqa: E402


def column_sums(x, seconds=0.0):
    time.sleep(seconds)
    return x.sum(axis=0)


def as_list(x):
    return [x]


def process(_):
    return os.getpid()


def made(i):
    return np.full((500, 3), float(i))


def twice(x):
    return 2 * x


def shifted(x, by):
    return x + by


def as_it_is(x):
    return x


MEETING = threading.Barrier(2, timeout=10)


def met(x):
    MEETING.wait()
    return x.sum(axis=0)


def fail(x):
    raise ValueError(f"no {x.shape}")


@pytest.fixture(params=["threads", "cluster"])
def run(request):
    """A runner without a client, and one with."""
    if request.param == "threads":
        return DaskRunner()
    return ClusterRunner(request.getfixturevalue("client"))


@pytest.fixture
def parts(rng):
    return [rng.standard_normal((200, 4)) for _ in range(21)]


def test_sums_are_those_of_one_thread_bit_for_bit(run, parts):
    expected = SerialRunner().total(column_sums, parts)
    np.testing.assert_array_equal(run.total(column_sums, parts), expected)
    np.testing.assert_array_equal(run.total(column_sums, run.place(parts)), expected)
    np.testing.assert_array_equal(run.total(column_sums, iter(parts)), expected)
    assert run.total(as_list, list(range(100))) == list(range(100))


def test_waves_of_what_is_walked_keep_the_tree(rng):
    values = rng.standard_normal(300).tolist()
    assert DaskRunner().total(twice, iter(values)) == tree_sum(2 * x for x in values)


def test_small_neighbours_are_bundled_and_change_nothing(client, parts):
    """As many tasks as threads; single parts are still to be had; large ones stay alone."""
    run = ClusterRunner(client)
    expected = SerialRunner().total(column_sums, parts)
    lazy = [dask.delayed(np.asarray)(part) for part in parts]
    for placed in (run.place(parts), run.place(lazy)):
        assert len(placed.bundles) == 2
        assert len(placed) == len(parts)
        np.testing.assert_array_equal(run.total(column_sums, placed), expected)
        doubled = run.derive(twice, placed)
        np.testing.assert_array_equal(run.total(column_sums, doubled), 2 * expected)
        np.testing.assert_array_equal(next(iter(run.map(twice, placed[5:6]))), 2 * parts[5])
    large = run.place([np.zeros((2**20, 2))] * 3)
    assert not hasattr(large, "bundles")


@pytest.fixture
def patient(monkeypatch):
    """However slow the machine, passes count as brief, and no tasks are due."""
    monkeypatch.setattr(direct, "_BRIEF", 600.0)
    monkeypatch.setattr(direct, "_SILENCE", 600.0)


@pytest.mark.parametrize("n", [2, 21])
@pytest.mark.parametrize("here", [True, False], ids=["sent", "made there"])
def test_bundles_are_summed_without_tasks(client, here, n, monkeypatch, patient):
    """After one pass of tasks, however they are seen; but what fails is left to tasks."""
    run = ClusterRunner(client)
    values = [made(i) for i in range(n)]
    placed = run.place(values if here else [dask.delayed(made)(i) for i in range(n)])
    expected = SerialRunner().total(column_sums, values)
    np.testing.assert_array_equal(run.total(column_sums, placed), expected)
    slowly = partial(column_sums, seconds=1.0 / n)  # long enough to look after the workers
    doubled = run.derive(twice, placed)
    sent = tasks_of(client, monkeypatch)
    for _ in range(3):
        np.testing.assert_array_equal(run.total(slowly, placed), expected)
        np.testing.assert_array_equal(run.total(column_sums, doubled), 2 * expected)
        np.testing.assert_array_equal(run.total(column_sums, placed), expected)
    assert len(sent) <= 2  # dask may have dropped a copy that it had made
    with pytest.raises(ValueError, match=r"no \(500, 3\)"):
        run.total(fail, placed)
    np.testing.assert_array_equal(run.total(column_sums, placed), expected)


def test_long_passes_are_tasks(client, parts, monkeypatch):
    monkeypatch.setattr(direct, "_BRIEF", 0.0)
    run = ClusterRunner(client)
    placed = run.place(parts)
    expected = SerialRunner().total(column_sums, parts)
    sent = tasks_of(client, monkeypatch)
    for _ in range(3):
        np.testing.assert_array_equal(run.total(column_sums, placed), expected)
    assert len(sent) == 3


def test_a_cluster_that_adapts_sees_tasks(breakable_client, parts, monkeypatch, patient):
    """It would take workers without tasks for idle, and let them go."""
    breakable_client.cluster.adapt(minimum=2, maximum=2)
    run = ClusterRunner(breakable_client)
    placed = run.place(parts)
    sent = tasks_of(breakable_client, monkeypatch)
    for _ in range(3):
        run.total(column_sums, placed)
    assert len(sent) == 3


def test_a_scheduler_hears_of_a_fit_now_and_then(client, parts, monkeypatch, patient):
    """One that is set to close when it is idle does not close on a fit."""
    run = ClusterRunner(client)
    placed = run.place(parts)
    monkeypatch.setattr(direct, "_SILENCE", 0.2)
    expected = run.total(column_sums, placed)
    sent = tasks_of(client, monkeypatch)
    for _ in range(50):
        np.testing.assert_array_equal(run.total(column_sums, placed), expected)
        time.sleep(0.01)
    assert 1 <= len(sent) < 50


def tasks_of(client, monkeypatch):
    """A list that grows with every pass that is made of tasks."""
    sent, tasks = [], client.map
    monkeypatch.setattr(client, "map", lambda *a, **k: sent.append(a) or tasks(*a, **k))
    return sent


def test_threads_of_a_worker_take_a_bundle_each(parts, monkeypatch, patient):
    """Both are at work at once, or the barrier breaks; and nothing is logged of that."""
    local = distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
    )
    log = io.StringIO()
    with local, distributed.Client(local, set_as_default=False) as client:
        run = ClusterRunner(client)
        placed = run.place(parts[:2] * 2)
        expected = run.total(met, placed)
        monkeypatch.setattr(client, "map", None)
        with logged(log):
            for _ in range(3):
                np.testing.assert_array_equal(run.total(met, placed), expected)
    np.testing.assert_array_equal(expected, 2 * sum(x.sum(axis=0) for x in parts[:2]))
    assert log.getvalue().count("at_home") <= 1


@contextlib.contextmanager
def logged(stream):
    """What workers in this process log, to a stream."""
    logger, handler = logging.getLogger("distributed.worker"), logging.StreamHandler(stream)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(level)
    logger.removeHandler(handler)


def test_delayed_parts_are_computed_where_they_are(run):
    lazy = [dask.delayed(made)(i) for i in range(10)]
    derived = run.derive(twice, lazy)
    for given in (derived, run.place(derived)):
        np.testing.assert_array_equal(run.total(column_sums, given), np.full(3, 45 * 1000.0))
    assert [x[0, 0] for x in run.map(twice, lazy)] == [2.0 * i for i in range(10)]


@pytest.mark.parametrize("there", [True, False], ids=["made there", "sent"])
def test_functions_before_parts_are_called_in_their_order(run, there):
    """Common to all parts, or each with its own; placed again, they are called once and kept."""
    parts = [dask.delayed(made)(i) if there else made(i) for i in range(10)]
    placed = run.place(parts)
    seen = run.derive(twice, run.derive(partial(shifted, by=1.0), placed))
    expected = [2 * (made(i) + 1) for i in range(10)]
    own = [run.derive(partial(shifted, by=float(i)), [part])[0] for i, part in enumerate(seen)]
    for given in (seen, run.place(seen)):
        np.testing.assert_array_equal(list(run.map(twice, given)), [2 * x for x in expected])
        np.testing.assert_array_equal(
            run.total(column_sums, given), sum(x.sum(axis=0) for x in expected)
        )
    moved = list(run.map(as_it_is, own))
    np.testing.assert_array_equal(moved, [x + i for i, x in enumerate(expected)])


def test_work_is_done_by_the_workers(client, parts):
    pids = set(ClusterRunner(client).map(process, parts))
    assert pids <= set(client.run(os.getpid).values())
    assert os.getpid() not in pids


def test_joblibs_configuration_opens_the_cluster(client, parts):
    with client.as_current(), joblib.parallel_config(backend="dask"):
        with runner() as run:
            assert isinstance(run, ClusterRunner)
            assert os.getpid() not in set(run.map(process, parts))
        with runner(n_jobs=1) as run:
            assert isinstance(run, SerialRunner)


def test_a_statistics_own_error_is_the_users_to_see(run, parts):
    with pytest.raises(ValueError, match=r"no \(200, 4\)"):
        run.total(fail, parts)


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "made there"])
def test_a_killed_worker_changes_nothing(breakable_client, parts, sent, patient):
    """Dask makes again what it made, and what was sent from here is sent again."""
    run = ClusterRunner(breakable_client)
    given = parts if sent else [dask.delayed(made)(i) for i in range(21)]
    expected = run.total(column_sums, given)
    placed = run.place(given)
    run.total(column_sums, placed)
    victim = next(iter(breakable_client.run(os.getpid).values()))
    killer = threading.Timer(0.3, os.kill, (victim, signal.SIGKILL))
    killer.start()
    found = run.total(partial(column_sums, seconds=0.1), placed)
    killer.join()
    np.testing.assert_array_equal(found, expected)
    assert victim not in breakable_client.run(os.getpid).values()


@pytest.mark.parametrize("pause", [0.0, 0.5], ids=["now", "before"])
@pytest.mark.parametrize("sent", [True, False], ids=["sent", "made there"])
def test_a_worker_that_was_killed_is_not_waited_for(breakable_client, parts, sent, pause, patient):
    """Dask tries for half a minute to reach one that is asked directly."""
    run = ClusterRunner(breakable_client)
    placed = run.place(parts if sent else [dask.delayed(made)(i) for i in range(21)])
    expected = run.total(column_sums, placed)
    os.kill(next(iter(breakable_client.run(os.getpid).values())), signal.SIGKILL)
    time.sleep(pause)
    begin = time.monotonic()
    np.testing.assert_array_equal(run.total(column_sums, placed), expected)
    assert time.monotonic() - begin < 20


def no_part(x):
    raise FileNotFoundError("no such part")


@pytest.mark.parametrize("failing", [partial(no_part), None], ids=["statistic", "part"])
def test_a_tasks_own_oserror_is_not_the_clusters(client, parts, failing):
    lazy = [dask.delayed(no_part if failing is None else as_it_is)(part) for part in parts[:3]]
    with pytest.raises(FileNotFoundError, match="no such part"):
        ClusterRunner(client).total(failing or column_sums, lazy)


LOST = [CommClosedError("closed"), ClosedClientError("closed"), TimeoutError("no workers")]


@pytest.mark.parametrize("step", ["compute", "gather", "map", "nthreads", "scatter", "submit"])
@pytest.mark.parametrize("lost", LOST, ids=lambda error: type(error).__name__)
def test_whichever_call_the_cluster_fails_it_is_said_to_be(client, parts, step, lost, monkeypatch):
    """Where parts are placed, and where they are used."""

    def fail_it(*args, **kwargs):
        raise lost

    monkeypatch.setattr(client, step, fail_it)
    run = ClusterRunner(client)
    given = parts if step == "scatter" else [dask.delayed(made)(i) for i in range(40)]
    with pytest.raises(ClusterError, match="the dask cluster failed"):
        run.total(column_sums, run.place(given))


def test_what_is_sent_again_to_a_cluster_that_is_gone(client, parts, monkeypatch):
    """The tasks fail, and then the parts cannot be sent again."""
    run = ClusterRunner(client)
    placed = run.place(parts)

    def closed(*args, **kwargs):
        raise CommClosedError("closed")

    monkeypatch.setattr(client, "map", closed)
    monkeypatch.setattr(client, "scatter", closed)
    with pytest.raises(ClusterError, match=r"CommClosedError.*repeat the fit"):
        run.total(column_sums, placed)


def sequences_of(i):
    return [np.random.default_rng(i).integers(0, 9, size=200) for _ in range(50)]


@pytest.mark.parametrize("given", ["bag", "memory", "array"])
@pytest.mark.parametrize("seconds", [0.2, 1.0])
def test_a_cluster_that_closes_during_a_fit(breakable_client, given, seconds):
    """Whenever it does: one error, soon, and an estimator that is not fitted."""
    model = CategoricalHMM(4, n_init=2, n_iter=10**6, tol=0, random_state=0)
    if given == "bag":
        data = (bag.from_delayed([dask.delayed(sequences_of)(i) for i in range(6)]),)
    elif given == "memory":
        data = (sequences_of(0),)
    else:
        table = array.random.default_rng(0).standard_normal((40_000, 5), chunks=(8000, 5))
        model = MLPRegressor(4, activation="tanh", max_iter=10**6, tol=0, random_state=0)
        data = (table, array.tanh(table).sum(axis=1))
    before = vars(model).copy()
    closing = threading.Timer(seconds, breakable_client.cluster.close)
    with breakable_client.as_current(), joblib.parallel_config("dask"):
        closing.start()
        begin = time.monotonic()
        with pytest.raises(ClusterError, match="repeat the fit"):
            model.fit(*data)
    assert time.monotonic() - begin < 60
    closing.join()
    assert vars(model) == before


def test_a_cluster_that_is_gone_is_said_to_be(breakable_client, parts):
    run = ClusterRunner(breakable_client)
    placed = run.place(parts)
    breakable_client.close()
    with pytest.raises(ClusterError, match=r"its client is clos.*repeat the fit"):
        run.total(column_sums, placed)


def test_workers_that_die_again_and_again_end_the_fit(breakable_client, parts):
    with pytest.raises(ClusterError, match="the dask cluster failed"):
        ClusterRunner(breakable_client).total(partial(os._exit), [1])
