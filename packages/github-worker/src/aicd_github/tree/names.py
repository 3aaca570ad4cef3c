"""Names between git, which stores bytes, and Python, whose own choice of encoding follows the locale."""

import os


def to_disk(name: str) -> bytes:
    """A component of a repository path as the bytes that name it on disk."""
    return name.encode("utf-8", "surrogateescape")


def from_disk(name: str) -> str:
    """A name that Python read from a folder, as the component of a repository path."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "surrogateescape")
