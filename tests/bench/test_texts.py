"""Texts of installed packages."""

import pytest

from bench.texts import dataset_descriptions, docstring_text


def test_docstrings_are_read_without_tests_of_the_package():
    text = docstring_text("joblib")
    assert "Parallel" in text
    assert "def " not in text[:200]


def test_descriptions():
    assert "iris" in dataset_descriptions().lower()


def test_missing_package_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"'no_such_package'.*pip install"):
        docstring_text("no_such_package")
