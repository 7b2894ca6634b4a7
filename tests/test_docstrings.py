"""Every public name has an example, relatives, types and shapes, errors, and a source."""

import ast
import inspect
import re
import textwrap
from functools import cache, cached_property
from importlib import import_module
from itertools import chain

import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

from tests.test_documentation import ROOT

OURS = ("spectral_estimators", "spectral_nn")
LIBRARIES = ("gensim", "hmmlearn", "numpy", "scipy", "sklearn")

# numpydoc's: no docstring; parameters that are missing, unknown or without a type; nothing on what
# is returned or yielded; no example; no See Also, or a name there without a word on it.
OF_METHODS = {"GL08", "PR01", "PR02", "PR04", "RT01", "YD01"}
OF_NAMES = OF_METHODS | {"EX01", "SA01", "SA02", "SA04"}

NO_PAPER = {  # and why
    r"\w+Display": "pictures",
    "Sequences|SequenceStream|sequences_of_table|Lagged|PerSequence": "containers of data",
    r"(Fit|Start|Chain|Mixture|Classes|Topic|Network|Operator)Report": "facts of a fit",
    r"\w+Evidence|RepairRound|HMMParameters": "figures, and containers of them",
    "compare_trainers|TrainersReport": "an experiment, which its docstring defines, and its table",
    "RankError|RankWarning|RecoveryWarning|ModelVersionWarning": "messages",
    "python_manual_text|encode_characters|split_text": "a text that is at hand, and its parts",
    "planted_hmm|sample_hmm|sample_network": "draws that their docstrings define",
    "bits_per_symbol|smooth": "their formulas are all there is",
}
CANNOT_FAIL = {"python_manual_text"}
NEVER_SET = {"CategoricalHMM": {"feature_names_in_"}}  # of a base, which rows have

ARRAY = re.compile(r"\b(nd)?arrays?\b|\bsparse matrix\b|\bcsr_array\b")
SHAPE = re.compile(r"\([\w*]+'?(?: [+*] \w+)?,(?: [\w*' +]+,?)*\)|any shape")
ELSEWHERE = re.compile(r"\b(as|see)\b.*`|\bsee the class\b", re.IGNORECASE)
FITTED = re.compile(r"[a-z]\w*[a-z]_")


@cache
def public():
    """Objects of the API page by their dotted names."""
    found, module = {}, ""
    for line in (ROOT / "docs/api.rst").read_text().splitlines():
        if moved := re.match(r"\.\. currentmodule:: (\S+)", line):
            module = moved[1]
        elif listed := re.match(r"   ([A-Za-z_][\w.]*)$", line):
            found[f"{module}.{listed[1]}"] = resolve(f"{module}.{listed[1]}")
    return found


def resolve(name):
    """Return what a dotted name stands for, None for nothing."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part, None)
        return found
    return None


NAMES = sorted(public())
CLASSES = [name for name in NAMES if inspect.isclass(public()[name])]


def docstring(obj):
    return NumpyDocString(inspect.getdoc(obj))


@cache
def complaints(name):
    """Errors that numpydoc finds in a docstring, by code."""
    return validate(name)["errors"]


def own_bases(cls):
    """Classes of this project that a class is made of, itself first."""
    return [base for base in cls.__mro__ if base.__module__.startswith(OURS)]


def methods(cls):
    """Public methods and properties of a class, each with the class that defines it first.

    Whoever overrides one says what differs.
    """
    found = {}
    for base in reversed(own_bases(cls)):
        for name, member in vars(base).items():
            generated = re.fullmatch(r"_.*|set_\w+_request", name)  # of metadata routing
            if not generated and inspect.isroutine(getattr(cls, name)) | isinstance(
                member, property
            ):
                found.setdefault(name, base)
    return found


def makers(cls):
    """What is written of `cls` to make an instance; a dataclass writes ``__init__`` itself."""
    for base in own_bases(cls):
        for name in ("__init__", "__post_init__"):
            if name in vars(base) and vars(base)[name].__code__.co_filename != "<string>":
                yield vars(base)[name]


def raises(function):
    """Whether there is a raise statement in a function."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    return any(isinstance(node, ast.Raise) for node in ast.walk(ast.parse(source)))


def without_shape(doc):
    """Arrays of a docstring whose shapes it does not give."""
    sections = ("Parameters", "Returns", "Yields", "Attributes")
    for entry in chain.from_iterable(doc[section] for section in sections):
        kind = entry.type or entry.name
        text = " ".join([kind, *entry.desc])
        if ARRAY.search(kind) and not (SHAPE.search(text) or ELSEWHERE.search(text)):
            yield entry.name


def fitted_attributes(cls):
    """Names in "_" that methods of a class give to ``self``, one by one or in a dict."""
    found = set()
    for base in own_bases(cls):
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(base)))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.attr)
            elif isinstance(node, ast.Dict):
                found |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
    return {name for name in found if isinstance(name, str) and FITTED.fullmatch(name)}


@pytest.mark.parametrize("name", NAMES)
def test_names_have_examples_relatives_and_parameters(name):
    # nobody makes a report: its fields are attributes
    wanted = OF_NAMES - {"PR01"} if ".reports." in name else OF_NAMES
    assert [error for error in complaints(name) if error[0] in wanted] == []
    assert ">>> " in "".join(docstring(public()[name])["Examples"])


@pytest.mark.parametrize("name", NAMES)
def test_relatives_exist(name):
    module, lost, linked = name.rpartition(".")[0], [], []
    for relatives, _ in docstring(public()[name])["See Also"]:
        for relative, _ in relatives:
            absolute = relative.partition(".")[0] in (*OURS, *LIBRARIES)
            full = relative if absolute else f"{module}.{relative}"
            page = full if full in public() else full.rpartition(".")[0]  # or of its class
            if resolve(full) is None:
                lost.append(relative)
            linked.append(page in public() or relative.startswith(LIBRARIES))
    assert lost == []
    assert any(linked)


@pytest.mark.parametrize("name", NAMES)
def test_errors_are_named(name):
    obj = public()[name]
    if inspect.isclass(obj):
        fails = any(map(raises, makers(obj)))
    else:
        fails = name.rpartition(".")[2] not in CANNOT_FAIL
    assert not fails or docstring(obj)["Raises"]


@pytest.mark.parametrize("name", NAMES)
def test_sources_are_named(name):
    doc = docstring(public()[name])
    if not any(re.fullmatch(names, name.rpartition(".")[2]) for names in NO_PAPER):
        in_notes = re.search(r"\b(19|20)\d\d\b", " ".join(doc["Notes"])) is not None
        assert doc["References"] or in_notes


@pytest.mark.parametrize("name", CLASSES)
def test_methods_have_parameters_results_and_errors(name):
    wrong = {}
    for method, base in methods(public()[name]).items():
        errors = complaints(f"{base.__module__}.{base.__qualname__}.{method}")
        found = [error for error in errors if error[0] in OF_METHODS]
        member = getattr(base, method)
        if inspect.isroutine(member) and not isinstance(member, cached_property):
            doc = docstring(member)
            found += [f"{entry} has no shape" for entry in without_shape(doc)]
            if (raises(member) or method in ("fit", "partial_fit")) and not doc["Raises"]:
                found.append("no Raises")
        if found:
            wrong[method] = found
    assert wrong == {}


@pytest.mark.parametrize("name", NAMES)
def test_arrays_have_shapes(name):
    assert list(without_shape(docstring(public()[name]))) == []


@pytest.mark.parametrize("name", CLASSES)
def test_fitted_attributes_are_listed_with_types(name):
    listed, untyped = set(), []
    for entry in docstring(public()[name])["Attributes"]:
        listed |= set(re.split(", ?", entry.name))
        if not entry.type and not ELSEWHERE.search(" ".join(entry.desc)):
            untyped.append(entry.name)
    never = NEVER_SET.get(name.rpartition(".")[2], set())
    assert fitted_attributes(public()[name]) - listed == never
    assert untyped == []


def test_gaps_are_seen():
    doc = NumpyDocString(
        """Say nothing of some shapes.

        Parameters
        ----------
        X : array, shape (n, d)
        y : array
            Numbers (of any kind, or of some).
        rows : array-like of shape (n,)
        W : array, as `X`
        columns : list of arrays
        """
    )
    assert list(without_shape(doc)) == ["y", "columns"]
    assert resolve("spectral_estimators.NoHMM") is None
    assert raises(resolve) is False
    assert raises(public()["spectral_estimators.metrics.bits_per_symbol"])
