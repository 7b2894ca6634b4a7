"""Moved to `spectral_nn.models.chains.parameters`."""

from spectral_nn.moved import forward_to

__getattr__ = forward_to("spectral_nn.models.chains.parameters", __name__)
