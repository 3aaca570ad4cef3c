"""Corrections of what was charged."""
