"""Meter events: what is told to the payment provider."""
