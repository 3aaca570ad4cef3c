"""An upgrade while work goes on: code of one level and of the next on one database, as real processes.

The older code is once the one before this version, from git's history, with this version as the newer one: migrations
leave the version before working. And once it is this version, with a copy of it as the newer one that has one more
migration: this version lets itself be followed, and come back to.
"""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.migrations.compatibility import FIRST_LEVEL
from aicd_core.testing.chaos.installation import AicdProcess, Installation, installation, wait_until
from aicd_core.testing.chaos.repository import JobRow, list_events, list_jobs
from aicd_core.testing.chaos.verdict import breaches
from aicd_core.testing.databases import fresh_urls
from aicd_core.testing.journaled import NAME, Script, journaled_issue
from versions import Version, two_versions

HISTORY = ("job_events", "model_calls", "journal_contents", "usage_entries", "artifacts")
"""What is written once, and never changes."""


@dataclass
class Upgrade:
    """An installation whose database the older version has made, and both versions."""

    made: Installation
    older: Version
    newer: Version

    def begin(self, version: Version, machine: str, *arguments: str) -> AicdProcess:
        return self.made.begin(machine, *arguments, within=version.within(self.made.root / "plugins"))

    def worker(self, version: Version, machine: str) -> AicdProcess:
        """A worker that is ready; it does one job at a time."""
        worker = self.begin(version, machine, "worker", "--concurrency", "1")
        wait_until(lambda: "ready for 1 job" in worker.said(), f"a worker of {version.level} that is ready")
        return worker

    def migrate(self, version: Version) -> None:
        done = self.begin(version, "operator", "migrate")
        assert done.end() == 0, done.said()
        with psycopg.connect(self.made.urls.admin) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (version.level,)

    def order(self, version: Version, title: str) -> None:
        """A job of one turn, queued by that version."""
        issue = self.made.root / f"{title}.md"
        issue.write_text(journaled_issue(title, Script(self.made.model.url, turns=1)))
        what = ("--repo", str(self.made.source), "--issue-file", str(issue), "--agent", NAME)
        done = self.begin(version, "operator", "run", "--detach", *what)
        assert done.end() == 0, done.said()

    def job(self, title: str) -> JobRow:
        (found,) = [job for job in list_jobs(self.made.urls.admin) if job.title == title]
        return found

    def wait_for_calls(self, number: int) -> None:
        wait_until(lambda: len(self.made.model.calls()) >= number, f"{number} calls of the model")

    def wait_for_pull_request(self, title: str) -> None:
        wait_until(lambda: self.job(title).status.state is JobState.PR_OPEN, f"{title} with its pull request")

    def is_at(self, worker: AicdProcess, title: str, state: JobState) -> bool:
        """Whether the worker holds the job, and in that state."""
        job = self.job(title)
        return job.status.state is state and f"/{worker.pid}/" in (job.lease_owner or "")

    def hand_over(self, worker: AicdProcess, held_from: int) -> None:
        """Tells a worker to stop, lets its step end, and holds the model's answers from that call on."""
        worker.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in worker.said(), "a worker that drains")
        self.made.model.release()
        self.made.model.hold_from(held_from)
        assert worker.end() == 0, worker.said()


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


@pytest.fixture(params=["history", "copy"])
def upgrade(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Iterator[Upgrade]:
    with fresh_urls(postgres_url, "template0") as urls, installation(tmp_path / "made", urls) as made:
        made.settings["AICD_MIGRATION_DATABASE_URL"] = urls.admin
        yield Upgrade(made, *two_versions(request.param, tmp_path))


def test_versions_of_two_levels_work_side_by_side_and_the_older_one_comes_back(upgrade: Upgrade):
    """Each job: 1 call to plan, 1 to code, 1 to review. One version's worker has one job, the other's the other."""
    older, newer, model = upgrade.older, upgrade.newer, upgrade.made.model
    upgrade.migrate(older)
    upgrade.order(older, "Stays")
    model.hold_from(2)
    staying = upgrade.worker(older, "first")
    upgrade.wait_for_calls(2)
    upgrade.order(older, "Moves")
    leaving = upgrade.worker(older, "second")
    upgrade.wait_for_calls(3)
    assert upgrade.is_at(staying, "Stays", JobState.CODING)
    assert upgrade.is_at(leaving, "Moves", JobState.PLANNING)

    columns = columns_of(upgrade.made, *HISTORY)
    before = kept(upgrade.made, columns)
    assert all(before.values())
    upgrade.migrate(newer)
    assert kept(upgrade.made, columns) == before
    coming = upgrade.worker(newer, "third")
    upgrade.hand_over(leaving, held_from=4)
    upgrade.wait_for_calls(5)
    assert upgrade.is_at(staying, "Stays", JobState.REVIEWING)
    assert upgrade.is_at(coming, "Moves", JobState.CODING)
    upgrade.hand_over(coming, held_from=6)
    upgrade.wait_for_calls(6)
    assert upgrade.is_at(staying, "Moves", JobState.REVIEWING)
    model.release()
    upgrade.wait_for_pull_request("Moves")
    upgrade.order(newer, "Comes")
    upgrade.wait_for_pull_request("Comes")

    events = [event.event for event in list_events(upgrade.made.urls.admin)]
    assert (events.count(JobEvent.HANDED_OVER), events.count(JobEvent.RETRY_SCHEDULED)) == (2, 0)
    staying.signal(signal.SIGTERM)
    assert staying.end() == 0
    _goes_back(upgrade)
    assert list(breaches(upgrade.made, 0)) == []


def _goes_back(upgrade: Upgrade) -> None:
    """The older version is started again, on the newer schema."""
    upgrade.order(upgrade.newer, "Goes back")
    if upgrade.older.level < FIRST_LEVEL:  # it does not ask what the schema fits
        refused = upgrade.begin(upgrade.older, "first", "worker")
        assert refused.end() == 1
        assert f"knows only up to {upgrade.older.level}" in refused.said()
        upgrade.worker(upgrade.newer, "first")
    else:
        upgrade.worker(upgrade.older, "first")
    upgrade.wait_for_pull_request("Goes back")
