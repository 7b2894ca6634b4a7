"""Networks whose answer is a state that stands still: deep equilibrium, and Hopfield's."""
