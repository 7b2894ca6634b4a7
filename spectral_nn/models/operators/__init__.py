"""Observable operators: sequences of symbols without states, from moments alone."""
