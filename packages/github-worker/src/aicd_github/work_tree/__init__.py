"""A job's work tree between the quarantine and the sandbox: laid from the one, taken in from the other."""
