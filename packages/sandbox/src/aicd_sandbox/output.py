"""What a command prints: the head and the tail of it, as text, in bounded memory."""

import codecs
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MOST_LOGS = 16
"""The newest ones of a job that are kept: output is a way to fill the disk, too."""


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

    def fits(self, data: bytes) -> bool:
        """Whether all would still be kept with this data fed."""
        return self.total + len(data) <= self._head_limit + self._tail_limit

    def everything(self) -> bytes:
        """All that was fed, as long as nothing was left out."""
        return bytes(self._head + self._tail)

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


class LogFile:
    """A file of the full output, up to a limit. A disk that refuses ends the log, never the command.

    Args:
        folder: made when it is not there; holds the newest logs of a job.
        limit: bytes.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.path: Path | None = None
        self._room = limit
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            for old in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)[: 1 - MOST_LOGS]:
                old.unlink()
            descriptor, name = tempfile.mkstemp(prefix="command-", suffix=".log", dir=folder)
            self._file = os.fdopen(descriptor, "wb", buffering=0)
            self.path = Path(name)

    def feed(self, data: bytes) -> None:
        if self.path is None or self._room <= 0:
            return
        try:
            self._file.write(data[: self._room])
        except OSError:
            self.close()
            self.path = None
        self._room -= len(data)

    def close(self) -> None:
        if self.path is not None:
            self._file.close()


class CommandOutput:
    """What a command prints: kept within its limit, handed on as it comes, and whole in a file when it is longer."""

    def __init__(self, limit: int, on_text: Callable[[str], None] | None, logs: Path | None, log_limit: int) -> None:
        self._kept = HeadAndTail(limit)
        self._stream = TextStream(on_text) if on_text else None
        self._logs = logs
        self._log_limit = log_limit
        self._file: LogFile | None = None

    @property
    def total(self) -> int:
        """Bytes printed so far."""
        return self._kept.total

    @property
    def log(self) -> Path | None:
        """The file with the full output, or None when all of it was kept or no file could be written."""
        return self._file.path if self._file else None

    def feed(self, data: bytes) -> None:
        if self._file is None and self._logs is not None and not self._kept.fits(data):
            self._file = LogFile(self._logs, self._log_limit)
            self._file.feed(self._kept.everything())
        if self._file is not None:
            self._file.feed(data)
        self._kept.feed(data)
        if self._stream:
            self._stream.feed(data)

    def result(self) -> tuple[str, int]:
        """The text kept, and how many bytes are missing in it."""
        if self._stream:
            self._stream.feed(b"", final=True)
        return self._kept.result()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


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
