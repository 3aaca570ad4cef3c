"""Backups restore: a busy installation is destroyed and goes on, and what cannot be trusted is refused."""

import asyncio
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.telemetry.backups import Record
from aicd_core.testing.chaos.installation import AicdProcess, installation, wait_until
from aicd_core.testing.chaos.verdict import Payment, breaches
from aicd_core.testing.chaos.work import place, scripted
from backup_world import MACHINE, OneMachine, Vault, destroy, listing, one_machine, opened, wait_for_open

JOBS = 8
HELD = 30
"""From this call on the model answers nobody until the backup is made: of 44, so some jobs are at work then."""

READER = "CREATE ROLE aicd_backup LOGIN BYPASSRLS IN ROLE pg_read_all_data"
LATE = "SELECT count(*) FROM organizations WHERE name = 'Late'"


def begin(made: OneMachine) -> None:
    """Two workers on the machine."""
    for _ in range(2):
        made.worker(MACHINE, "--concurrency", "2", "--drain-timeout", "30")


def ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Runs one statement; its rows, if it has any."""
    with psycopg.connect(url) as connection:
        found = connection.execute(statement.encode())
        return found.fetchall() if found.description else []


def shipped(data_dir: Path) -> float:
    """Up to when the log is in the repository."""
    record = Record.read(data_dir)
    return 0.0 if record is None else record.wal or 0.0


def lose_files_and_fetch_them(made: OneMachine, vault: Vault) -> None:
    """Loses what lies beside the database, and takes it from the backup as docs/recovery.md says."""
    machine, elsewhere = made.root / MACHINE, made.root / "elsewhere"
    key = (machine / "signing-keys.json").read_bytes()
    shutil.rmtree(machine / "pulls")
    (machine / "signing-keys.json").unlink()
    vault.succeed("restore", machine="elsewhere")
    shutil.copytree(elsewhere / "pulls", machine / "pulls")
    shutil.copy2(elsewhere / "signing-keys.json", machine)
    assert (machine / "signing-keys.json").read_bytes() == key, "what was signed still verifies"
    assert list((machine / "pulls").rglob("*.json")) != []


def flip(repository: Path) -> None:
    """Flips bytes all over every pack of a restic repository, so that each piece in it has some."""
    for pack in (repository / "data").glob("*/*"):
        raw = bytearray(pack.read_bytes())
        raw[::32] = bytes(byte ^ 0xFF for byte in raw[::32])
        pack.chmod(0o600)
        pack.write_bytes(raw)


def a_backup_without_redis(vault: Vault, before: Record | None) -> None:
    """While Redis is away, a backup is made all the same, and says what it lacks."""
    less = vault.succeed("backup", "run")
    assert (less["stores"], less["gaps"]) == (["postgres"], ["redis"])
    assert "Redis did not answer" in less["reasons"]["redis"]
    listed = vault.succeed("backup", "list")["backups"]
    assert [one["stores"] for one in listed[-2:]] == [["postgres", "redis"], ["postgres"]]
    record = Record.read(vault.made.root / MACHINE)
    assert before is not None
    assert record is not None
    assert record.stores == before.stores
    assert record.last_success > record.stores["redis"] > 0, "that of the backup before"


@pytest.mark.timeout(600)
def test_a_busy_installation_that_was_destroyed_goes_on_from_its_backup(tmp_path: Path):
    with one_machine(tmp_path, delay=0.3) as made:
        vault = Vault(made, tmp_path / "vault")
        asyncio.run(place(made, list(scripted(made.model.url, JOBS, random.Random(7), ("alpha", "beta")))))
        made.model.hold_from(HELD)
        begin(made)
        wait_for_open(made, 1)
        before = listing(made.urls.admin)
        taken = vault.succeed("backup", "run", "--init")
        made.model.release()
        wait_for_open(made, len(opened(made)) + 2)
        after = opened(made)
        destroy(made)
        paid = len(made.model.calls())

        code, told, said = vault.aicd("backup", "list", AICD_BACKUP_PASSWORD="a thief's guess")
        assert (code, told["code"]) == (2, "wrong_backup_password"), said
        shutil.copytree(vault.repository, tmp_path / "damaged")
        flip(tmp_path / "damaged")
        code, told, said = vault.aicd("restore", machine="other", AICD_BACKUP_REPOSITORY=str(tmp_path / "damaged"))
        assert (code, told["code"]) == (1, "backup_damaged"), said
        assert not (tmp_path / "other" / "postgres").exists()

        restored = vault.succeed("restore")
        assert restored["rows"] == taken["rows"]
        assert "it comes by itself" in restored["left_out"]["redis"], "and it was not asked: it is away"
        made.postgres.start()
        found = listing(made.urls.admin)
        assert {name: len(rows) for name, rows in found.items()} == {name: taken["rows"][name] for name in found}
        assert all(before[name] <= found[name] for name in found)
        again = after - opened(made)
        assert again, "what was opened after the backup is not open in it"
        assert ask(made.urls.admin, "SELECT count(*) FROM jobs WHERE lease_owner IS NOT NULL") == [(0,)]

        assert made.redis is not None
        made.redis.start()
        assert taken["counted"]["redis"]["entries"] > 0
        back = vault.succeed("restore", taken["id"], "--only", "redis")
        assert back["put_back"] == taken["counted"]
        begin(made)
        wait_for_open(made, JOBS)
        lost = paid - len(found["model_calls"])
        assert list(breaches(made, at_risk=lost)) == []
        assert Payment.of(made).most <= 2
        lose_files_and_fetch_them(made, vault)


@pytest.mark.timeout(600)
def test_any_one_store_may_be_lost_alone(tmp_path: Path):
    with installation(tmp_path, with_redis=True, delay=0.2) as made:
        assert made.redis is not None
        reader = made.urls.admin.replace("postgres@", "aicd_backup@")
        ask(made.urls.admin, READER)
        urls = {"AICD_BACKUP_DATABASE_URL": reader, "AICD_MIGRATION_DATABASE_URL": made.urls.admin}
        vault = Vault(made, tmp_path / "vault", urls)
        asyncio.run(place(made, list(scripted(made.model.url, JOBS, random.Random(7), ("alpha", "beta")))))
        made.model.hold_from(HELD)
        worker = made.worker(MACHINE, "--concurrency", "3")
        wait_for_open(made, 1)
        code, told, said = vault.aicd("backup", "run", "--init", AICD_BACKUP_DATABASE_URL=made.urls.app)
        assert (code, told["code"]) == (2, "backup_role"), said
        taken = vault.succeed("backup", "run")
        code, told, said = vault.aicd("restore")
        assert (code, told["code"]) == (1, "database_in_use"), said

        made.redis.kill()
        a_backup_without_redis(vault, Record.read(tmp_path / MACHINE))
        shutil.rmtree(made.redis.root)
        made.redis.start()
        made.model.release()
        wait_for_open(made, len(opened(made)) + 1)

        worker.kill()
        for folder in ("mirrors", "jobs", "caches"):
            shutil.rmtree(tmp_path / MACHINE / folder, ignore_errors=True)
        worker = made.worker(MACHINE, "--concurrency", "3")
        wait_for_open(made, len(opened(made)) + 1)

        worker.kill()
        code, told, said = vault.aicd("restore")
        assert (code, told["code"]) == (1, "database_not_empty"), said
        ask(made.urls.admin, f"COMMENT ON SCHEMA public IS 'aicd installation {uuid4()}'")
        for words in (("--replace", "postgres"), ("--only", "redis")):
            code, told, said = vault.aicd("restore", taken["id"], *words)
            assert (code, told["code"]) == (1, "foreign_backup"), said
        paid = len(made.model.calls())
        made.postgres.stop()
        shutil.rmtree(tmp_path / "postgres")
        made.postgres.start()
        restored = vault.succeed("restore")
        assert (restored["rows"], restored["installation"]) == (taken["rows"], taken["installation"])
        assert ask(made.urls.app, "SELECT count(*) FROM jobs") == [(0,)], "the walls stand"
        kept = len(listing(made.urls.admin)["model_calls"])
        made.worker(MACHINE, "--concurrency", "3")
        wait_for_open(made, JOBS)
        assert list(breaches(made, at_risk=paid - kept)) == []
        ask(made.urls.admin, READER)  # which is the new server's own affair
        shutil.rmtree(vault.repository)
        code, told, said = vault.aicd("backup", "run")
        assert (code, told["code"]) == (2, "no_repository"), said
        beside = vault.begin("backup", "run", "--init")
        code, taken, said = vault.aicd("backup", "run", "--init")
        assert (code, beside.end(240)) == (0, 0), f"{said}{beside.said()}"
        assert "waiting for another" in said + beside.said(), "each has its turn"
        assert taken["rows"]["jobs"] == JOBS
        assert vault.succeed("backup", "verify")["rows"] == taken["rows"]


def keep_log(vault: Vault) -> AicdProcess:
    """The service, once it has made a backup and shipped the log."""
    service = vault.begin("backup", "run", "--init", "--every", "1h", "--wal-every", "1s")
    wait_until(lambda: "the log is kept until now" in service.said(), "the log", 240)
    return service


def receiving(data_dir: Path) -> Path:
    """The file of the log that is not whole yet."""
    (found,) = data_dir.rglob("wal/*.partial")
    return found


@pytest.mark.timeout(600)
def test_the_embedded_database_is_restored_to_any_moment_of_its_log(tmp_path: Path):
    with one_machine(tmp_path, delay=0.1) as made:
        vault = Vault(made, tmp_path / "vault")
        made.settings["AICD_LOG_FORMAT"] = "json"
        given_up = keep_log(Vault(made, tmp_path / "given up"))
        given_up.signal(signal.SIGTERM)
        given_up.end(240)
        killed = keep_log(vault)
        killed.kill()
        os.truncate(receiving(tmp_path / MACHINE), 5000)  # as by one that is killed while it lays the file
        service = keep_log(vault)
        said = given_up.said() + service.said()
        assert all(json.loads(line)["logger"] for line in said.splitlines()), "as all that stays writes it"
        assert "segment is not complete" in said, "what pg_receivewal says is said"
        asyncio.run(place(made, list(scripted(made.model.url, 4, random.Random(7), ("alpha", "beta")))))
        made.model.hold_from(20)
        begin(made)
        wait_for_open(made, 1)
        moment = ask(made.urls.admin, "SELECT now()")[0][0]
        ask(made.urls.admin, "UPDATE organizations SET name = 'Late' WHERE slug = 'alpha'")
        before, told = listing(made.urls.admin), time.time()
        wait_until(lambda: shipped(tmp_path / MACHINE) > told, "its shipping", 240)
        destroy(made)
        paid = len(made.model.calls())

        code, said, _ = vault.aicd("restore", "--at", "2999-01-01T00:00:00Z")
        assert (code, said["code"]) == (1, "not_in_log")
        vault.succeed("restore", "--at", moment.isoformat(), machine="other")
        other = EmbeddedPostgres(tmp_path / "other" / "postgres")
        try:
            assert ask(other.start(), LATE) == [(0,)]
        finally:
            other.stop()
        vault.succeed("restore", "--at", "latest")
        made.postgres.start()
        found = listing(made.urls.admin)
        assert all(before[name] <= found[name] for name in found)
        assert ask(made.urls.admin, LATE) == [(1,)]

        assert made.redis is not None
        made.redis.start()
        made.model.release()
        begin(made)
        wait_for_open(made, 4)
        assert list(breaches(made, at_risk=paid - len(found["model_calls"]))) == []
