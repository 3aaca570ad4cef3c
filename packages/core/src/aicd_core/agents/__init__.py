"""The agents: finding the installed ones, and the one that needs no model."""
