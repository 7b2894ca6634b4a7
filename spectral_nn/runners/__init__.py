"""Runners: a statistic over many chunks, summed, whoever computes the chunks."""
