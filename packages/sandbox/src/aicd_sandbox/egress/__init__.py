"""The only way out of a sandbox: a proxy that lets through what an allow-list names."""
