"""Feedback on a pull request: when it begins a round of work, what the round is given, and what is answered."""
