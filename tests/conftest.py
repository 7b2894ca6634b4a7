"""Fixtures for every test: array namespaces and seeded randomness."""

import contextlib
import importlib
import logging
import os

# scikit-learn skips its array API checks silently unless this is set before scipy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import array_api_compat.numpy
import numpy as np
import pytest
from hypothesis import settings

# How long an example takes is the machine's affair: speed is measured in bench/.
settings.register_profile("suite", deadline=None)
settings.register_profile("fuzz", deadline=None)  # the many cases of `make fuzz`
settings.load_profile("suite")


@pytest.fixture(params=["numpy", "array_api_strict", "torch"])
def xp(request):
    """Array API namespace, each of those that the core is checked with."""
    if request.param == "numpy":
        return array_api_compat.numpy
    module = pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    if request.param == "torch":
        module = importlib.import_module("array_api_compat.torch")
    return module


@pytest.fixture
def rng():
    """Random generator, the same one for every test."""
    return np.random.default_rng(20140801)


@contextlib.contextmanager
def local_client(**settings):
    """Client of a dask cluster of two workers on this machine: processes, if nothing is said."""
    distributed = pytest.importorskip("distributed", reason="dask is not installed")
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
        **settings,
    )
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        yield client


@pytest.fixture(scope="session")
def client():
    """A cluster that all tests share."""
    with local_client() as client:
        yield client


@pytest.fixture
def closing_client():
    """A cluster of one test's own, to close: its workers are threads, which start at once."""
    with local_client(processes=False, protocol="tcp") as client:
        yield client


@pytest.fixture
def breakable_client():
    """A cluster of one test's own, to kill workers of; it knocks at them for 5 s instead of 30."""
    dask = pytest.importorskip("dask", reason="dask is not installed")
    with dask.config.set({"distributed.comm.timeouts.connect": "5s"}), local_client() as client:
        yield client
