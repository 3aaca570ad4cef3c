"""Long text, cut in the middle: how it begins and how it ends says the most. Pure."""

MAX_CHARACTERS = 12_000
"""About 3,000 tokens."""


def head_and_tail(text: str, limit: int) -> str:
    """The text, or its first and last lines with a note of how much is left out, in about `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    head = text[:half].rpartition("\n")[0] or text[:half]
    tail = text[-half:].partition("\n")[2] or text[-half:]
    left_out = text[len(head) : len(text) - len(tail)]
    return f"{head}\n[… {len(left_out):,} characters, {left_out.count(chr(10)):,} lines left out …]\n{tail}"
