"""Hidden Markov models with categorical emissions: parameters, recursions, E-steps and starts."""
