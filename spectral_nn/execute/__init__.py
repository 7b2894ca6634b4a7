"""Moved to `spectral_nn.runners`."""
