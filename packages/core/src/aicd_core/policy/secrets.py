"""Credentials in added lines.

Only formats that a provider documents are looked for: guesses by variable name or by entropy hit hashes,
fixtures and lock files in nearly every real change, and a rule that cries wolf gets switched off. A format
distinctive enough to refuse a change over is `certain`; the others are for a person to look at.

Most patterns are those of detect-secrets (https://github.com/Yelp/detect-secrets). Only its patterns are used:
its `analyze_line` may call the provider with what it found, goes by global settings, and lets a comment in the
scanned line excuse that line.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from aicd_core.patches import AddedLine
from aicd_core.policy.credential_formats import KEY_BODY, KEY_HEADER, Format, all_formats

_KEY_BODY_WITHIN = 6
"""Lines after a private key's header in which its body starts; an old PEM file has two headers between."""


@dataclass(frozen=True)
class SecretHit:
    """A credential in an added line: what kind and where, never the credential itself."""

    path: str
    line: int
    kind: str
    certain: bool


def find_secrets(lines: Iterable[AddedLine]) -> Iterator[SecretHit]:
    """Every credential in the lines; those of one file must stand together, as they do in a patch.

    A pattern sees a file's added lines in one piece first: nearly always it finds nothing, and so costs one
    call a file instead of one a line.
    """
    for path, group in groupby(lines, key=lambda line: line.path):
        added = tuple(group)
        text = "\n".join(line.text for line in added)
        for format_ in all_formats():
            if format_.occurs_in(text):
                yield from _hits(path, added, format_)
        if KEY_HEADER.search(text):
            yield from _private_keys(path, added)


def _hits(path: str, added: Sequence[AddedLine], format_: Format) -> Iterator[SecretHit]:
    return (SecretHit(path, line.line, format_.kind, format_.certain) for line in added if format_.is_in(line.text))


def _private_keys(path: str, added: Sequence[AddedLine]) -> Iterator[SecretHit]:
    """A header followed by a key is a secret; a header alone is more likely code that reads keys."""
    for index, line in enumerate(added):
        header = KEY_HEADER.search(line.text)
        if header is not None:
            following = (later.text for later in added[index + 1 : index + 1 + _KEY_BODY_WITHIN])
            has_body = any(KEY_BODY.search(text) for text in (line.text[header.end() :], *following))
            yield SecretHit(path, line.line, "a private key", certain=has_body)
