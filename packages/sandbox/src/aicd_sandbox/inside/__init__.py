"""What runs inside of a sandbox: one file, standard library only, handed in as text."""
