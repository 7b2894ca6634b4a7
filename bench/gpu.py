"""One NVIDIA GPU: measured ceilings, the lane E-step, network moments, streamed host data.

Every size is a parameter, and every measurement a function of a `Machine`, so that the tests run
them at tiny sizes with PyTorch on the CPU.  ``make bench-gpu`` runs them; without a GPU it says so.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from bench.harness import Report, timed
from spectral_nn.arrays import get_namespace
from spectral_nn.data import Sequences
from spectral_nn.data.rows import Rows
from spectral_nn.datasets import planted_hmm
from spectral_nn.models.chains.expectation import expect_lanes
from spectral_nn.models.chains.expectation_on import expect_on
from spectral_nn.models.chains.lanes import LaneBatches, lane_batches
from spectral_nn.models.chains.parameters import HMMParameters
from spectral_nn.models.network.moments import solve_moments
from spectral_nn.moments.frame import Frame, column_moments, input_moments
from spectral_nn.moments.polynomial import (
    high_moments,
    low_moments,
    n_fourth_moments,
    slice_moments,
    tube_moments,
)
from spectral_nn.runners.base import SerialRunner
from spectral_nn.runners.device import Device, DeviceRunner, open_device

MOST = 60 * 10**9  # bytes of device memory to use
LANE, BURN_IN = 500, 24
ROWS = 1 << 17  # of a chunk


@dataclass(frozen=True)
class Machine:
    """A device, its runner, and how to wait until it has computed all."""

    device: Device
    run: DeviceRunner
    wait: Callable[[], object] = tuple

    def put(self, x: np.ndarray) -> Any:
        """Array on the device."""
        with self.device.current():
            return self.device.put(x)

    def seconds(self, call: Callable[[], object], rounds: int = 5) -> float:
        """Median time of a call, the device's work included, after one to warm up."""

        def complete() -> None:
            with self.device.current():
                call()
                self.wait()

        complete()
        return median(timed(complete)[1] for _ in range(rounds))

    @property
    def memory(self) -> int:
        """Bytes that a benchmark may use."""
        room = self.device.room()
        return MOST if room is None else min(MOST, int(0.8 * room))


@dataclass(frozen=True)
class Ceilings:
    """What the machine can do.

    Attributes
    ----------
    copy : bytes a second, read or written, of a copy on the device.
    gemm, narrow : flops a second of products of float32 squares, and of (S, K) tables with (K, K).
    bus : bytes a second from pinned host memory.
    """

    copy: float
    gemm: float
    narrow: float
    bus: float


def ceilings(
    machine: Machine, bus: float, size: int = 8192, K: int = 100, n_bytes: int = 1 << 32
) -> Ceilings:
    """Measure copies and products; `bus` is measured by the caller."""
    rng = np.random.default_rng(0)
    shape = (12 * size, K)
    return Ceilings(
        copy_rate(machine, machine.put(np.zeros(n_bytes // 16, dtype=np.complex128))),
        product_rate(machine, *(rng.standard_normal((size, size)) for _ in range(2))),
        product_rate(machine, rng.standard_normal(shape), rng.standard_normal((K, K))),
        bus,
    )


def copy_rate(machine: Machine, x: Any) -> float:
    """Bytes a second, read or written, of a copy of complex numbers on the device.

    CuPy moves an entry a thread, and narrower ones more slowly.
    """
    xp = get_namespace(x)
    return 2 * 16 * x.shape[0] / machine.seconds(lambda: xp.asarray(x, copy=True))


def product_rate(machine: Machine, a: np.ndarray, b: np.ndarray) -> float:
    """Flops a second of a product in single precision."""
    x, y = (machine.put(part.astype(np.float32)) for part in (a, b))
    return 2 * a.shape[0] * a.shape[1] * b.shape[1] / machine.seconds(lambda: x @ y)


def lane_flops(K: int, n_codes: int) -> int:
    """Flops a token of the lane E-step: two filters' products, pair counts, and code counts."""
    return 6 * K**2 + 2 * n_codes * K


def lane_bytes(K: int, item: int = 4) -> int:
    """Least bytes a token: filters are written once and read once, and codes read twice."""
    return 2 * K * item + 2 * 4


def roofline(flops: float, n_bytes: float, ceiling: Ceilings) -> float:
    """Least seconds, by the slower of arithmetic and memory."""
    return max(flops / ceiling.gemm, n_bytes / ceiling.copy)


def layout(rng: np.random.Generator, n_tokens: int, n_symbols: int) -> LaneBatches:
    """Random codes, laid out as lanes."""
    codes = rng.integers(0, n_symbols, n_tokens, dtype=np.int32)
    whole = Sequences(codes, np.array([0, n_tokens]))
    return lane_batches(whole, LANE, BURN_IN, n_symbols)


def lanes(
    machine: Machine, n_tokens: int, n_host: int, K: int = 100, n_symbols: int = 60
) -> dict[str, float]:
    """Seconds of an E-step on the device, and on one thread of the host, for all tokens."""
    rng = np.random.default_rng(0)
    parameters = planted_hmm(K, n_symbols, rng=rng)
    # Filters fill a third of the memory, the rest is for what comes and goes.
    piece = min(n_tokens, machine.memory // (3 * 4 * K))
    sizes = [piece] * (n_tokens // piece)
    placed = machine.run.place([layout(rng, size, n_symbols) for size in sizes])
    on_device = partial(expect_on, parameters)
    seconds = machine.seconds(lambda: machine.run.total(on_device, placed), 3)
    sample = layout(rng, n_host, n_symbols)
    return {
        "device": seconds * n_tokens / sum(sizes),
        "host": host_seconds(parameters, sample) * n_tokens / n_host,
        "flops": lane_flops(K, n_symbols + 1) * n_tokens,
        "bytes": lane_bytes(K) * n_tokens,
    }


def host_seconds(parameters: HMMParameters, sample: LaneBatches) -> float:
    """One thread: the faster of two E-steps, after one that compiles."""
    step = partial(expect_lanes, parameters, sample, dtype=np.float32)
    step()
    return min(timed(step)[1] for _ in range(2))


def pass_flops(n: int, d: int, K: int, outputs: int = 1) -> dict[str, int]:
    """Flops of the products in each pass of network moments over n rows.

    In K dimensions there are P = K (K + 1) / 2 pairs and F = 1 + K + P features.
    """
    P = K * (K + 1) // 2
    F = 1 + K + P
    projection = 2 * n * d * K
    return {
        "inputs": 2 * 2 * n * d**2 + 2 * n * d * outputs,
        "slices": 2 * outputs * 2 * n * d**2 + 2 * 2 * n * d * outputs,
        "tubes": 2 * n * d * outputs * P + projection + 2 * n * d * outputs,
        "low": projection + 2 * n * (n_fourth_moments(K) + F * outputs),
        "high": projection + 2 * n * outputs * (F + n_fourth_moments(K)),
    }


def rows_of(rng: np.random.Generator, n: int, d: int) -> Rows:
    """Random rows, float32."""
    return Rows(
        rng.standard_normal((n, d), dtype=np.float32),
        rng.standard_normal((n, 1), dtype=np.float32),
        np.ones(n, dtype=np.float32),
    )


def statistics(d: int, K: int) -> dict[str, Callable[[Rows], Any]]:
    """Passes of network moments by name, with frames and slopes from a few random rows."""
    rng = np.random.default_rng(1)
    few = rows_of(rng, max(4 * d, 4 * K**2), d)
    serial = SerialRunner()
    columns = serial.total(column_moments, [few])
    inputs = partial(input_moments, columns=columns)
    frame = Frame.standard(columns, d).whitened(serial.total(inputs, [few]))
    projected = frame.projected(np.eye(frame.n_dimensions)[:, :K])
    slopes = frame.whitener @ rng.standard_normal((frame.n_dimensions, 1)) / d
    basis = projected.whitener
    coefficients = solve_moments(serial.total(partial(low_moments, frame=projected), [few]))
    return {
        "inputs": inputs,
        "slices": partial(slice_moments, frame=frame, slopes=slopes, along=slopes),
        "tubes": partial(tube_moments, frame=frame, slopes=slopes, basis=basis),
        "low": partial(low_moments, frame=projected),
        "high": partial(high_moments, frame=projected, coefficients=coefficients, with_fourth=True),
    }


def moments(machine: Machine, n: int, d: int = 1000, K: int = 30) -> dict[str, dict[str, float]]:
    """Seconds and flops of each pass over rows that are on the device."""
    rng = np.random.default_rng(0)
    n_rows = min(ROWS, n)
    chunk = rows_of(rng, n_rows, d)
    # The same rows again and again, each time in memory of their own.
    n_chunks = min(n // n_rows, machine.memory // (4 * 4 * n_rows * d))
    placed = machine.run.place([chunk] * max(n_chunks, 1))
    scale = n / (n_rows * max(n_chunks, 1))
    flops = pass_flops(n, d, K)
    return {
        name: {
            "seconds": scale * machine.seconds(partial(machine.run.total, statistic, placed), 3),
            "flops": flops[name],
        }
        for name, statistic in statistics(d, K).items()
    }


def first_column(rows: Rows) -> Any:
    """Hardly any work: what is left is the transfer.  A view would keep the chunk alive."""
    return rows.X[:1, :1] + 0.0


def streamed(machine: Machine, n: int, d: int = 1000, K: int = 30) -> dict[str, float]:
    """Seconds of a pass over host data: transfer alone, work alone, and both."""
    rng = np.random.default_rng(0)
    n_rows = min(ROWS // 2, n)
    chunk = rows_of(rng, n_rows, d)
    chunks = [chunk._replace(X=chunk.X.copy()) for _ in range(n // n_rows)]
    run = machine.run
    slices = statistics(d, K)["slices"]
    few = chunks[: max(1, min(len(chunks), machine.memory // (4 * 4 * n_rows * d)))]
    placed = run.place(few)
    return {
        "transfer": machine.seconds(lambda: run.total(first_column, chunks), 3),
        "work": machine.seconds(lambda: run.total(slices, placed), 3) * len(chunks) / len(few),
        "both": machine.seconds(lambda: run.total(slices, chunks), 3),
        "bytes": len(chunks) * chunk.X.nbytes,
    }


def report(
    machine: Machine, ceiling: Ceilings, found: dict[str, Any], settings: dict[str, Any]
) -> Report:
    """Rows of all measurements."""
    gpu = Report("gpu", settings, details=found)
    for claim, value, unit in (
        ("copy on the device, read and written", ceiling.copy / 1e9, "GB/s"),
        ("float32 product of squares", ceiling.gemm / 1e12, "TFLOP/s"),
        ("float32 product of (98304, 100) with (100, 100)", ceiling.narrow / 1e12, "TFLOP/s"),
        ("host to device, pinned", ceiling.bus / 1e9, "GB/s"),
    ):
        gpu.add(claim, value, unit=unit)
    step, up = found["lanes"], {"higher_is_better": True}
    best = roofline(step["flops"], step["bytes"], ceiling)
    claim = f"lane E-step, K=100, float32, {settings['tokens']:.0e} tokens"
    gpu.add(claim, step["device"], unit="s")
    against = step["host"] / step["device"]
    gpu.add(f"{claim}, against one thread", against, must=100, reach=500, unit="x", **up)
    gpu.add(f"{claim}, of the roofline", 100 * best / step["device"], reach=40, unit="%", **up)
    seconds = flops = 0.0
    for name, pair in found["moments"].items():
        rate = pair["flops"] / pair["seconds"]
        seconds, flops = seconds + pair["seconds"], flops + pair["flops"]
        gpu.add(f"network moments, pass of {name}", 100 * rate / ceiling.gemm, unit="%", **up)
    share = 100 * flops / seconds / ceiling.gemm
    gpu.add("network moments, all, of the product", share, must=50, reach=80, unit="%", **up)
    times = found["streamed"]
    gpu.add("host data, as they arrive", times["bytes"] / times["transfer"] / 1e9, unit="GB/s")
    ratio = times["both"] / max(times["transfer"], times["work"])
    gpu.add("host data, over max(transfer, work)", ratio, must=1.3, reach=1.1, unit="x")
    return gpu


def cuda() -> tuple[Machine, dict[str, Any], float]:
    """The current GPU, what it is, and the speed of its bus."""
    run = open_device("cuda")
    import cupy
    from cupyx import empty_pinned

    stream = cupy.cuda.get_current_stream()
    machine = Machine(run.device, run, stream.synchronize)
    source = empty_pinned(1 << 30, np.uint8)
    target = cupy.empty(1 << 30, np.uint8)
    bus = source.size / machine.seconds(lambda: target.set(source, stream))
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(runtime.getDevice())
    settings = {
        "device": properties["name"].decode(),
        "device memory": f"{cupy.cuda.Device().mem_info[1] / 2**30:.0f} GiB",
        "driver": f"CUDA {runtime.driverGetVersion()}",
        "CUDA runtime": runtime.runtimeGetVersion(),
        "CuPy": cupy.__version__,
    }
    return machine, settings, bus


def main(n_tokens: int = 10**8, n_host: int = 2 * 10**6, n_rows: int = 10**6) -> int:
    """Measure everything; 0 with a word to say so where there is no GPU."""
    try:
        machine, settings, bus = cuda()
    except (ImportError, RuntimeError) as error:
        print(f"no GPU, nothing measured: {error}")
        return 0
    step = lane_flops(100, 61), lane_bytes(100)
    settings |= {
        "tokens": n_tokens,
        "lane E-step": f"{step[0]:,} flops and {step[1]:,} bytes a token at the least",
        "rows": f"{n_rows} of 1000 columns, K=30",
        "host": f"one thread, {n_host} tokens, scaled",
        "seed": 0,
    }
    ceiling = ceilings(machine, bus)
    machine.device.free()
    found: dict[str, Any] = {}
    for name, measure in (
        ("lanes", partial(lanes, machine, n_tokens, n_host)),
        ("moments", partial(moments, machine, n_rows)),
        ("streamed", partial(streamed, machine, 2 * n_rows)),
    ):
        print(f"measuring {name}", flush=True)
        found[name] = measure()
        machine.device.free()
    return report(machine, ceiling, found, settings).finish()


if __name__ == "__main__":
    sys.exit(main())
