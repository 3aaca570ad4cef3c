"""An installation whose backups go to a restic repository, and what is in its database at a moment."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.jobs.machine import JobState
from aicd_core.migrations import migrate
from aicd_core.testing.chaos.installation import AicdProcess, Installation, new_source, wait_until
from aicd_core.testing.chaos.repository import list_jobs
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import AGENT, NAME
from aicd_core.testing.paid_model import PaidModel
from aicd_core.testing.plugins import offer_agent
from aicd_core.testing.redis import redis_server
from debian_programs import debian_program

PASSWORD = "a long one"
MACHINE = "machine"
LISTED = {
    "jobs": b"SELECT id::text FROM jobs",
    "job_events": b"SELECT concat_ws(' ', job_id, version, event, state) FROM job_events",
    "usage_entries": b"SELECT concat_ws(' ', job_id, entry_key, cost_micro_usd) FROM usage_entries",
    "model_calls": b"SELECT concat_ws(' ', job_id, step, number) FROM model_calls",
}


@dataclass
class OneMachine(Installation):
    """All on one machine: the embedded database is in the workers' data directory."""

    def environment(self) -> dict[str, str]:
        ours = super().environment()
        return {name: value for name, value in ours.items() if not name.endswith("DATABASE_URL")}


@dataclass(frozen=True)
class Vault:
    """The repository of backups, and `aicd` with its settings."""

    made: Installation
    repository: Path
    extra: dict[str, str] = field(default_factory=dict)

    def aicd(self, *arguments: str, machine: str = MACHINE, **settings: str) -> tuple[int, dict[str, Any], str]:
        """Runs a command with `--json`; its exit code, what it says to programs, and to people."""
        before = dict(self.made.settings)
        self.made.settings |= {**self.settings(), **settings}
        try:
            done = self.made.aicd(machine, *arguments, "--json")
        finally:
            self.made.settings = before
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr.decode()

    def begin(self, *arguments: str, machine: str = MACHINE) -> AicdProcess:
        """Starts a command that stays."""
        before = dict(self.made.settings)
        self.made.settings |= self.settings()
        try:
            return self.made.begin(machine, *arguments)
        finally:
            self.made.settings = before

    def settings(self) -> dict[str, str]:
        """What `aicd` needs to find the repository."""
        return {
            "PATH": f"{Path(debian_program('restic').path).parent}:{os.environ['PATH']}",
            "AICD_BACKUP_REPOSITORY": str(self.repository),
            "AICD_BACKUP_PASSWORD": PASSWORD,
            **self.extra,
        }

    def succeed(self, *arguments: str, machine: str = MACHINE, **settings: str) -> dict[str, Any]:
        """As `aicd`, of one that must succeed; what it says to programs."""
        code, told, said = self.aicd(*arguments, machine=machine, **settings)
        assert code == 0, said
        return told


def listing(url: str) -> dict[str, set[str]]:
    """What there is of jobs, events, ledger and journal, one line each."""
    with psycopg.connect(url) as connection:
        return {name: {row[0] for row in connection.execute(query)} for name, query in LISTED.items()}


def opened(made: Installation) -> set[str]:
    """The jobs whose pull requests are open."""
    return {str(job.id) for job in list_jobs(made.urls.admin) if job.status.state is JobState.PR_OPEN}


def wait_for_open(made: Installation, count: int) -> None:
    """Waits until so many pull requests are open."""
    wait_until(lambda: len(opened(made)) >= count, f"{count} open pull requests", 240)


@contextmanager
def one_machine(root: Path, *, delay: float) -> Iterator[OneMachine]:
    """A machine with its embedded database, which survives a crash, and a Redis; the repository is elsewhere."""
    offer_agent(root / "plugins", NAME, AGENT)
    with PaidModel(root / "paid.jsonl", delay=delay) as model, redis_server(root / "redis") as redis:
        server = EmbeddedPostgres(root / MACHINE / "postgres")
        asyncio.run(migrate(server.start()))
        urls = TestUrls(*(server.url(role) for role in ("postgres", "aicd_app", "aicd_system")))
        made = OneMachine(root, new_source(root / "source"), urls, server, model, redis)
        try:
            yield made
        finally:
            made.close()
            server.stop()


def destroy(made: Installation) -> None:
    """Kills everything that runs, and removes everything but the repository of code and the backups."""
    made.close()
    number = made.postgres.pid()
    if number is not None:
        os.kill(number, signal.SIGKILL)
        wait_until(lambda: made.postgres.pid() is None, "the end of Postgres")
    made.postgres.stop()
    shutil.rmtree(made.root / MACHINE)
    assert made.redis is not None
    made.redis.kill()
    shutil.rmtree(made.redis.root)
