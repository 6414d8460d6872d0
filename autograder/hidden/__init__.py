"""The hidden twins: the same rules on other sizes and on inputs from a secret seed, so that an answer fitted to the visible
inputs earns little."""
