"""Text from outside, fenced so that a model can tell data from instructions.

Issue text, repository files and tool output are written by strangers. A fence wraps such text in a pair
of lines that carry an id; the model is told that only the id of the opening line closes the block:

    <untrusted kind="issue" id="3f0c51d9a27b">
    the text, byte for byte
    </untrusted id="3f0c51d9a27b">

The id does not occur in the text, so the text cannot hold the line that ends its own block. It is derived
from the text alone: the same text gives the same fence, and a prompt stays a cacheable prefix of the next.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator

from aicd_brain.errors import PromptError

_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")
_ID_LENGTH = 12


class Fenced(str):
    """Text that went through `fence`; the only way for text from outside into a prompt."""

    __slots__ = ()


def fence(kind: str, text: str) -> Fenced:
    """Wraps text from outside so that it cannot pass for instructions.

    Args:
        kind: what the text is, in our own words (`issue`, `tool-output`): lower-case letters, digits, `-`.
        text: anything at all; it is not altered.

    Returns:
        The opening line, the text, a newline and the closing line, without a newline at the end.

    Raises:
        PromptError: `kind` could not stand in the opening line.
    """
    if _KIND.fullmatch(kind) is None:
        raise PromptError(f"{kind!r} is no kind of fenced text: use a word of lower-case letters, digits and '-'.")
    marker = first_absent(_candidates(kind, text), text)
    return Fenced(f'<untrusted kind="{kind}" id="{marker}">\n{text}\n</untrusted id="{marker}">')


def first_absent(candidates: Iterable[str], text: str) -> str:
    """The first of the lower-case candidates that does not occur in the text, in whatever case."""
    folded = text.lower()
    return next(candidate for candidate in candidates if candidate not in folded)


def _candidates(kind: str, text: str) -> Iterator[str]:
    content = hashlib.sha256(f"{kind}\n{text}".encode("utf-8", "surrogatepass"))
    for attempt in itertools.count():
        digest = content.copy()
        digest.update(f"\n{attempt}".encode())
        yield digest.hexdigest()[:_ID_LENGTH]
