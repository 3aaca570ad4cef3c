"""Backups restore: a busy installation is destroyed and goes on, and what cannot be trusted is refused."""

import asyncio
import random
import shutil
from pathlib import Path

import psycopg
import pytest

from aicd_core.testing.chaos.verdict import Payment, breaches
from aicd_core.testing.chaos.work import place, scripted
from backup_world import MACHINE, OneMachine, Vault, destroy, listing, one_machine, opened, wait_for_open

JOBS = 8
HELD = 30
"""From this call on the model answers nobody until the backup is made: of 44, so some jobs are at work then."""


def begin(made: OneMachine) -> None:
    """Two workers on the machine."""
    for _ in range(2):
        made.worker(MACHINE, "--concurrency", "2", "--drain-timeout", "30")


def flip(repository: Path) -> None:
    """Flips bytes in the middle of every pack of a restic repository."""
    for pack in (repository / "data").glob("*/*"):
        raw = bytearray(pack.read_bytes())
        middle = len(raw) // 2
        raw[middle : middle + 8] = bytes(byte ^ 0xFF for byte in raw[middle : middle + 8])
        pack.chmod(0o600)
        pack.write_bytes(raw)


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

        shutil.copytree(vault.repository, tmp_path / "damaged")
        flip(tmp_path / "damaged")
        code, told, said = vault.aicd("restore", machine="other", AICD_BACKUP_REPOSITORY=str(tmp_path / "damaged"))
        assert (code, told["code"]) == (1, "backup_damaged"), said
        assert not (tmp_path / "other" / "postgres").exists()

        restored = vault.succeed("restore")
        assert restored["rows"] == taken["rows"]
        made.postgres.start()
        found = listing(made.urls.admin)
        assert {name: len(rows) for name, rows in found.items()} == {name: taken["rows"][name] for name in found}
        assert all(before[name] <= found[name] for name in found)
        again = after - opened(made)
        assert again, "what was opened after the backup is not open in it"
        with psycopg.connect(made.urls.admin) as connection:
            assert connection.execute("SELECT count(*) FROM jobs WHERE lease_owner IS NOT NULL").fetchone() == (0,)

        assert made.redis is not None
        made.redis.start()
        begin(made)
        wait_for_open(made, JOBS)
        lost = paid - len(found["model_calls"])
        assert list(breaches(made, at_risk=lost)) == []
        assert Payment.of(made).most <= 2
