"""Who did what: appended, never changed, not even by the database role that appends."""
