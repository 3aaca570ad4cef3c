"""Texts of calls cut into pieces, so that what many requests have in common is stored once. Pure.

Where a text is cut depends on what stands around the place only, not on how far from the beginning it is: a request
that has something added in its middle, as vendors' histories have, is cut as before around it. Nothing is known of any
vendor's format (content-defined chunking, as in FastCDC: https://www.usenix.org/conference/atc16/technical-sessions/presentation/xia).
"""

import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence

LEAST, MOST = 512, 64 * 1024
"""Bytes of a piece; the last one of a text may be shorter."""
ONE_IN = 16
"""Of the places where a cut may be, one in so many is taken."""
WINDOW = 32
"""Bytes before a place that decide whether it is taken."""
_PLACES = re.compile(rb"\\n|\n|[}\]],")
"""Ends of lines, also as JSON writes them, and of values in JSON."""


def cut(text: bytes) -> Iterator[bytes]:
    """The pieces of a text in order, at least one."""
    start = 0
    for place in _PLACES.finditer(text):
        end = place.end()
        while end - start > MOST:
            yield text[start : start + MOST]
            start += MOST
        if end - start >= LEAST and zlib.crc32(text[end - WINDOW : end]) % ONE_IN == 0:
            yield text[start:end]
            start = end
    while len(text) - start > MOST:
        yield text[start : start + MOST]
        start += MOST
    if start < len(text) or not text:
        yield text[start:]


def name_of(piece: bytes) -> bytes:
    """What a piece is known by: its SHA-256."""
    return hashlib.sha256(piece).digest()


def pack(piece: bytes) -> bytes:
    """A piece as it is stored."""
    return zlib.compress(piece)


def unpack(name: bytes, packed: bytes | None) -> bytes | None:
    """The piece of that name; None when it is not there, or what is stored is another one."""
    try:
        piece = zlib.decompress(packed) if packed is not None else None
    except zlib.error:
        return None
    return piece if piece is not None and name_of(piece) == name else None


def alike(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """How many names two lists begin with in common."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))
