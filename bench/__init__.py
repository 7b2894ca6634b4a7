"""Benchmarks: one problem a file, each runnable alone (``python -m bench.e_step``) or all together.

Results are kept in ``bench/results/``, one JSON a benchmark. Run from the root of a checkout.
"""
