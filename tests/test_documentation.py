"""The pages say what is there: links lead somewhere, code runs and prints what is written below."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from examples.demo_pictures import FOLDER
from spectral_nn import __version__

ROOT = Path(__file__).parents[1]
GENERATED = ROOT / "docs/generated"
WRITTEN = [page for page in sorted(ROOT.glob("docs/**/*.md")) if GENERATED not in page.parents]
PAGES = [*sorted(ROOT.glob("*.md")), *WRITTEN]
# The others need a cluster, or files.
RUN = (
    "README.md",
    "docs/certainty.md",
    "docs/frames.md",
    "docs/graphs.md",
    "docs/hmm.md",
    "docs/latent_classes.md",
    "docs/missing.md",
    "docs/mixtures.md",
    "docs/moving/gensim.md",
    "docs/moving/hmmlearn.md",
    "docs/moving/scikit_learn.md",
    "docs/moving/statsmodels.md",
    "docs/moving/stepmix.md",
    "docs/networks.md",
    "docs/saving.md",
    "docs/start.md",
    "docs/topics.md",
    "docs/trainers.md",
    "docs/words.md",
)
OF_RIVALS = {"docs/moving/stepmix.md": "stepmix"}  # which tests can do without
# which changes with Python
READS_THE_MANUAL = ("docs/hmm.md", "docs/moving/gensim.md", "docs/topics.md", "docs/words.md")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


def anchors(page):
    """Anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page):
    """Relative links of a page that lead to no file, or to no heading."""
    broken = []
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if re.match(r"https?:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert broken_links(page) == []


def test_broken_links_are_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One word, two\n[a](page.md#one-word-two) [b](#one-word-two) [c](https://example.org)\n"
        "![d](none.png) [e](#two) [f](page.md#none)\n```\n[g](in_code)\n# Two\n```\n"
    )
    assert broken_links(page) == ["none.png", "#two", "page.md#none"]


@pytest.mark.parametrize("name", RUN)
def test_code_prints_what_the_page_says(name, capsys):
    if name in OF_RIVALS:
        pytest.importorskip(OF_RIVALS[name])
    blocks = BLOCK.findall((ROOT / name).read_text())
    assert blocks
    assert all(printed for _, printed in blocks) or name in READS_THE_MANUAL
    for code, printed in blocks:
        exec(compile(code, name, "exec"), {})
        out = capsys.readouterr().out
        assert out == printed or not printed


def test_every_page_is_in_the_index():
    index = ROOT / "docs/README.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(index.read_text())}
    assert linked.issuperset({*PAGES} - {index})


def test_the_readme_is_short_and_shows_code_and_a_picture_at_once():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 90
    begin = "\n".join(lines[:30])
    assert "```python" in begin
    assert "```text" in begin
    assert re.search(r"!\[.+\]\(.+\.png\)", begin)


def test_version_and_licence_are_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = (ROOT / "CITATION.cff").read_text()
    cited = dict(re.findall(r"^(version|license): (\S+)$", citation, re.MULTILINE))
    assert project["version"] == cited["version"] == __version__
    assert project["license"] == cited["license"]


def test_pictures_of_the_demo_are_ignored():
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone of the repository")
    ignored = subprocess.run(
        ["git", "check-ignore", "--quiet", str(FOLDER / "likelihood.png")], cwd=ROOT, check=False
    )
    assert ignored.returncode == 0
