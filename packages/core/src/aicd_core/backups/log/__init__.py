"""A server's log (WAL), received while it is written, and the copies of its cluster that it goes on from."""
