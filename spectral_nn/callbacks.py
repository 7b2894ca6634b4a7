"""Who is told how a fit goes on."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["OnStep", "silent"]

OnStep = Callable[[str, int, float], None]
"""Told (stage, step, objective)."""


def silent(stage: str, step: int, value: float) -> None:
    """Progress that nobody listens to."""
