"""The map of a repository: its files and symbols, as many as fit, those that matter first."""

from collections import Counter
from collections.abc import Mapping, Sequence

from aicd_brain.retrieval.values import SourceFile, Symbol
from aicd_brain.retrieval.words import words_of

CHARACTERS_PER_TOKEN = 3
"""Fewer than code has on the average with any vendor's tokenizer, so that a map is never longer than was asked."""
SYMBOLS_PER_FILE = 15
FIRST_SHARE = 0.75
"""How much of the room goes to files with their symbols; the names alone of further files get the rest."""


def rank(files: Sequence[SourceFile], outlines: Mapping[str, tuple[Symbol, ...]], hits: Sequence[str]) -> list[str]:
    """All paths: those found for the issue first, then by how many other files name something defined there."""
    defined = {
        path: frozenset(symbol.name.rpartition(".")[2].lower() for symbol in symbols)
        for path, symbols in outlines.items()
    }
    names = frozenset().union(*defined.values())
    named: Counter[str] = Counter()
    for file in files:
        named.update(names.intersection(words_of(file.text)))
    # A name that is defined in many places says little about any of them.
    homes = Counter(name for found in defined.values() for name in found)
    weight = {
        path: sum((named[name] - homes[name]) / homes[name] for name in found if len(name) > 2)
        for path, found in defined.items()
    }
    place = {path: number for number, path in enumerate(hits)}
    paths = [file.path for file in files]
    return sorted(paths, key=lambda path: (place.get(path, len(place)), -weight.get(path, 0.0), path))


def draw(ranked: Sequence[str], outlines: Mapping[str, tuple[Symbol, ...]], tokens: int) -> str:
    """The map of at most so many tokens: a path a line, symbols below it with their line numbers."""
    room = tokens * CHARACTERS_PER_TOKEN
    parts: list[str] = []
    used = 0
    for number, path in enumerate(ranked):
        full = used < room * FIRST_SHARE
        part = "\n".join([path, *_symbol_lines(outlines.get(path, ()))]) if full else path
        rest = f"[{len(ranked) - number} more files]"
        if used + len(part) + 1 + len(rest) > room:
            parts.append(rest)
            break
        parts.append(part)
        used += len(part) + 1
    return "\n".join(parts)[:room]


def _symbol_lines(symbols: Sequence[Symbol]) -> list[str]:
    """The outermost symbols of a file, as many as are shown, in the order of the file."""
    outermost = sorted(symbols, key=lambda symbol: (symbol.depth, symbol.first))[:SYMBOLS_PER_FILE]
    shown = [
        f"{'  ' * (symbol.depth + 1)}{symbol.first}: {symbol.head}"
        for symbol in sorted(outermost, key=lambda symbol: symbol.first)
    ]
    hidden = len(symbols) - len(shown)
    return [*shown, f"  [{hidden} more symbols]"] if hidden else shown
