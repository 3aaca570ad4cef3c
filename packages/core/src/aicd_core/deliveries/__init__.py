"""What came in from outside, stored once before it is handled."""
