"""Looks at what is said about jobs' pull requests: when they are due."""
