"""Refinement: iterations that improve a start, independent of the model and of the machine."""

from collections.abc import Mapping
from types import MappingProxyType

from spectral_nn.trainers.adam import Adam
from spectral_nn.trainers.base import Trainer
from spectral_nn.trainers.lbfgs import LBFGS
from spectral_nn.trainers.sgd import SGD

__all__ = ["LBFGS", "SGD", "TRAINERS", "Adam", "Trainer"]

TRAINERS: Mapping[str, type[Trainer]] = MappingProxyType(
    {each.name: each for each in (LBFGS, Adam, SGD)}
)
"""All trainers of networks, by name."""
