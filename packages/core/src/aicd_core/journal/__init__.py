"""What was paid for and how far the coding came: model calls and checkpoints."""
