"""The site has a place for everything: names on the API page, pages in tables of contents."""

import re
from importlib import import_module

import pytest

from tests.test_documentation import ROOT, WRITTEN

API = (ROOT / "docs/api.rst").read_text()
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSTANTS = {"DIGIT", "LETTERS", "N_PUNCTUATION", "OTHER", "TRUSTED_TYPES", "__version__"}


def entries(page):
    """Pages in the tables of contents of a page, from `docs` on and without their endings."""
    lines = "\n".join(TOCTREE.findall(page.read_text())).splitlines()
    names = [re.sub(r".*<(.*)>", r"\1", line) for line in lines if line and line[0] != ":"]
    return {(page.parent / name).relative_to(ROOT / "docs").as_posix() for name in names}


@pytest.mark.parametrize(
    ("module", "prefix"),
    [
        ("spectral_estimators", ""),
        ("spectral_estimators.trainers", "trainers."),
        ("spectral_estimators.datasets", "datasets."),
        ("spectral_estimators.metrics", "metrics."),
        ("spectral_estimators.reports", "reports."),
    ],
)
def test_every_public_name_is_on_the_page(module, prefix):
    listed = set(re.findall(r"^   ([\w.]+)$", API, re.MULTILINE))
    public = {prefix + name for name in import_module(module).__all__ if name not in CONSTANTS}
    assert public - listed == set()


def test_every_page_is_in_a_table_of_contents():
    pages = {page.relative_to(ROOT / "docs").with_suffix("").as_posix() for page in WRITTEN}
    listed = set().union(*map(entries, WRITTEN))
    assert pages - listed == {"README", "index"}


def test_links_to_files_lead_to_their_pages(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    rewrite = import_module("_site.links").rewrite
    text = (
        "[a](hmm.md#series) [b](../CONTRIBUTING.md#rules) [c](../examples/plot_mixture.ipynb)\n"
        "[d](../bench/results/gpu.json) ![e](scaling.png) [f](https://example.org) [g](#here)\n"
        "```\n[h](hmm.md)\n```\n"
    )
    assert rewrite(text, "docs") == (
        "[a](/hmm.md#series) [b](/extending.md#rules) [c](/generated/gallery/plot_mixture.md)\n"
        "[d](/generated/benchmarks/gpu.md) ![e](scaling.png) [f](https://example.org) [g](#here)\n"
        "```\n[h](hmm.md)\n```\n"
    )
