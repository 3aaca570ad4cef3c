"""The steps of a job: each reads what is stored, does what is missing, and says what happened."""
