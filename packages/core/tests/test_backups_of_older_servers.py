"""A backup is laid into a server of one's own that is older than the programs which come along, as Debian 12's is,
and by a role that is no superuser.
"""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy.engine import make_url

from aicd_core.backups.checking import finish, load
from aicd_core.backups.programs import postgres_call, run_postgres
from aicd_core.backups.repository import connected, read_facts
from aicd_core.backups.values import Manifest
from aicd_core.db import embedded
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.errors import UnavailableError
from aicd_core.migrations import migrate

OLDER = sorted(Path("/usr/lib/postgresql").glob("1[56]/bin"))


@pytest.mark.skipif(not OLDER, reason="this machine has no Postgres 15 or 16 (apt-get install postgresql)")
async def test_it_is_restored_whole_and_other_faults_still_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = tmp_path / "dump"
    newer = EmbeddedPostgres(tmp_path / "newer", durable=False)
    older = EmbeddedPostgres(tmp_path / "older", durable=False)
    try:
        url = await asyncio.to_thread(newer.start)
        await migrate(url)
        await run_postgres(postgres_call("pg_dump", url, "--format=custom", f"--file={dump}"), "no dump")
        async with connected(url) as connection:
            manifest = cast("Manifest", SimpleNamespace(tables=(await read_facts(connection)).tables))
        with monkeypatch.context() as patched:
            patched.setattr(embedded, "binaries_dir", lambda: OLDER[0])
            top = await asyncio.to_thread(older.start)
        async with connected(top) as connection:
            await connection.execute("CREATE ROLE restorer LOGIN CREATEDB CREATEROLE")
            await connection.execute("CREATE DATABASE restored OWNER restorer")
        target = make_url(top).set(username="restorer", database="restored").render_as_string(hide_password=False)
        await load(target, dump, manifest)
        await finish(target, dump)
        async with connected(target) as connection:
            assert connection.info.server_version < 170_000
            walls = await connection.execute("SELECT count(*) FROM pg_policies")
            assert (await walls.fetchone() or (0,))[0] > 0
        with pytest.raises(UnavailableError, match="already exists"):
            await finish(target, dump)
    finally:
        await asyncio.to_thread(older.stop)
        await asyncio.to_thread(newer.stop)
