"""Caps and what was warned of."""
