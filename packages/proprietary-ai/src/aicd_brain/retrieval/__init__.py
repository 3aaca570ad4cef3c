"""Finding the code that an issue is about: a map of the repository, and a search by words and by meaning."""
