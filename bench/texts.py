"""Texts of other packages, read where pip put them, without importing these packages.

No setting is chosen on a text that benchmarks report on: settings are tuned on the docstrings of
NumPy; the Python manual, the news, scikit-learn's descriptions and the docstrings of SciPy are only
ever reported on.
"""

import ast
import warnings

from bench.packages import package_folder


def news_text() -> str:
    """English news articles of 2000 and 2001: the Lee background corpus.

    About 300 short articles, 360,000 characters. Gathered by M. D. Lee, B. Pincombe and M. Welsh
    (*An empirical evaluation of models of text document similarity*, CogSci 2005) from the
    Australian Broadcasting Corporation's news service; read from the test data of gensim (itself
    LGPL-2.1), and not redistributed here.

    Returns
    -------
    str
        One article a line.

    Raises
    ------
    ModuleNotFoundError
        If gensim is not installed.
    """
    path = package_folder("gensim") / "test" / "test_data" / "lee_background.cor"
    return path.read_text(encoding="utf-8")


def dataset_descriptions() -> str:
    """Descriptions of scikit-learn's data sets: ``sklearn/datasets/descr/*.rst``, BSD-3-Clause.

    About 43,000 characters: prose, with tables in between.

    Returns
    -------
    str
        The descriptions in alphabetical order, joined by blank lines.
    """
    folder = package_folder("sklearn") / "datasets" / "descr"
    return "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.rst")))


def docstring_text(package: str) -> str:
    """Docstrings of an installed package, parsed from its source files without importing it.

    Technical English, a megabyte or more for ``"numpy"`` and ``"scipy"`` (both BSD-3-Clause; for
    other packages their own licence holds). Tests are left out.

    Parameters
    ----------
    package : str
        Name of a top-level package, as one would import it.

    Returns
    -------
    str
        The docstrings in order of path and line, joined by blank lines.

    Raises
    ------
    ModuleNotFoundError
        If the package is not installed.
    """
    folder = package_folder(package)
    pieces: list[str] = []
    for path in sorted(folder.rglob("*.py")):
        if "tests" in path.relative_to(folder).parts:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other people's invalid escape sequences
            tree = ast.parse(path.read_bytes())
        nodes = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        nodes.sort(key=lambda node: getattr(node, "lineno", 0))
        pieces += [text for node in nodes if (text := ast.get_docstring(node))]
    return "\n\n".join(pieces)
