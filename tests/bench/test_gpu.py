"""The GPU benchmark at tiny sizes, with PyTorch on the CPU in the GPU's place."""

import json
from contextlib import nullcontext

import numpy as np
import pytest

from bench import gpu
from spectral_nn.arrays import from_numpy
from spectral_nn.runners.device import DeviceRunner


class OnTorch:
    """PyTorch's CPU as a device with so much memory."""

    name, out_of_memory = "torch", (MemoryError,)

    def __init__(self, room):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        self._like, self._room = torch.zeros(1, dtype=torch.int64), room

    def put(self, x):
        return from_numpy(x, like=self._like)

    def current(self):
        return nullcontext()

    def free(self):
        pass

    def room(self):
        return self._room


@pytest.fixture
def machine():
    device = OnTorch(10**8)
    return gpu.Machine(device, DeviceRunner(device))


def test_flops_of_an_e_step():
    assert gpu.lane_flops(100, 61) == 60_000 + 12_200
    assert gpu.lane_bytes(100) == 808


def test_flops_of_network_passes():
    flops = gpu.pass_flops(n=10, d=100, K=2)
    assert list(flops) == list(gpu.statistics(8, 2))
    assert flops["inputs"] == 4 * 10 * 100**2 + 2 * 10 * 100
    # 3 pairs, 6 features
    assert flops["low"] == 2 * 10 * 100 * 2 + 2 * 10 * 6 * 7
    assert flops["high"] == 2 * 10 * 100 * 2 + 2 * 10 * (6 + 6 * 6)


def test_the_roofline_is_the_slower_of_both():
    ceiling = gpu.Ceilings(copy=10.0, gemm=100.0, narrow=50.0, bus=1.0)
    assert gpu.roofline(1000, 10, ceiling) == 10
    assert gpu.roofline(1000, 200, ceiling) == 20


def test_ceilings(machine):
    ceiling = gpu.ceilings(machine, bus=1.0, size=16, K=4, n_bytes=1 << 10)
    assert min(ceiling.copy, ceiling.gemm, ceiling.narrow) > 0


@pytest.mark.parametrize("room", [10**8, 3 * 10**5])  # little room: pieces, not all placed
def test_measurements_make_a_report(room, tmp_path, capsys):
    device = OnTorch(room)
    machine = gpu.Machine(device, DeviceRunner(device))
    ceiling = gpu.ceilings(machine, bus=1e9, size=16, K=4, n_bytes=1 << 10)
    found = {
        "lanes": gpu.lanes(machine, 5000, 2000, K=4, n_symbols=6),
        "moments": gpu.moments(machine, 300, d=8, K=2),
        "streamed": gpu.streamed(machine, 300, d=8, K=2),
    }
    assert found["lanes"]["flops"] == 5000 * gpu.lane_flops(4, 7)
    report = gpu.report(machine, ceiling, found, {"tokens": 5000})
    report.finish(tmp_path)
    kept = json.loads((tmp_path / "gpu.json").read_text())
    assert kept["details"]["moments"]["tubes"]["flops"] == gpu.pass_flops(300, 8, 2)["tubes"]
    claims = {row["claim"]: row["must"] for row in kept["rows"] if row["must"] is not None}
    assert sorted(claims.values()) == [1.3, 50, 100]
    assert all(np.isfinite(row["measured"]) for row in kept["rows"])


def test_without_a_gpu_it_says_so_and_ends_well(monkeypatch, capsys):
    def none():
        raise RuntimeError("0 GPUs")

    monkeypatch.setattr(gpu, "cuda", none)
    assert gpu.main() == 0
    assert capsys.readouterr().out == "no GPU, nothing measured: 0 GPUs\n"
