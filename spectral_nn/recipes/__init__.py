"""Whole fits: starts, race and refinement of one model, composed from the floors below."""
