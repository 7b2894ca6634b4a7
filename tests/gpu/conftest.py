"""Tests that need an NVIDIA GPU; all are skipped, with the reason, where there is none."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def cupy():
    """CuPy, on a machine with a GPU."""
    module = pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)
    if not module.is_available():
        pytest.skip("CuPy finds no GPU")
    return module


@pytest.fixture(autouse=True)
def whole_memory(cupy):
    """Give every test the memory of the GPU, and take limits off afterwards."""
    pool = cupy.get_default_memory_pool()
    yield
    pool.set_limit(size=0)
    pool.free_all_blocks()
