"""From text and code to the words that are indexed and asked for."""

import re
from collections.abc import Iterator

MAX_WORD = 60
"""Characters; longer ones are data, not names."""
MIN_WORD = 2

_RUN = re.compile(r"[^\W_]+(?:_+[^\W_]+)*")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_STOP = frozenset(
    {
        *("an", "and", "are", "as", "at", "be", "but", "by", "can", "do", "does", "for", "from", "has", "have", "how"),
        *("if", "in", "into", "is", "it", "its", "me", "my", "no", "not", "of", "on", "or", "our", "should", "so"),
        *("than", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "we", "what", "when"),
        *("where", "which", "will", "with", "would", "you", "your"),
        *("class", "const", "def", "false", "function", "import", "let", "new", "none", "null", "return", "self"),
        *("true", "var"),
    }
)
"""Words of English, and of most programs, that tell no file from another."""


def words_of(text: str) -> Iterator[str]:
    """The words, in lower case: each name whole, and its parts (`parseHTTPBody` is also parse, http and body)."""
    for run in _RUN.findall(text):
        whole = run.lower()
        if MIN_WORD <= len(whole) <= MAX_WORD and whole not in _STOP:
            yield whole
        parts = [part.lower() for part in (_PART.findall(run) if run.isascii() else run.split("_"))]
        if len(parts) > 1:
            yield from (part for part in parts if MIN_WORD <= len(part) <= MAX_WORD and part not in _STOP)
