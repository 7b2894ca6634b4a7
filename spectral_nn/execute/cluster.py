"""Moved to `spectral_nn.runners.cluster`."""

from spectral_nn.moved import forward_to

__getattr__ = forward_to("spectral_nn.runners.cluster", __name__)
