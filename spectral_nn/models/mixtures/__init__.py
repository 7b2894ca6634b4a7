"""Mixtures: rows that are independent, each of one of K laws."""
