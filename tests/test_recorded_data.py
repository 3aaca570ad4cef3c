"""Data that earlier code truly made is migrated to this level, and worked on to its end by this code.

`tests/recorded` holds it, for checkouts without git's history, too; docs/releasing-migrations.md says how it is made.
"""

import asyncio
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from test_deliveries import Bell

from aicd_core.deliveries.service import DeliveryWorker
from aicd_core.deliveries.values import HANDLED, DeliveryView, Outcome
from aicd_core.jobs.machine import JobState
from aicd_core.migrations import HEAD, migrate
from aicd_core.tenancy.api_keys.service import find_key
from aicd_core.testing.chaos.installation import Installation, git
from aicd_core.testing.chaos.repository import list_jobs
from aicd_core.testing.chaos.verdict import Payment, breaches
from aicd_core.testing.databases import TestUrls, opened
from upgrading import HISTORY, Upgrade, columns_of, kept, upgrading
from versions import Version

RECORDED = sorted(Path(__file__).with_name("recorded").glob("[0-9]*"))
TO_GO_ON = ("Awaits", "Paused", "Queued", "Planning", "Coding", "Reviewing")
"""Those that come to their pull requests under this code; `breaches` knows what each has to have left then."""
MOVE = b"UPDATE public.jobs SET body = replace(body, %s, %s) WHERE title = ANY(%s)"
FIGURES = (
    b"SELECT job_id, count(*), sum(input_tokens), sum(cost_micro_usd) FROM usage_entries GROUP BY 1",
    b"SELECT subject, micro_usd FROM spending",
    b"SELECT id, state, version, round, seconds_worked, reason, code FROM jobs",
)


@contextmanager
def loaded(postgres_url: str, root: Path, recorded: Path) -> Iterator[Upgrade]:
    """An installation with what is recorded, at its level; the model remembers what it was paid for."""
    ours = Version(HEAD)
    root.mkdir()
    (root / "made").mkdir()
    (root / "made" / "paid.jsonl").write_bytes((recorded / "paid.jsonl").read_bytes())
    with upgrading(postgres_url, root, ours, ours) as upgrade:
        made = upgrade.made
        git(
            made.source,
            "fetch",
            "--quiet",
            "--update-head-ok",
            "--force",
            str(recorded / "repository.bundle"),
            "refs/*:refs/*",
        )
        git(made.source, "reset", "--quiet", "--hard")
        dump = gzip.decompress((recorded / "data.sql.gz").read_bytes()).decode().replace("@ROOT@", str(made.root))
        with psycopg.connect(made.urls.admin) as connection:
            connection.execute(dump.encode())
            # The issues of those that have ended are signed for.
            moved = [(recorded / "model.txt").read_text(), made.model.url, list(TO_GO_ON)]
            connection.execute(MOVE, moved)
        yield upgrade


def figures(made: Installation) -> list[list[str]]:
    with psycopg.connect(made.urls.admin) as connection:
        return [sorted(map(str, connection.execute(query).fetchall())) for query in FIGURES]


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda place: place.name)
def test_data_of_an_earlier_level_goes_on_to_its_end(postgres_url: str, tmp_path: Path, recorded: Path):
    with loaded(postgres_url, tmp_path / "past", recorded) as upgrade:
        made = upgrade.made
        assert {job.title for job in list_jobs(made.urls.admin)} == {
            "Open",
            "Merged",
            "Closed",
            "Cancelled",
            "Failed",
            *TO_GO_ON,
        }
        columns = columns_of(made, *HISTORY)
        before = (kept(made, columns), figures(made))
        asyncio.run(migrate(made.urls.admin))
        assert (kept(made, columns), figures(made)) == before
        _verify(upgrade, "Open", "--key", str(recorded / "public-keys.txt"))

        _carry_on(upgrade)
        assert list(breaches(made, 3, TO_GO_ON)) == []
        assert Payment.of(made).paid <= Payment.of(made).needed + 3  # three calls were in flight when their worker died
        _decide(upgrade)
        _verify(upgrade, "Paused")
        asyncio.run(_look(made.urls, (recorded / "key.txt").read_text()[::-1].strip()))
        _export(upgrade)


def _carry_on(upgrade: Upgrade) -> None:
    ours = upgrade.newer
    upgrade.run(ours, "approve", str(upgrade.job("Awaits").id))
    upgrade.run(ours, "resume", str(upgrade.job("Paused").id), "--time-limit", "3600")
    upgrade.worker(ours, "machine", concurrency=4)
    for title in TO_GO_ON:
        upgrade.wait_for_pull_request(title)


def _decide(upgrade: Upgrade) -> None:
    """What has a pull request is cancelled; what ended stays so."""
    upgrade.run(upgrade.newer, "cancel", str(upgrade.job("Open").id), "--reason", "No longer wanted.")
    states = {job.title: job.status.state.value for job in list_jobs(upgrade.made.urls.admin)}
    ended = {title: title.lower() for title in ("Merged", "Closed", "Cancelled", "Failed")}
    assert states == {**dict.fromkeys(TO_GO_ON, JobState.PR_OPEN.value), "Open": "cancelled", **ended}


def _verify(upgrade: Upgrade, title: str, *options: str) -> None:
    what = ("verify", str(upgrade.job(title).id), "--repo", str(upgrade.made.source), *options)
    done = upgrade.begin(upgrade.newer, "machine", *what)
    assert upgrade.ended(done) == 0, done.said()


async def _look(urls: TestUrls, token: str) -> None:
    """A recorded key is good, and a recorded delivery is handled, once."""
    handled: list[DeliveryView] = []

    async def handle(delivery: DeliveryView) -> Outcome:
        handled.append(delivery)
        return HANDLED

    async with opened(urls) as (_, system):
        async with system.read() as session:
            assert (await find_key(session, token, datetime.now(UTC))).key.name == "recorded"
        worker = DeliveryWorker(system, Bell(), {"recorded": handle})
        for _ in range(2):
            await worker.work()
    assert [(one.external_id, json.loads(one.body)["issue"]["number"]) for one in handled] == [("delivery-1", 7)]


def _export(upgrade: Upgrade) -> None:
    """All of the organization comes out as JSON Lines."""
    output = upgrade.made.root / "export.jsonl"
    upgrade.run(upgrade.newer, "org", "export", "--output", str(output))
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    titles = {line["row"]["title"] for line in lines if line.get("table") == "jobs"}
    assert titles == {job.title for job in list_jobs(upgrade.made.urls.admin)}
