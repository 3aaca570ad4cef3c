"""Whether an organization may have work done: said from outside, by whoever runs the installation, and kept to here."""
