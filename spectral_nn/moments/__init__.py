"""Mergeable statistics of data: what a pass sums before anything is solved."""
