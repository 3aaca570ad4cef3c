"""Which lines of a Markdown text are code, raw HTML, or the definition of a link, as CommonMark 0.31 reads it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSED_MAX: Final = 256 * 1024
"""Characters: four times the longest issue that GitHub takes. In a longer text no code is recognised, and all of it is
treated as prose: more goes than must, and the parser's time stays bounded."""
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_BLOCKS: Final = MarkdownIt("commonmark")
_BLOCKS.core.ruler.enableOnly(["normalize", "block"])


class RegionKind(Enum):
    """What a run of lines is."""

    CODE = auto()
    HTML = auto()
    DEFINITION = auto()


@dataclass(frozen=True)
class Region:
    """A run of whole lines, by offsets into the text. `info`: what stands behind the opening fence of a code block."""

    kind: RegionKind
    start: int
    end: int
    info: str = ""


def find_regions(text: str) -> tuple[Region, ...]:
    """All regions, in order; none overlaps another."""
    if len(text) > PARSED_MAX:
        return ()
    offsets = [0, *(match.end() for match in _LINE.finditer(text))]
    environment: dict[str, Any] = {}
    found = [*_of_tokens(_BLOCKS.parse(text, environment), offsets), *_of_definitions(environment, offsets)]
    return tuple(sorted(found, key=lambda region: region.start))


def _of_tokens(tokens: list[Token], offsets: list[int]) -> Iterator[Region]:
    kinds = {"fence": RegionKind.CODE, "code_block": RegionKind.CODE, "html_block": RegionKind.HTML}
    for token in tokens:
        if token.type in kinds and token.map is not None:
            start, end = (offsets[min(line, len(offsets) - 1)] for line in token.map)
            yield Region(kinds[token.type], start, end, token.info.strip())


def _of_definitions(environment: Mapping[str, Any], offsets: list[int]) -> Iterator[Region]:
    for found in (*environment.get("references", {}).values(), *environment.get("duplicate_refs", ())):
        start, end = (offsets[min(line, len(offsets) - 1)] for line in found["map"])
        yield Region(RegionKind.DEFINITION, start, end)
