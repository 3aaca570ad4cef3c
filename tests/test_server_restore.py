"""A Postgres of the operator's own, over the network: its log is kept, and it is taken back to a moment."""

import asyncio
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from aicd_core.migrations import migrate
from aicd_core.telemetry.backups import Record
from aicd_core.testing.chaos.installation import AicdProcess, installation, wait_until
from aicd_core.testing.chaos.work import place, scripted
from backup_world import MACHINE, Vault, listing, wait_for_open
from docs_reader import Reader, environment_of
from server_elsewhere import HBA, PASSWORDS, ServerElsewhere

KEPT = "the log is kept until now"
RESTORED = "restored"
SYSTEMCTL = """
systemctl() {{
    [ "$2" = postgresql ]
    PYTHONPATH={tests} python - "$1" "$(sed -n "s|^data_directory = '\\(.*\\)'.*|\\1|p" {settings})" <<'END'
import sys
from server_elsewhere import Path, ServerElsewhere
server = ServerElsewhere(Path(sys.argv[2]), {port}, Path("{socket}"))
{{"stop": server.stop, "start": lambda: server.start(wait=False)}}[sys.argv[1]]()
END
}}
"""
"""Does to the test's server what Debian's does to the machine's: on the folder that its settings name."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerElsewhere]:
    """A server that was set up as Compose's is, and migrated."""
    made = ServerElsewhere.at(tmp_path / "elsewhere")
    try:
        made.initialise(tmp_path / "secrets")
        asyncio.run(migrate(made.urls.admin))
        yield made
    finally:
        for cluster in (made.cluster, tmp_path / RESTORED):
            replace(made, cluster=cluster).kill()
        shutil.rmtree(made.socket)


def wait_for_words(service: AicdProcess, words: str) -> None:
    """Waits until a service says something it has not said yet."""
    begun = len(service.said())
    wait_until(lambda: words in service.said()[begun:], words, 240)


def shipped(data_dir: Path) -> float:
    record = Record.read(data_dir)
    return 0.0 if record is None else record.wal or 0.0


def allow(server: ServerElsewhere, service: AicdProcess) -> None:
    """Lets the log be received, one thing at a time, as the service says that it has to be."""
    wait_for_words(service, "ALTER ROLE aicd_backup REPLICATION")
    assert "read back" in service.said() or "reading it back" in service.said(), "a backup is made all the same"
    hba = server.cluster / "pg_hba.conf"
    line = hba.read_text().removeprefix(HBA)
    hba.write_text(HBA)
    server.sql("ALTER ROLE aicd_backup REPLICATION; SELECT pg_reload_conf()")
    wait_for_words(service, "add `host replication aicd_backup ADDRESS/MASK scram-sha-256`")
    hba.write_text(HBA + line)
    server.sql("SELECT pg_reload_conf()")
    wait_for_words(service, KEPT)


def type_it(vault: Vault, server: ServerElsewhere, moment: datetime) -> str:
    """Takes the server back as docs/backup.md says, in place; what was said."""
    root = vault.made.root
    settings = root / "postgresql.conf"
    settings.write_text(f"data_directory = '{server.cluster}'\t\t# use data in another directory\n")
    owner = server.cluster.stat()
    environment = vault.made.environment() | vault.settings() | environment_of(root)
    environment |= {"AICD_DATA_DIR": str(root / MACHINE), "AICD_MIGRATION_DATABASE_URL": vault.made.urls.admin}
    standing_in = {
        "/var/lib/postgresql/17": str(root),
        "/etc/postgresql/17/main": str(root),
        "-o postgres -g postgres": f"-o {owner.st_uid} -g {owner.st_gid}",
    }
    here = {"tests": Path(__file__).parent, "settings": settings, "port": server.port, "socket": server.socket}
    reader = Reader(root, environment, standing_in, SYSTEMCTL.format(**here))
    told = reader.run("docs/backup.md", "systemctl stop", put={"2026-11-26T14:29:00Z": moment.isoformat()})
    server.cluster = root / RESTORED
    return told


@pytest.mark.timeout(600)
def test_a_server_elsewhere_is_taken_back_to_a_moment(tmp_path: Path, server: ServerElsewhere):
    with installation(tmp_path, server.urls, with_redis=True) as made:
        own = {"AICD_BACKUP_DATABASE_URL": server.url("aicd_backup", PASSWORDS["backup"])}
        vault = Vault(made, tmp_path / "vault", own)
        server.sql("ALTER ROLE aicd_backup NOREPLICATION")
        service = vault.begin("backup", "run", "--init", "--every", "1h", "--wal-every", "1s")
        allow(server, service)
        asyncio.run(place(made, list(scripted(made.model.url, 3, random.Random(7), ("alpha", "beta")))))
        with psycopg.connect(made.urls.admin) as admin:
            admin.execute("UPDATE jobs SET lease_owner = 'gone', lease_until = now() + interval '1 hour'")
        before = listing(made.urls.admin)
        with psycopg.connect(made.urls.admin) as admin:
            ((moment,),) = admin.execute("SELECT now()").fetchall()
            admin.execute("TRUNCATE jobs CASCADE")
        disaster = time.time()
        wait_until(lambda: shipped(tmp_path / MACHINE) > disaster, "its shipping", 240)
        service.kill()
        server.kill()
        shutil.rmtree(server.cluster)

        laid = tmp_path / "laid"
        told = vault.succeed("restore", "--at", moment.isoformat(), "--into", str(laid))
        assert told["postgres"] == "16"
        server.take_over(laid)
        server.start(wait=False)
        told = vault.succeed("restore", "--finish", AICD_MIGRATION_DATABASE_URL=made.urls.admin)
        assert (told["jobs_freed"], told["rows"]["jobs"]) == (3, 3)
        assert "it comes by itself" in told["left_out"]["redis"]
        assert listing(made.urls.admin) == before
        assert listing(made.urls.app)["jobs"] == set(), "the walls stand, and passwords are what they were"

        with psycopg.connect(made.urls.admin) as admin:
            admin.execute("TRUNCATE jobs CASCADE")
        assert "3 job(s) go on" in type_it(vault, server, moment)
        assert listing(made.urls.admin) == before
        assert "recovery" not in (server.cluster / "postgresql.auto.conf").read_text()
        made.worker(MACHINE, "--concurrency", "2")
        wait_for_open(made, 3)
