"""How many pull requests an organization's jobs opened, or may still open."""
