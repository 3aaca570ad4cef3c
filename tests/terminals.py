"""A person's terminal: what a program writes on it, and what is typed."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

DEADLINE = 60.0


class Terminal:
    """A program on a pseudo-terminal, and everything that it has written."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path | None = None,
        patience: float = DEADLINE,
    ) -> None:
        self._mine, theirs = pty.openpty()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command], env=environment, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self.written = ""
        self._patience = patience
        self._awaited = 0

    def read_until(self, text: str) -> None:
        """Reads on until that comes, after what was awaited before."""
        deadline = time.monotonic() + self._patience
        while (found := self.written.find(text, self._awaited)) < 0:
            assert time.monotonic() < deadline, f"{text!r} did not come; there was: {self.written}"
            assert self._read(), f"the program ended before {text!r}; there was: {self.written}"
        self._awaited = found + len(text)

    def finish(self) -> int:
        while self._read():
            pass
        os.close(self._mine)
        return self.process.wait(timeout=DEADLINE)

    def hang_up(self) -> None:
        os.close(self._mine)

    def type(self, keys: bytes) -> None:
        os.write(self._mine, keys)

    def _read(self) -> bool:
        if not select.select([self._mine], [], [], 1.0)[0]:
            return True
        try:
            data = os.read(self._mine, 65536)
        except OSError:
            return False
        self.written += data.decode("utf-8", "replace")
        return bool(data)
