"""Cutting a file into chunks: by symbols where there are any, by windows of lines elsewhere."""

from collections.abc import Iterator

from aicd_brain.retrieval.symbols import symbols_of
from aicd_brain.retrieval.values import Chunk, SourceFile, Symbol

WINDOW = 60
"""Lines of a chunk that no symbol bounds."""
LONGEST = 120
"""Lines of a symbol that are still one chunk."""


def chunks_of(file: SourceFile) -> tuple[Chunk, ...]:
    """All of the file's lines that say something, each in one chunk."""
    return cut(file.text, symbols_of(file.path, file.text))


def cut(text: str, symbols: tuple[Symbol, ...]) -> tuple[Chunk, ...]:
    """The chunks of a text whose symbols are known; a symbol's own lines end where its first member begins."""
    lines = text.split("\n")
    found: list[Chunk] = []
    for name, first, last in _spans(symbols, len(lines)):
        step = WINDOW if last - first >= LONGEST else LONGEST
        for begin in range(first, last + 1, step):
            end = min(last, begin + step - 1)
            body = "\n".join(lines[begin - 1 : end])
            if body.strip():
                found.append(Chunk(name, begin, end, body))
    return tuple(found)


def _spans(symbols: tuple[Symbol, ...], count: int) -> Iterator[tuple[str, int, int]]:
    """(name, first line, last line), without overlaps and in order; the name is empty between symbols."""
    line, open_symbols = 1, list[Symbol]()
    for symbol in symbols:
        while open_symbols and open_symbols[-1].last < symbol.first:
            closed = open_symbols.pop()
            yield closed.name, line, closed.last
            line = max(line, closed.last + 1)
        yield (open_symbols[-1].name if open_symbols else ""), line, symbol.first - 1
        line = max(line, symbol.first)
        open_symbols.append(symbol)
    while open_symbols:
        closed = open_symbols.pop()
        yield closed.name, line, closed.last
        line = max(line, closed.last + 1)
    yield "", line, count
