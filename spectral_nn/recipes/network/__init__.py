"""The fit of a dense network: evidence, starts, race, repair, refinement."""
