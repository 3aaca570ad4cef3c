"""People: users, the identities they log in with, and their sessions. These belong to no tenant."""
