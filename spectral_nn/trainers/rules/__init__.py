"""Learning rules: how a batch of rows becomes a direction to move the parameters in."""
