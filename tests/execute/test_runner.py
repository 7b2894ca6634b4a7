"""Runners: the same sums in the same order, in one process and in several."""

import os
import threading
from functools import partial

import joblib
import numpy as np
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError

from spectral_nn.execute.runner import JoblibRunner, SerialRunner, runner, total


def as_list(x):
    return [x]


def process_and_thread(_):
    return os.getpid(), threading.get_ident()


def tenth(x):
    return 0.1 * x


def fail_at(limit, x):
    if x == limit:
        raise ValueError(f"no {x}")
    return x


def die_at(limit, x):
    if x == limit:
        os._exit(1)
    return x


@pytest.mark.parametrize("n_jobs", [None, 1])
def test_one_job_stays_in_this_process(n_jobs):
    with runner(n_jobs) as run:
        assert isinstance(run, SerialRunner)
        assert list(run.map(process_and_thread, range(2))) == [process_and_thread(0)] * 2


def test_results_are_added_in_the_order_of_the_chunks():
    assert total(SerialRunner(), as_list, (x for x in range(7))) == list(range(7))
    assert total(SerialRunner(), as_list, [5]) == [5]


def test_workers_give_the_same_sum_bit_for_bit(rng):
    chunks = (10.0 ** rng.uniform(-12, 12, 200)).tolist()
    expected = total(SerialRunner(), tenth, chunks)
    assert expected != total(SerialRunner(), tenth, sorted(chunks))  # order matters here
    with runner(2) as run:
        assert isinstance(run, JoblibRunner)
        assert total(run, tenth, iter(chunks)) == expected
        assert total(run, as_list, range(50)) == list(range(50))
        pids = {pid for pid, _ in run.map(process_and_thread, range(8))}
    assert os.getpid() not in pids


def test_the_users_configuration_is_respected():
    with joblib.parallel_config(backend="threading", n_jobs=2), runner() as run:
        assert isinstance(run, JoblibRunner)
        places = list(run.map(process_and_thread, range(4)))
    assert {pid for pid, _ in places} == {os.getpid()}
    assert threading.get_ident() not in {thread for _, thread in places}


def test_an_error_in_a_worker_raises_here():
    with pytest.raises(ValueError, match="no 3"), runner(2) as run:
        list(run.map(partial(fail_at, 3), range(6)))
    with pytest.raises(ValueError, match="no 3"):
        list(SerialRunner().map(partial(fail_at, 3), range(6)))


def test_a_killed_worker_raises_here():
    with pytest.raises(TerminatedWorkerError), runner(2) as run:
        total(run, partial(die_at, 5), range(20))
    with runner(2) as run:  # and the next fit has workers again
        assert total(run, tenth, np.arange(3.0)) == pytest.approx(0.3)
