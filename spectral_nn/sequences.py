"""Moved to `spectral_nn.data`."""

from spectral_nn.moved import forward_to

__getattr__ = forward_to("spectral_nn.data", __name__)
