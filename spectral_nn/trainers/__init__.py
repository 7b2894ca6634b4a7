"""Refinement: iterations that improve a start, independent of the model and of the machine."""
