"""What tests assert, before a change and after it: pure, from sources to what was taken away."""
