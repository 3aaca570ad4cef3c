"""What retrieval passes around."""

import hashlib
from dataclasses import dataclass

from aicd_core.contracts.values import RepoPath, Value


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A text file of a tree. `key` stands for this content at this path, wherever it turns up again."""

    path: str
    blob: str
    text: str

    @property
    def key(self) -> str:
        """SHA-256 (hex) of path and blob: what is indexed once."""
        return hashlib.sha256(f"{self.path}\0{self.blob}".encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition: `head` is its first line of code, `first` and `last` are lines from 1, `depth` counts from 0."""

    name: str
    head: str
    first: int
    last: int
    depth: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines of a file that belong together: `name` is the dotted name of the symbol, empty for what is in none."""

    name: str
    first: int
    last: int
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A place found, best first: the lines of a file, and the symbol there."""

    path: str
    first: int
    last: int
    name: str


class Passage(Value):
    """Lines of a file that seem to matter; `first` is the number of the first one."""

    path: RepoPath
    first: int
    text: str
