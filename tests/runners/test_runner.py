"""Runners: the same sums, to the last bit, in one thread, in several, and in processes."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from functools import partial

import joblib
import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joblib.externals.loky.process_executor import TerminatedWorkerError

from spectral_nn.additive import tree_sum
from spectral_nn.runners.base import JoblibRunner, SerialRunner, ThreadRunner, runner
from spectral_nn.runners.parts import Part, Walk, load, mapped

PROCESSES = {"backend": "loky", "n_jobs": 2}


def as_list(x):
    return [x]


def process_and_thread(_):
    return os.getpid(), threading.get_ident()


def tenth(x):
    return 0.1 * x


def first(array):
    return array.ravel()[:1], type(array).__name__


def fail_at(limit, x):
    if x == limit:
        raise ValueError(f"no {x}")
    return x


def die_at(limit, x):
    if x == limit:
        os._exit(1)
    return x


@pytest.mark.parametrize("n_jobs", [None, 1])
def test_one_job_stays_in_this_thread(n_jobs):
    with runner(n_jobs) as run:
        assert isinstance(run, SerialRunner)
        assert list(run.map(process_and_thread, range(2))) == [process_and_thread(0)] * 2


@given(st.integers(1, 70))
def test_results_are_added_in_order(n):
    assert tree_sum([i] for i in range(n)) == list(range(n))
    assert SerialRunner().total(as_list, (x for x in range(n))) == list(range(n))


@given(st.integers(1, 40), st.sampled_from([1, 2, 4, 8]), st.integers(0, 2**32 - 1))
def test_the_tree_of_larger_chunks_is_a_branch_of_the_same_tree(n, size, seed):
    values = (10.0 ** np.random.default_rng(seed).uniform(-12, 12, n)).tolist()
    branches = [tree_sum(values[i : i + size]) for i in range(0, n, size)]
    assert tree_sum(branches) == tree_sum(values)


def test_a_sum_keeps_few_statistics_at_a_time():
    alive, most = 0, 0

    class Counted:
        def __init__(self):
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self):
            nonlocal alive
            alive -= 1

        def __add__(self, other):
            return Counted()

    tree_sum(Counted() for _ in range(1000))
    assert most <= 14  # log2 of 1000, and what is being added


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_give_the_same_sum_bit_for_bit(rng, backend):
    chunks = rng.standard_normal(200).tolist()
    expected = SerialRunner().total(tenth, chunks)
    assert expected != SerialRunner().total(tenth, sorted(chunks))  # order matters here
    with joblib.parallel_config(backend), runner(2) as run:
        assert type(run) is (ThreadRunner if backend == "threading" else JoblibRunner)
        assert run.total(tenth, iter(chunks)) == expected
        assert run.total(as_list, range(50)) == list(range(50))
        pids = {pid for pid, _ in run.map(process_and_thread, range(8))}
    assert (pids == {os.getpid()}) == (backend == "threading")


def test_workers_are_threads_unless_the_user_says_otherwise():
    with runner(2) as run:
        places = set(run.map(process_and_thread, range(8)))
    assert {pid for pid, _ in places} == {os.getpid()}
    assert threading.get_ident() not in {thread for _, thread in places}
    with joblib.parallel_config(**PROCESSES), runner() as run:
        assert os.getpid() not in {pid for pid, _ in run.map(process_and_thread, range(8))}


def test_parts_are_loaded_where_they_are_needed():
    parts = [Part(x).map(tenth).map(tenth) for x in (100.0, 200.0)]
    with joblib.parallel_config(**PROCESSES), runner() as run:
        assert list(run.map(as_list, parts)) == [[1.0], [2.0]]
        assert run.total(tenth, mapped(tenth, [100.0, 200.0])) == pytest.approx(3)
    walked = mapped(tenth, range(3))
    assert isinstance(walked, Walk)
    assert [[load(part) for part in walked] for _ in range(2)] == [[0, 0.1, 0.2]] * 2


def test_processes_get_large_arrays_as_files_that_go_away():
    arrays = [np.full((300, 1000), float(i)) for i in range(3)]
    with joblib.parallel_config(**PROCESSES), runner() as run:
        placed = run.place(arrays)
        files = {part.filename for part in placed}
        assert all(os.path.exists(file) for file in files)
        assert [kind for _, kind in run.map(first, placed)] == ["memmap"] * 3
        assert [float(x[0]) for x, _ in run.map(first, placed)] == [0, 1, 2]
        assert run.place(iter(arrays)) is not None
    assert not any(os.path.exists(file) for file in files)
    with runner(2) as run:
        assert run.place(arrays) is arrays


def test_files_that_cannot_be_written_are_named(monkeypatch, tmp_path):
    """No folder for temporary files, or a full one: what could not be written, and what to do."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    advice = "No such file.*Set TMPDIR.*joblib's threads.*gone"
    with joblib.parallel_config(**PROCESSES):
        with pytest.raises(FileNotFoundError, match=advice), runner():
            pass
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        with runner() as run:
            monkeypatch.setattr(joblib, "dump", no_room)
            with pytest.raises(OSError, match=rf"No space left.*Set TMPDIR.*{tmp_path}"):
                run.place([np.zeros(9)])
    assert not list(tmp_path.iterdir())


def no_room(part, file):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_threads_stay_a_few_items_ahead():
    drawn = []

    def items():
        for i in range(50):
            drawn.append(i)
            yield i

    with runner(2) as run:
        results = run.map(tenth, items())
        next(results)
        assert len(drawn) < 10
        results.close()


def test_an_error_in_a_worker_raises_here():
    for config in ({"backend": "threading"}, PROCESSES):
        with (
            joblib.parallel_config(**config),
            pytest.raises(ValueError, match="no 3"),
            runner(2) as run,
        ):
            list(run.map(partial(fail_at, 3), range(6)))
    with pytest.raises(ValueError, match="no 3"):
        list(SerialRunner().map(partial(fail_at, 3), range(6)))


def test_a_killed_worker_raises_here():
    with joblib.parallel_config(**PROCESSES):
        with pytest.raises(TerminatedWorkerError), runner() as run:
            run.total(partial(die_at, 5), range(20))
        with runner() as run:  # and the next fit has workers again
            assert run.total(tenth, np.arange(3.0)) == pytest.approx(0.3)


def test_interrupting_a_fit_leaves_no_processes():
    """Ctrl-C reaches the parent alone, as from an IDE: its workers have to go with it."""
    script = textwrap.dedent("""
        import signal, time, joblib
        from spectral_nn.runners.base import runner

        signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in background

        def work(_):
            print("working", flush=True)
            time.sleep(60)

        if __name__ == "__main__":
            with joblib.parallel_config("loky", n_jobs=2), runner() as run:
                list(run.map(work, range(4)))
        """)
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    assert [process.stdout.readline() for _ in range(2)] == ["working\n"] * 2
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive
    assert process.returncode != 0
