"""Finding jobs by what they are."""
