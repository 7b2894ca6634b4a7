"""The fit of a categorical hidden Markov model: starts, race, refinement."""
