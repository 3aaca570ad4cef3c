"""The service of backups and its figures: a log that is kept is told of, one that is not kept is not."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from aicd_cli.backing import Rhythm, keep_backing_up, open_repository
from aicd_core.settings import Settings
from aicd_core.telemetry.backups import BackupFigures, Record

NOT_DUE, NOBODY = 1e9, "postgresql://aicd_backup@127.0.0.1:1/aicd"
"""A day that does not come within the test; a server that nobody has."""


@pytest.mark.parametrize(
    ("wal_every", "before", "told"),
    [(None, 5.0, None), (None, None, None), (60.0, None, 0.0), (60.0, 5.0, 5.0)],
    ids=["no longer kept", "not kept", "never shipped", "late"],
)
async def test_how_far_the_log_reaches_is_told_where_it_is_kept(
    tmp_path: Path, wal_every: float | None, before: float | None, told: float | None
):
    (tmp_path / "backup").mkdir()
    Record(time.time(), 1.0, 2, before).write(tmp_path)
    settings = Settings(
        data_dir=tmp_path,
        backup_repository=str(tmp_path / "repository"),
        backup_password=SecretStr("of the test"),
        backup_database_url=NOBODY,
    )
    service = asyncio.create_task(
        keep_backing_up(settings, open_repository(settings), Rhythm(NOT_DUE, wal_every, deep=False))
    )
    try:
        while (record := Record.read(tmp_path)) is None or record.wal != told:
            await asyncio.sleep(0.02)
    finally:
        service.cancel()
        with suppress(asyncio.CancelledError):
            await service
    figures = {family.name: family.samples[0].value for family in BackupFigures(tmp_path).collect()}
    assert figures.get("aicd_backup_wal_timestamp_seconds") == told
