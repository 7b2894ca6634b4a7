"""Names that have moved and still work for one release."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["forward_to"]


def forward_to(new: str, old: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module that has moved: it warns, and looks in the new one.

    Parameters
    ----------
    new, old : str
        Names of the modules.
    """

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(import_module(new), name)
        warnings.warn(f"{old} is {new} now.", FutureWarning, stacklevel=2)
        return found

    return __getattr__
