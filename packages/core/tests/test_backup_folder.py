"""A data folder that is laid for a server of the operator's own."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aicd_core.backups.log.folder import Folder
from aicd_core.errors import AicdError

WHEN = datetime(2026, 11, 26, 14, 29, tzinfo=UTC)


def copied(root: Path) -> tuple[Path, Path]:
    """A copy of a cluster, and the log from then on."""
    base, log = root / "base", root / "wal"
    (base / "pg_wal").mkdir(parents=True)
    log.mkdir()
    (base / "PG_VERSION").write_text("17\n")
    (base / "postgresql.auto.conf").write_text("work_mem = '64MB'\n")
    (base / "pg_wal" / "1").write_text("as far as the copy needs it")
    (log / "1").write_text("whole")
    (log / "2.partial").write_text("as far as it goes")
    return base, log


def test_a_folder_is_filled_whole_or_not_at_all(tmp_path: Path):
    place = tmp_path / "laid"
    with suppress(ZeroDivisionError), Folder(place).open() as folder:
        copied(folder.staging)
        raise ZeroDivisionError
    assert list(place.iterdir()) == []
    if os.geteuid() == 0:
        os.chown(place, 12345, 12346)
    with Folder(place).open() as folder:
        folder.fill(*copied(folder.staging), WHEN)
    found = {path.name: path.read_text() for path in place.rglob("*") if path.is_file()}
    assert (found["1"], found["2"], found["PG_VERSION"], found["recovery.signal"]) == (
        *("whole", "as far as it goes"),
        *("17\n", ""),
    )
    assert found["postgresql.auto.conf"].splitlines() == [
        "work_mem = '64MB'",
        "restore_command = 'false'",
        "recovery_target_action = 'promote'",
        "hot_standby = 'off'",
        "recovery_target_time = '2026-11-26T14:29:00+00:00'",
    ]
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (place, *place.rglob("*"))}
    assert owners == {(place.stat().st_uid, place.stat().st_gid)}
    assert place.stat().st_mode & 0o777 == 0o700, "Postgres refuses any other"


def test_a_folder_with_something_in_it_stays_as_it_is(tmp_path: Path):
    (tmp_path / "PG_VERSION").write_text("17\n")
    for place, code in ((tmp_path, "folder_not_empty"), (tmp_path / "PG_VERSION", "no_folder")):
        with pytest.raises(AicdError) as caught, Folder(place).open():
            pass
        assert caught.value.code == code
    assert [path.name for path in tmp_path.iterdir()] == ["PG_VERSION"]
