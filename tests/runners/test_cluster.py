"""Dask: sums in a tree where the data are, and what is left when workers and clusters go.

Workers import this file, and so it imports no estimators: whole fits are in `test_cluster_closes`.
"""

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
from spectral_nn.runners.parts import mapped

dask = pytest.importorskip("dask", reason="dask is not installed")
distributed = pytest.importorskip("distributed", reason="dask is not installed")

# What is killed while it starts again complains on its way out.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

from distributed.client import ClosedClientError  # noqa: E402
from distributed.comm import CommClosedError  # noqa: E402

from spectral_nn.runners.cluster import ClusterError, DaskRunner  # noqa: E402


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


def fail(x):
    raise ValueError(f"no {x.shape}")


@pytest.fixture(params=["threads", "cluster"])
def run(request):
    """A runner without a client, and one with."""
    if request.param == "threads":
        return DaskRunner()
    return DaskRunner(request.getfixturevalue("client"))


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


def test_delayed_parts_are_computed_where_they_are(run):
    lazy = [dask.delayed(made)(i) for i in range(10)]
    doubled = mapped(twice, lazy)
    for given in (doubled, iter(doubled), run.place(doubled)):
        np.testing.assert_array_equal(run.total(column_sums, given), np.full(3, 45 * 1000.0))
    assert [x[0, 0] for x in run.map(twice, lazy)] == [2.0 * i for i in range(10)]


@pytest.mark.parametrize("there", [True, False], ids=["made there", "sent"])
def test_functions_before_parts_are_called_in_their_order(run, there):
    """Common to all parts, or each with its own; placed again, they are called once and kept."""
    parts = [dask.delayed(made)(i) if there else made(i) for i in range(10)]
    placed = run.place(parts)
    seen = mapped(twice, mapped(partial(shifted, by=1.0), placed))
    expected = [2 * (made(i) + 1) for i in range(10)]
    own = [part.map(partial(shifted, by=float(i))) for i, part in enumerate(seen)]
    for given in (seen, run.place(seen)):
        np.testing.assert_array_equal(list(run.map(twice, given)), [2 * x for x in expected])
        np.testing.assert_array_equal(
            run.total(column_sums, given), sum(x.sum(axis=0) for x in expected)
        )
    moved = list(run.map(as_it_is, own))
    np.testing.assert_array_equal(moved, [x + i for i, x in enumerate(expected)])


def test_work_is_done_by_the_workers(client, parts):
    pids = set(DaskRunner(client).map(process, parts))
    assert pids <= set(client.run(os.getpid).values())
    assert os.getpid() not in pids


def test_joblibs_configuration_opens_the_cluster(client, parts):
    with client.as_current(), joblib.parallel_config(backend="dask"):
        with runner() as run:
            assert isinstance(run, DaskRunner)
            assert os.getpid() not in set(run.map(process, parts))
        with runner(n_jobs=1) as run:
            assert isinstance(run, SerialRunner)


def test_a_statistics_own_error_is_the_users_to_see(run, parts):
    with pytest.raises(ValueError, match=r"no \(200, 4\)"):
        run.total(fail, parts)


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "made there"])
def test_a_killed_worker_changes_nothing(breakable_client, parts, sent):
    """Dask makes again what it made, and what was sent from here is sent again."""
    run = DaskRunner(breakable_client)
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


@pytest.mark.parametrize(
    ("sent", "pause"), [(True, 0.0), (False, 0.5)], ids=["sent, now", "made there, before"]
)
def test_a_worker_that_was_killed_is_not_waited_for_long(breakable_client, parts, sent, pause):
    run = DaskRunner(breakable_client)
    placed = run.place(parts if sent else [dask.delayed(made)(i) for i in range(21)])
    expected = run.total(column_sums, placed)
    os.kill(next(iter(breakable_client.run(os.getpid).values())), signal.SIGKILL)
    time.sleep(pause)
    begin = time.monotonic()
    np.testing.assert_array_equal(run.total(column_sums, placed), expected)
    assert time.monotonic() - begin < 30  # dask knocks at a dead worker for 5 s, maybe twice


def no_part(x):
    raise FileNotFoundError("no such part")


@pytest.mark.parametrize("failing", [partial(no_part), None], ids=["statistic", "part"])
def test_a_tasks_own_oserror_is_not_the_clusters(client, parts, failing):
    lazy = [dask.delayed(no_part if failing is None else as_it_is)(part) for part in parts[:3]]
    with pytest.raises(FileNotFoundError, match="no such part"):
        DaskRunner(client).total(failing or column_sums, lazy)


LOST = [CommClosedError("closed"), ClosedClientError("closed"), TimeoutError("no workers")]


@pytest.mark.parametrize("step", ["compute", "gather", "scatter"])
@pytest.mark.parametrize("lost", LOST, ids=lambda error: type(error).__name__)
def test_whichever_call_the_cluster_fails_it_is_said_to_be(client, parts, step, lost, monkeypatch):
    """Where parts are placed, and where they are used."""

    def fail_it(*args, **kwargs):
        raise lost

    monkeypatch.setattr(client, step, fail_it)
    run = DaskRunner(client)
    given = parts if step == "scatter" else [dask.delayed(made)(i) for i in range(40)]
    with pytest.raises(ClusterError, match="the dask cluster failed"):
        run.total(column_sums, run.place(given))


@pytest.mark.parametrize("times", [1, 100])
def test_a_worker_that_leaves_while_parts_are_sent_to_it(client, parts, times, monkeypatch):
    """The scheduler raises a KeyError: parts go to another, or the cluster is said to fail."""
    scatter, left = client.scatter, iter(range(times))

    def leave(*args, **kwargs):
        if next(left, None) is not None:
            raise KeyError("tcp://127.0.0.1:1")
        return scatter(*args, **kwargs)

    monkeypatch.setattr(client, "scatter", leave)
    run = DaskRunner(client)
    if times > 1:
        with pytest.raises(ClusterError, match=r"127.0.0.1:1' left while.*repeat the fit"):
            run.place(parts)
    else:
        expected = SerialRunner().total(column_sums, parts)
        np.testing.assert_array_equal(run.total(column_sums, run.place(parts)), expected)


def test_what_is_sent_again_to_a_cluster_that_is_gone(client, parts, monkeypatch):
    """The tasks fail, and then the parts cannot be sent again."""
    run = DaskRunner(client)
    placed = run.place(parts)

    def closed(*args, **kwargs):
        raise CommClosedError("closed")

    monkeypatch.setattr(client, "compute", closed)
    monkeypatch.setattr(client, "scatter", closed)
    with pytest.raises(ClusterError, match=r"CommClosedError.*repeat the fit"):
        run.total(column_sums, placed)


def test_a_cluster_that_is_gone_is_said_to_be(closing_client, parts):
    run = DaskRunner(closing_client)
    placed = run.place(parts)
    closing_client.close()
    with pytest.raises(ClusterError, match=r"its client is clos.*repeat the fit"):
        run.total(column_sums, placed)


def test_workers_that_die_again_and_again_end_the_fit(breakable_client, parts):
    with pytest.raises(ClusterError, match="the dask cluster failed"):
        DaskRunner(breakable_client).total(partial(os._exit), [1])
