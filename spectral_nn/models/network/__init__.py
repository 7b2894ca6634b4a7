"""Shallow networks: the dense network and its loss, and what moments say of its weights."""
