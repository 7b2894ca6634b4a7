"""Links of the repository's Markdown, as they read on the site."""

import posixpath
import re

LINK = re.compile(r"\]\((?!https?:|#)([^)\s#]+)(#[^)\s]*)?\)")
FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
PAGES = {
    "README.md": "/index.md",
    "docs/README.md": "/index.md",
    "CHANGELOG.md": "/changelog.md",
    "CONTRIBUTING.md": "/extending.md",
    "examples": "/generated/gallery/index.md",
    "bench/results": "/generated/benchmarks/index.md",
}


def page_of(path):
    """Page of a file of the repository, absolute within the site; None if it has none."""
    folder, name = posixpath.split(path)
    if path in PAGES:
        return PAGES[path]
    if folder == "examples" and name.endswith(".ipynb"):
        return f"/generated/gallery/{name.removesuffix('.ipynb')}.md"
    if folder == "bench/results" and name.endswith(".json"):
        return f"/generated/benchmarks/{name.removesuffix('.json')}.md"
    return path.removeprefix("docs") if path.startswith("docs/") else None


def rewrite(text, folder):
    """Let links of a Markdown file lead to pages of the site.

    Parameters
    ----------
    text : str
        Markdown; fenced code stays as it is.
    folder : str
        Where the file is, from the root of the repository.

    Returns
    -------
    str
        The same with links absolute within the site, where they lead to a page of it.
    """

    def replace(match):
        path = posixpath.normpath(posixpath.join(folder, match[1]))
        page = page_of(path)
        return f"]({page}{match[2] or ''})" if page and page.endswith(".md") else match[0]

    parts = FENCED.split(text)
    return "".join(part if FENCED.match(part) else LINK.sub(replace, part) for part in parts)
