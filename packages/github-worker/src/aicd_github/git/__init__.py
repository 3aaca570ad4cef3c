"""Git as a program that is run on data nobody trusts."""
