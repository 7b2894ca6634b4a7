"""Pages that are written when the site is built, and links between all pages."""

import re
import shutil
from pathlib import Path

from _site.benchmarks import write_benchmarks
from _site.gallery import write_gallery
from _site.links import rewrite

ROOT = Path(__file__).parents[2]


def write_pages(app):
    """Write the gallery and the tables of benchmarks into `docs/generated`, which begins empty."""
    generated = Path(app.srcdir) / "generated"
    shutil.rmtree(generated, ignore_errors=True)
    for name in ("gallery", "benchmarks"):
        (generated / name).mkdir(parents=True)
    write_gallery(sorted(ROOT.glob("examples/plot_*.ipynb")), generated / "gallery")
    results = sorted((ROOT / "bench" / "results").glob("*.json"))
    write_benchmarks(results, ROOT / "bench", generated / "benchmarks")


def rewrite_links(app, page, source):
    """Let links to files that the site has as pages lead to these pages."""
    if not page.startswith("generated/"):
        folder = Path("docs", page).parent
        source[0] = rewrite(source[0], str(folder))


def drop_references(app, what, name, target, options, lines):
    """Take references to scikit-learn's pages out of docstrings that estimators inherit."""
    lines[:] = [re.sub(r":ref:`([^`<]+?)\s*<[^`]*>`", r"\1", line) for line in lines]


def setup(app):
    """Connect to Sphinx."""
    app.connect("builder-inited", write_pages, priority=100)  # before autosummary looks for pages
    app.connect("source-read", rewrite_links)
    app.connect("autodoc-process-docstring", drop_references)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
