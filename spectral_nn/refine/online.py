"""Online expectation-maximisation: parameters move after every batch of a pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

P = TypeVar("P")


def online_em(
    parameters: P,
    batches: Iterable[Any],
    *,
    expect: Callable[[P, Any], Any],
    maximise: Callable[[Any, P], P],
    exponent: float = 0.6,
    first: int = 0,
) -> P:
    """One pass of stepwise EM.

    After batch k the running statistics are ``s <- (1 - g_k) s + g_k s_k`` with
    ``g_k = (k + 2)^-exponent`` and the parameters their M-step (Cappe, Moulines, *On-line
    expectation-maximization algorithm for latent data models*, JRSS B 2009; Liang, Klein, *Online
    EM for unsupervised models*, NAACL 2009).

    Parameters
    ----------
    parameters : the start.
    batches : parts of the data, in turn.
    expect : (parameters, batch) -> statistics scaled to the whole data, with ``+`` and ``scaled``.
    maximise : (statistics, parameters) -> parameters.
    exponent : in (.5, 1].
    first : number of batches seen in earlier passes.

    Notes
    -----
    The cost of one E-step and as many M-steps as batches.
    """
    running = None
    for k, batch in enumerate(batches, start=first):
        now = expect(parameters, batch)
        gain = (k + 2.0) ** -exponent
        running = now if running is None else running.scaled(1 - gain) + now.scaled(gain)
        parameters = maximise(running, parameters)
    return parameters
