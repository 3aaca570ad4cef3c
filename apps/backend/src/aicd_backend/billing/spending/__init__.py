"""What charges come to."""
