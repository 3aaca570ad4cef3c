"""The books of past days, compared."""
