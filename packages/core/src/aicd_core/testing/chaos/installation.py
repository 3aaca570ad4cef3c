"""An installation for tests of processes: servers that can be killed, a paid model, machines and their workers."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.migrations import migrate
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.ending import undisturbed
from aicd_core.testing.journaled import AGENT, NAME
from aicd_core.testing.paid_model import PaidModel
from aicd_core.testing.plugins import offer_agent
from aicd_core.testing.redis import RedisServer, redis_server

AICD = Path(sys.executable).with_name("aicd")
PATIENCE = 120.0
"""Seconds that a test waits for what must come; a machine may be busy with anything."""


@dataclass
class AicdProcess:
    """One running `aicd`; what it says on stderr is in `log`."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to this process alone; nothing once it has ended."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kills it, as the kernel would, and waits until it is gone."""
        self.process.kill()
        self.process.wait()

    def end(self, timeout: float = PATIENCE) -> int:
        """Waits for its end; its exit code."""
        return self.process.wait(timeout)

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass
class Installation:
    """Servers and machines that work on one repository. A machine is a data directory of its own.

    `server` is the Postgres that belongs to it alone, and can be killed; None where it is shared.
    """

    root: Path
    source: Path
    urls: TestUrls
    server: EmbeddedPostgres | None
    model: PaidModel
    redis: RedisServer | None
    settings: dict[str, str] = field(default_factory=dict)
    started: list[AicdProcess] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """What every `aicd` of this installation is started with."""
        redis = {} if self.redis is None else {"AICD_REDIS_URL": self.redis.url}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "PYTHONPATH": str(self.root / "plugins"),
            "AICD_LOG_FORMAT": "text",
            "AICD_DATABASE_URL": self.urls.app,
            "AICD_SYSTEM_DATABASE_URL": self.urls.system,
            **redis,
            **self.settings,
        }

    def begin(self, machine: str, *arguments: str, within: Sequence[str] = ()) -> AicdProcess:
        """Starts `aicd …` on a machine; `within` is a command to start it with."""
        log = self.root / f"log-{len(self.started):03}"
        command = [*within, str(AICD), *arguments, "--data-dir", str(self.root / machine)]
        with log.open("wb") as stderr, undisturbed():
            process = subprocess.Popen(command, env=self.environment(), stderr=stderr, stdin=subprocess.DEVNULL)
            self.started.append(AicdProcess(process, log))
        return self.started[-1]

    def worker(self, machine: str, *options: str, within: Sequence[str] = ()) -> AicdProcess:
        """Starts a worker on a machine; `within` as for `begin`."""
        return self.begin(machine, "worker", *options, within=within)

    def aicd(self, machine: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """Runs `aicd …` on a machine to its end."""
        command = [str(AICD), *arguments, "--data-dir", str(self.root / machine)]
        return subprocess.run(command, env=self.environment(), capture_output=True, timeout=PATIENCE, check=False)

    def git(self, *arguments: str) -> bytes:
        """Runs git in the repository; returns its stdout."""
        return git(self.source, *arguments)

    @property
    def postgres(self) -> EmbeddedPostgres:
        """The Postgres that belongs to this installation alone."""
        assert self.server is not None, "a shared server is not ours to stop"
        return self.server

    def kill_postgres(self) -> None:
        """Kills the server as the kernel would; `start` brings it back with what was committed."""
        number = self.postgres.pid()
        if number is not None:
            os.kill(number, signal.SIGKILL)

    def close(self) -> None:
        """Kills whatever was started here and still runs."""
        for one in self.started:
            one.kill()


def git(root: Path, *arguments: str) -> bytes:
    """Runs git with a fixed identity and no configuration of the machine's; returns stdout."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True).stdout


@contextmanager
def installation(
    root: Path,
    urls: TestUrls | None = None,
    *,
    with_redis: bool = False,
    delay: float = 0,
    model_socket: Path | None = None,
) -> Iterator[Installation]:
    """A running installation whose repository declares no tests; everything it started is gone at the end.

    Args:
        urls: a migrated database on a shared server; None: on a server of its own.
        delay: seconds that the model takes for an answer.
        model_socket: where the model listens instead of on the loopback address.
    """
    offer_agent(root / "plugins", NAME, AGENT)
    with (
        _database(root / "postgres", urls) as (server, found),
        PaidModel(root / "paid.jsonl", delay=delay, place=model_socket) as model,
        _redis(root / "redis", wanted=with_redis) as redis,
    ):
        made = Installation(root, new_source(root / "source"), found, server, model, redis)
        try:
            yield made
        finally:
            made.close()


@contextmanager
def _database(root: Path, urls: TestUrls | None) -> Iterator[tuple[EmbeddedPostgres | None, TestUrls]]:
    if urls is not None:
        yield None, urls
        return
    server = EmbeddedPostgres(root, durable=False)
    try:
        asyncio.run(migrate(server.start()))
        yield server, TestUrls(*(server.url(role) for role in ("postgres", "aicd_app", "aicd_system")))
    finally:
        server.stop()


def new_source(root: Path, config: str = "version: 1\ntests: []\n") -> Path:
    """A repository of one commit."""
    root.mkdir()
    git(root, "init", "--quiet")
    (root / ".aicd.yml").write_text(config)
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "Begin")
    return root


def wait_until(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Looks again and again until it is so.

    Raises:
        TimeoutError: it was not so in time.
    """
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {patience:g} s")
        time.sleep(0.05)


def running(*words: str) -> bool:
    """Whether a process of this machine, in a sandbox or not, has all these words among its arguments."""
    lines = (_command_line(place) for place in Path("/proc").glob("[0-9]*/cmdline"))
    return any(all(word in line for word in words) for line in lines)


def _command_line(place: Path) -> str:
    try:
        return place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""  # it has just ended


@contextmanager
def _redis(root: Path, *, wanted: bool) -> Iterator[RedisServer | None]:
    if not wanted:
        yield None
        return
    with redis_server(root) as server:
        try:
            yield server
        finally:
            with suppress(AssertionError, ProcessLookupError):
                server.resume()
