"""Figures about the whole installation, read from the database when somebody looks."""
