"""The repositories that an organization connected."""
