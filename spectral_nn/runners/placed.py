"""Parts of data that lie on a dask cluster: sent, seen through functions, or bundled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, TypeVar

from spectral_nn.additive import tree_sum
from spectral_nn.runners.parts import Derived, load
from spectral_nn.stored import is_dask

__all__ = ["Bundled", "Sent", "View", "called", "is_remote", "listed", "seen"]

T = TypeVar("T")


class Sent:
    """A part in memory here, and its copy in the cluster.

    Attributes
    ----------
    copy : future.
    """

    def __init__(self, client: Any, part: Any) -> None:
        self._client, self._part = client, part
        self.send()

    def send(self) -> None:
        """Send it, again if need be."""
        self.copy = self._client.scatter([self._part], hash=False)[0]


@dataclass(frozen=True, eq=False)
class View:
    """A part on the cluster, seen through functions that are called where it is.

    Attributes
    ----------
    base : a future, something sent, or what dask has yet to compute.
    functions : the one to call first comes first.
    """

    base: Any
    functions: tuple[Callable[[Any], Any], ...] = ()

    def through(self, function: Callable[[Any], Any]) -> View:
        """The same, seen through one more function."""
        return View(self.base, (*self.functions, function))


class Bundled(list):
    """Views of parts that lie on the workers in bundles of neighbours.

    Attributes
    ----------
    bundles : futures of lists of parts, or such lists that were sent.
    group : parts of a bundle.
    functions : what all parts are seen through; the one to call first comes first.
    """

    def __init__(
        self,
        bundles: list[Any],
        group: int,
        n: int,
        functions: tuple[Callable[[Any], Any], ...] = (),
    ) -> None:
        super().__init__(
            View(bundles[i // group], (partial(_member, i=i % group), *functions)) for i in range(n)
        )
        self.bundles, self.group, self.functions = bundles, group, functions

    def through(self, function: Callable[[Any], Any]) -> Bundled:
        """The same, seen through one more function."""
        return Bundled(self.bundles, self.group, len(self), (*self.functions, function))

    def summed(self, call: Callable[[Any], T]) -> Callable[[list[Any]], T]:
        """The sum over a bundle of what is called with its parts."""
        return partial(_summed_of, partial(called, call, self.functions))


def seen(part: Any) -> View:
    """A part on the cluster as a view."""
    return part if isinstance(part, View) else View(part)


def is_remote(part: Any) -> bool:
    """Whether a part is dask's already, or on its way there."""
    return is_dask(part) or isinstance(part, (Sent, View)) or type(part).__name__ == "Future"


def called(call: Callable[[Any], T], functions: tuple[Callable[[Any], Any], ...], part: Any) -> T:
    """Call a function with a part that is seen through others."""
    return call(reduce(lambda derived, function: Derived(function, derived), functions, part))


def listed(parts: list[Any]) -> list[Any]:
    """A bundle of parts."""
    return [load(part) for part in parts]


def _member(bundle: list[Any], *, i: int) -> Any:
    return load(bundle[i])


def _summed_of(call: Callable[[Any], T], bundle: list[Any]) -> T:
    return tree_sum(map(call, bundle))
