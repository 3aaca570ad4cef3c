"""Starting a scripted model server, and reading what it was asked and what it counted."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aicd_brain.models.messages import Tokens
from aicd_brain.testing.scripts import Script


@dataclass(frozen=True)
class Served:
    """One request, as the server saw it; `tokens` is what it told whoever asked.

    It came `at` and the answer was `ready` to be sent then, in seconds of the monotonic clock.
    """

    number: int
    at: float
    ready: float
    path: str
    model: str
    role: str
    conversation: int
    turn: int
    attempt: int
    status: int
    cut: bool
    tokens: Tokens
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class ModelServer:
    """A running server; `url` has no path."""

    url: str
    log: Path

    def served(self) -> list[Served]:
        """All requests so far, in the order in which they came."""
        whole, _, _ = self.log.read_text().rpartition("\n")  # the rest is a line that is being written
        lines = [json.loads(line) for line in whole.splitlines()]
        found = [Served(**{**line, "tokens": Tokens.model_validate(line["tokens"])}) for line in lines]
        return sorted(found, key=lambda one: one.number)

    def answered(self) -> list[Served]:
        """Those that got a whole answer."""
        return [one for one in self.served() if one.status == 200 and not one.cut]

    def counted(self) -> Tokens:
        """The sum of what it told."""
        sums = {name: sum(getattr(one.tokens, name) for one in self.served()) for name in Tokens.model_fields}
        return Tokens.model_validate(sums)


@contextmanager
def serving(script: Script, folder: Path) -> Iterator[ModelServer]:
    """A server with this script, for the length of a `with` block."""
    folder.mkdir(parents=True, exist_ok=True)
    place, log = folder / "script.json", folder / "requests.jsonl"
    place.write_text(script.model_dump_json())
    log.touch()
    command = [sys.executable, "-m", "aicd_brain.testing.model_server", str(place), str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        try:
            yield ModelServer(f"http://127.0.0.1:{port}", log)
        finally:
            process.terminate()
