"""Who belongs to an organization, as what."""
