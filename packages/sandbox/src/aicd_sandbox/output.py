"""What a command prints: the head and the tail of it, as text, in bounded memory."""

import codecs
from collections.abc import Callable


class HeadAndTail:
    """Keeps the first and the last half of `limit` bytes, however many are fed in.

    Args:
        limit: bytes kept in all; the cut parts may be up to 3 bytes shorter, to end between characters.
    """

    def __init__(self, limit: int) -> None:
        self._head_limit = limit // 2
        self._tail_limit = limit - self._head_limit
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def feed(self, data: bytes) -> None:
        self.total += len(data)
        room = self._head_limit - len(self._head)
        self._head += data[:room]
        self._tail += data[room:][-self._tail_limit :] if self._tail_limit else b""
        # Dropping only when the surplus is as large as the limit makes the cost of a byte constant.
        if len(self._tail) > 2 * self._tail_limit:
            del self._tail[: len(self._tail) - self._tail_limit]

    def result(self) -> tuple[str, int]:
        """The text kept, with a line in the place of what is missing; and how many bytes are missing."""
        if self.total <= self._head_limit + self._tail_limit:
            return printable(bytes(self._head + self._tail).decode(errors="replace")), 0
        head = without_cut_end(bytes(self._head))
        tail = without_cut_start(bytes(self._tail[len(self._tail) - self._tail_limit :]))
        missing = self.total - len(head) - len(tail)
        newline = "" if not head or head.endswith(b"\n") else "\n"
        text = f"{head.decode(errors='replace')}{newline}[... {missing} bytes left out ...]\n"
        return printable(text + tail.decode(errors="replace")), missing


class TextStream:
    """Hands bytes on as text, chunk by chunk; a character cut by a chunk's end comes with the next one."""

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes, *, final: bool = False) -> None:
        text = self._decoder.decode(data, final)
        if text:
            self._on_text(printable(text))


def printable(text: str) -> str:
    """The text with each NUL as U+FFFD, because Postgres stores no NUL in text or jsonb."""
    return text.replace("\0", "\ufffd")


def without_cut_end(data: bytes) -> bytes:
    """The bytes without a UTF-8 sequence at the end that the cut left incomplete."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        return data[:-back] if back < _sequence_length(byte) else data
    return data


def without_cut_start(data: bytes) -> bytes:
    """The bytes without the continuation bytes at the start that belong to a character cut off."""
    start = 0
    while start < min(3, len(data)) and data[start] & 0xC0 == 0x80:
        start += 1
    return data[start:]


def _sequence_length(lead: int) -> int:
    """Length of the UTF-8 sequence that starts with this byte (RFC 3629, section 3)."""
    if lead >= 0xF0:
        return 4
    if lead >= 0xE0:
        return 3
    return 2 if lead >= 0xC0 else 1
