"""For tests of the API server: people, keys and organizations, and a valid request for every route."""
