"""Moved to `spectral_nn.models.chains`."""
