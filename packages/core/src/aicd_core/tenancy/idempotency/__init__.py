"""Requests that are sent twice and carried out once: what `Idempotency-Key` stands for in the database."""
