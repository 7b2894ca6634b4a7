"""Compiled functions: they run where nothing can be kept, and Ctrl-C comes through them."""

import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numba
import numpy as np
import pytest

import spectral_estimators
import spectral_nn
from spectral_estimators import CategoricalHMM, MLPRegressor
from spectral_nn.compiled import Compiled
from spectral_nn.models.chains.engine import EXACT_ROWS
from spectral_nn.models.network.activations import ACTIVATIONS, add_bias

PACKAGES = [Path(module.__file__).parent for module in (spectral_nn, spectral_estimators)]
NOWHERE = "/proc/nowhere"  # where nobody may make a folder, root included

FIT = textwrap.dedent("""
    import resource, signal, sys
    import numpy as np

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file too large is an OSError then
    if sys.argv[1] == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    from spectral_estimators import MLPRegressor  # its functions are small: compiled in a second
    x = np.random.default_rng(0).standard_normal((300, 1))
    net = MLPRegressor(hidden_layer_sizes=2, max_iter=2, init="random", random_state=0)
    net.fit(x, x[:, 0] > 0)
    print(net.predict(x[:9]).sum())
    """)

INTERRUPTED = textwrap.dedent("""
    import copy, os, signal, threading, time
    import numpy as np
    from spectral_estimators import CategoricalHMM

    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in background
    x = np.random.default_rng(0).integers(0, 9, size=(60_000, 1))
    FITTED = ["startprob_", "transmat_", "emissionprob_", "monitor_", "report_"]
    how = {"init": "random", "n_iter": 20, "tol": 0, "random_state": 0}  # most of it compiled
    fitted = CategoricalHMM(8, **how).fit(x)
    begin = time.monotonic()
    copy.copy(fitted).fit(x)
    seconds = time.monotonic() - begin
    for i in range(24):
        timer = threading.Timer(seconds * (i + 1) / 26, os.kill, (os.getpid(), signal.SIGINT))
        model = copy.copy(fitted)
        try:
            timer.start()
            while True:
                model.fit(x)
                model = copy.copy(fitted)
        except BaseException as error:
            # All of it is as it was, or all is new, if it came when fit was just done.
            kept = {vars(model)[name] is vars(fitted)[name] for name in FITTED}
            same = vars(model).keys() == vars(fitted).keys()
            print(type(error).__name__, same and len(kept) == 1)
    """)


def twice(x, out):
    for i in range(x.size):
        out[i] = 2 * x[i]


def doubled(function):
    out = np.empty(3)
    function(np.arange(3.0), out)
    return out.tolist()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A folder of this test's own for what Numba keeps."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path


def files_of(cache):
    return sorted(path for path in cache.rglob("*") if path.suffix in (".nbi", ".nbc"))


def test_what_is_compiled_is_kept(cache):
    assert doubled(Compiled(twice)) == [0, 2, 4]
    index, data = files_of(cache)
    kept = data.stat().st_mtime_ns, index.stat().st_mtime_ns
    assert doubled(Compiled(twice)) == [0, 2, 4]
    assert (data.stat().st_mtime_ns, index.stat().st_mtime_ns) == kept


@pytest.mark.parametrize("damage", ["cut off", "zeros", "empty"])
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_what_cannot_be_read_is_compiled_again(cache, suffix, damage):
    """As a machine that loses power leaves it."""
    doubled(Compiled(twice))
    (damaged,) = (path for path in files_of(cache) if path.suffix == suffix)
    whole = damaged.read_bytes()
    left = {"cut off": whole[: len(whole) // 2], "zeros": bytes(len(whole)), "empty": b""}[damage]
    damaged.write_bytes(left)
    assert doubled(Compiled(twice)) == [0, 2, 4]
    assert damaged.read_bytes() == left  # or it was not read


def test_a_folder_that_goes_away_is_not_needed(cache):
    function = Compiled(twice)
    for folder in cache.iterdir():
        folder.rmdir()
        folder.write_text("a file where the folder was")
    assert doubled(function) == [0, 2, 4]
    assert len(function.signatures) == 1


def test_ctrl_c_in_a_fit_is_a_keyboard_interrupt():
    """Whenever it comes, most of all in a compiled function; the estimator is as it was."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", INTERRUPTED],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.splitlines() == ["KeyboardInterrupt True"] * 24, done.stderr


def test_compiled_functions_are_pickled_by_name():
    assert pickle.loads(pickle.dumps(add_bias)) is add_bias


def fit_elsewhere(path, disk, **environment):
    """What `FIT` prints, with packages from a folder."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_CACHE")}
    done = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "-c", FIT, disk],
        cwd=path,
        env=inherited | {"PYTHONPATH": str(path)} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fit_needs_no_place_to_write_to(tmp_path):
    """A read-only installation without a home; a disk that is full; both compile and go on."""
    for package in PACKAGES:
        there = tmp_path / package.name
        shutil.copytree(package, there, ignore=shutil.ignore_patterns("__pycache__"))
    full = fit_elsewhere(tmp_path, "full")
    folders = {path.parent for path in tmp_path.rglob("*.py")}
    for folder in folders:  # root writes to read-only folders, but makes none out of a file
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        (folder / "__pycache__").touch()
    homeless = {"HOME": NOWHERE, "XDG_CACHE_HOME": NOWHERE}
    assert fit_elsewhere(tmp_path, "read-only", **homeless) == full
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".nbi", ".nbc")]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_compiled_functions_call_no_python(rng):
    """There a pending Ctrl-C would raise, and come out of the function as a SystemError."""
    symbols = rng.integers(0, 5, size=(EXACT_ROWS + 1, 1))
    table = rng.standard_normal((300, 3))

    def use_all():
        for x in (symbols, symbols[:300]):  # by lanes, and exactly
            hmm = CategoricalHMM(2, n_iter=2, tol=0, random_state=0).fit(x)
            hmm.predict(x), hmm.predict_proba(x), hmm.sample(10, random_state=0)
        for activation in ACTIVATIONS:
            net = MLPRegressor(
                hidden_layer_sizes=2,
                activation=activation,
                max_iter=2,
                init="random",
                random_state=0,
            )
            net.fit(table, table[:, 0])

    called = []

    def note(frame, event, _):
        if event == "call" and frame.f_back and frame.f_back.f_code is Compiled.__call__.__code__:
            called.append(frame.f_code.co_name)

    use_all()  # to compile is Python
    sys.setprofile(note)
    try:
        use_all()
    finally:
        sys.setprofile(None)
    assert not called
