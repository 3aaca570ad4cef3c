"""An organization's policy, version by version."""
