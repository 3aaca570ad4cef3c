"""A Stripe for tests: what it keeps, what it answers over the wire, and how it is told to fail."""
