"""The `aicd` command: the composition root of a process that works in the foreground."""
