"""Who sends a request, and what he may do where: found by the system role in one round trip."""
