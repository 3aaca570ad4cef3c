"""A GitHub for tests: what it keeps, what it answers, and how it is told to fail."""
