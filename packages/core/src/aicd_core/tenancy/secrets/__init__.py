"""Secrets of a tenant (its own model keys), encrypted with rotating keys."""
