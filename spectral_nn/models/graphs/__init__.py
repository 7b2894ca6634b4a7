"""Graphs of labelled and unlabelled vertices: labels that flow along edges."""
