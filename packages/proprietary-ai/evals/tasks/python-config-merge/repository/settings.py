def load(defaults, local):
    """The defaults with the local settings over them."""
    merged = dict(defaults)
    merged.update(local)
    return merged
