"""Host-side access to a work tree that untrusted programs write to."""
