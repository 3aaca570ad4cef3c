"""An upgrade of a running installation: processes of two versions on one database, for tests."""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from aicd_core.jobs.machine import JobState
from aicd_core.testing.chaos.installation import AicdProcess, Installation, installation, wait_until
from aicd_core.testing.chaos.repository import JobRow, list_jobs
from aicd_core.testing.databases import fresh_urls
from aicd_core.testing.journaled import NAME, Script, journaled_issue
from versions import Version

PASSING = ("LockNotAvailable", "QueryCanceled", "DeadlockDetected", "SerializationFailure")
MISFIT = re.compile(rf"^ *(psycopg\.errors\.(?!{'|'.join(PASSING)})\w+|LookupError): .*", re.MULTILINE)
"""What the log of a process says whose code the schema does not fit; it would go on trying for ever."""
HISTORY = ("job_events", "model_calls", "journal_contents", "usage_entries", "artifacts")
"""What is written once, and never changes."""


@dataclass
class Upgrade:
    """An installation whose database the older version has made, and both versions."""

    made: Installation
    older: Version
    newer: Version
    started: list[tuple[Version, AicdProcess]] = field(default_factory=list)

    def begin(self, version: Version, machine: str, *arguments: str) -> AicdProcess:
        process = self.made.begin(machine, *arguments, within=version.within(self.made.root / "plugins"))
        self.started.append((version, process))
        return process

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Waits until it is so; breaks off as soon as some process says that code and schema do not fit."""

        def is_so() -> bool:
            told = [f"code of {version.level}: {found[0].strip()}" for version, found in self._misfits()]
            assert not told, f"while waiting for {what}: {'; '.join(dict.fromkeys(told))}"
            return condition()

        try:
            wait_until(is_so, what)
        except TimeoutError as error:
            said = "\n".join(f"code of {version.level} said: {one.said()[-1500:]}" for version, one in self.started)
            raise AssertionError(f"{error}\n{said}") from error

    def _misfits(self) -> Iterator[tuple[Version, "re.Match[str]"]]:
        for version, process in self.started:
            for found in MISFIT.finditer(process.said()):
                yield version, found

    def ended(self, process: AicdProcess) -> int:
        """Waits for its end; its exit code."""
        self.wait(lambda: process.process.poll() is not None, f"the end of {process.process.args}")
        return process.end()

    def worker(self, version: Version, machine: str, concurrency: int = 1) -> AicdProcess:
        """A worker that is ready; it does so many jobs at a time."""
        worker = self.begin(version, machine, "worker", "--concurrency", str(concurrency))
        self.wait(lambda: f"ready for {concurrency} job" in worker.said(), f"a worker of {version.level} that is ready")
        return worker

    def migrate(self, version: Version) -> None:
        self.run(version, "migrate")
        with psycopg.connect(self.made.urls.admin) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (version.level,)

    def order(
        self, version: Version, title: str, *options: str, turns: int = 1, command: str | None = None, agent: str = NAME
    ) -> None:
        """A job of one turn unless another number is named, queued by that version."""
        done = self.ordering(version, title, *options, turns=turns, command=command, agent=agent)
        assert self.ended(done) == 0, done.said()

    def ordering(
        self, version: Version, title: str, *options: str, turns: int = 1, command: str | None = None, agent: str = NAME
    ) -> AicdProcess:
        """The process that queues such a job."""
        issue = self.made.root / f"{title}.md"
        issue.write_text(journaled_issue(title, Script(self.made.model.url, turns=turns, command=command)))
        what = ("--repo", str(self.made.source), "--issue-file", str(issue), "--agent", agent, *options)
        return self.begin(version, "operator", "run", "--detach", *what)

    def run(self, version: Version, *arguments: str) -> None:
        """A command of that version's that must succeed."""
        done = self.begin(version, "operator", *arguments)
        assert self.ended(done) == 0, done.said()

    def job(self, title: str) -> JobRow:
        (found,) = [job for job in list_jobs(self.made.urls.admin) if job.title == title]
        return found

    def wait_for_calls(self, number: int) -> None:
        self.wait(lambda: len(self.made.model.calls()) >= number, f"{number} calls of the model")

    def wait_for_pull_request(self, title: str) -> None:
        self.wait_for(title, JobState.PR_OPEN)

    def wait_for(self, title: str, state: JobState) -> None:
        self.wait(lambda: self.job(title).status.state is state, f"{title}, {state.value}")

    def is_at(self, worker: AicdProcess, title: str, state: JobState) -> bool:
        """Whether the worker holds the job, and in that state."""
        job = self.job(title)
        return job.status.state is state and f"/{worker.pid}/" in (job.lease_owner or "")

    def hand_over(self, worker: AicdProcess, held_from: int) -> None:
        """Tells a worker to stop, lets its step end, and holds the model's answers from that call on."""
        worker.signal(signal.SIGTERM)
        self.wait(lambda: "draining" in worker.said(), "a worker that drains")
        self.made.model.release()
        self.made.model.hold_from(held_from)
        assert self.ended(worker) == 0, worker.said()


def kept(made: Installation, columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Every row of some tables as text, of the columns that are named for each."""
    with psycopg.connect(made.urls.admin) as connection:
        return {
            table: sorted(
                row[0]
                for row in connection.execute(f"SELECT ROW({', '.join(names)})::text FROM {table}".encode()).fetchall()
            )
            for table, names in columns.items()
        }


def columns_of(made: Installation, *tables: str) -> dict[str, list[str]]:
    named = b"SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
    with psycopg.connect(made.urls.admin) as connection:
        return {table: [row[0] for row in connection.execute(named, [table])] for table in tables}


@contextmanager
def upgrading(postgres_url: str, root: Path, older: Version, newer: Version) -> Iterator[Upgrade]:
    with fresh_urls(postgres_url, "template0") as urls, installation(root / "made", urls) as made:
        made.settings["AICD_MIGRATION_DATABASE_URL"] = urls.admin
        yield Upgrade(made, older, newer)
