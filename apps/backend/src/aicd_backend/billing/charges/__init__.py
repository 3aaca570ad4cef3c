"""What is to be paid."""
