"""Jobs: their states, their tables, and what may be done with them."""
