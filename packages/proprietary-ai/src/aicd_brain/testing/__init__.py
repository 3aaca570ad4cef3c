"""For tests and benchmarks: a model server that answers as a script says, in the vendors' own wire formats."""
