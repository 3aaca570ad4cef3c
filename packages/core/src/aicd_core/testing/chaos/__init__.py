"""A whole installation under fire: real processes, killed and stopped at random, and what must be true afterwards."""
