"""What processes tell about themselves: figures, logs and traces."""
