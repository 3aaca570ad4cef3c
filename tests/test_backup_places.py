"""Where backups may be kept: a folder, a machine over ssh, and an object store, all as restic reaches them.

The store is rclone's server, which speaks S3's protocol; Amazon's own was never asked.
"""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aicd_core.backups.restic import PATIENCE, Restic
from aicd_core.backups.values import Retention
from aicd_core.errors import AicdError
from aicd_core.testing.chaos.installation import wait_until
from aicd_core.testing.redis import free_port
from debian_programs import debian_program
from ssh_server import ssh_server

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
RCLONE = Path(sys.executable).with_name("rclone")


@dataclass(frozen=True)
class Place:
    """A place for backups, as restic names it, one like it that answers and has none, and one that does not."""

    repository: str
    elsewhere: str
    away: str


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(debian_program("restic").path).parent), prepend=os.pathsep)


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    (tmp_path / "file").touch()
    return Place(f"{tmp_path}/vault", f"{tmp_path}/other", f"{tmp_path}/file/vault")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Reached by a `ssh` that knows the key, as ~/.ssh/config of whoever makes backups says."""
    client = debian_program("ssh")
    with ssh_server(tmp_path) as server:
        (tmp_path / "known").write_text(f"box.example {server.known}\n")
        (tmp_path / "config").write_text(
            f"Host box.example\n  HostName 127.0.0.1\n  Port {server.port}\n  IdentityFile {server.key}\n"
            f"Host away.example\n  HostName 127.0.0.1\n  Port {free_port()}\n"
            f"Host *\n  HostKeyAlias box.example\n  UserKnownHostsFile {tmp_path}/known\n"
        )
        (tmp_path / "bin").mkdir()
        library = client.environment.get("LD_LIBRARY_PATH", "")
        script = f'#!/bin/sh\nLD_LIBRARY_PATH={library} exec {client.path} -F {tmp_path}/config "$@"\n'
        (tmp_path / "bin/ssh").write_text(script)
        (tmp_path / "bin/ssh").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
        yield Place(
            *(
                f"sftp:{host}.example:{tmp_path}/{name}"
                for host, name in (("box", "vault"), ("box", "other"), ("away", "vault"))
            )
        )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    port, nobody = free_port(), free_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "backups")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-this-test")
    (tmp_path / "objects").mkdir()
    words = ["serve", "s3", tmp_path / "objects", "--addr", f"127.0.0.1:{port}", "--auth-key", "backups,of-this-test"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([RCLONE, *words, "--config", tmp_path / "none"], stdout=log, stderr=log)
    try:
        wait_until(lambda: "Starting s3 server" in (tmp_path / "log").read_text(), "the store", 60)
        yield Place(
            *(f"s3:http://127.0.0.1:{one}" for one in (f"{port}/vault/aicd", f"{port}/other", f"{nobody}/vault"))
        )
    finally:
        server.terminate()
        server.wait()


def refused(restic: Restic) -> AicdError:
    """Why its list cannot be had."""
    with pytest.raises(AicdError) as caught:
        asyncio.run(restic.snapshots("test"))
    return caught.value


@pytest.mark.parametrize("kind", ["machine", "store"])
def test_what_is_stored_there_comes_back(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    place: Place = request.getfixturevalue(kind)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/dump").write_bytes(os.urandom(1_000_000))
    restic = Restic(place.repository, "a-password-of-this-test", tmp_path / "cache")

    async def keep() -> str:
        assert await restic.init() is True
        assert await restic.init() is False
        first = await restic.store(tmp_path / "data", ("dump",), ("test",), AT)
        again = await restic.store(tmp_path / "data", ("dump",), ("test",), AT + timedelta(days=1))
        assert first.added > 1_000_000 > 10 * again.added
        await restic.check()
        assert [one.short_id for one in await restic.snapshots("test")] == [first.id, again.id]
        await restic.forget(("test",), Retention(1, 0, 0))
        (left,) = await restic.snapshots("test")
        await restic.fetch(left.short_id, tmp_path / "back")
        return left.short_id

    async def crowd(count: int) -> None:
        """Some store, and some let go of what was stored, all at once."""
        stored = [restic.store(tmp_path / "data", ("dump",), ("crowd",), AT) for _ in range(count)]
        await asyncio.gather(*stored, *(restic.forget(("crowd",), Retention(1, 0, 0)) for _ in range(count)))
        assert len(await restic.snapshots("test")) == 1

    assert asyncio.run(keep())
    asyncio.run(crowd(2))
    assert (tmp_path / "back/dump").read_bytes() == (tmp_path / "data/dump").read_bytes()
    assert refused(Restic(place.repository, "another", tmp_path / "cache")).code == "wrong_backup_password"


@asynccontextmanager
async def at_work(restic: Restic, folder: Path) -> AsyncIterator[tuple[asyncio.Task[None], str]]:
    """A run of restic that waits, with its lock, for a reader of what it fetches; and what that is."""
    (folder / "dump").write_bytes(os.urandom(1_000_000))
    await restic.init()
    stored = await restic.store(folder, ("dump",), ("test",), AT)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as pipe:
        fetching = asyncio.create_task(restic.fetch_file(stored.id, "dump", pipe))
        while not select.select([reading], [], [], 0)[0]:
            assert not fetching.done()
            await asyncio.sleep(0.1)
        try:
            yield fetching, stored.id
        finally:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)


def child_that_fetches() -> int:
    """The process of `at_work` among those that this one has."""
    children = [Path("/proc", one) for task in Path("/proc/self/task").iterdir() for one in children_of(task)]
    (found,) = [one for one in children if b"dump" in (one / "cmdline").read_bytes().split(b"\0")]
    return int(found.name)


def children_of(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def test_one_that_is_cancelled_leaves_no_lock(tmp_path: Path, folder: Place) -> None:
    restic, locks = Restic(folder.repository, "a-password-of-this-test", tmp_path / "cache"), tmp_path / "vault/locks"

    async def work() -> None:
        async with at_work(restic, tmp_path):
            assert list(locks.iterdir()) != []
        assert list(locks.iterdir()) == []
        listing = asyncio.create_task(restic.snapshots("test"))
        while not [one for one in locks.iterdir() if "-tmp-" not in one.name]:
            assert not listing.done()
            await asyncio.sleep(0.001)
        listing.cancel()  # before restic knows that it has a lock
        with pytest.raises(asyncio.CancelledError):
            await listing
        assert list(locks.iterdir()) == []

    asyncio.run(work())


def test_the_lock_of_one_that_was_killed_keeps_nobody_out(tmp_path: Path, folder: Place) -> None:
    restic, locks = Restic(folder.repository, "a-password-of-this-test", tmp_path / "cache"), tmp_path / "vault/locks"

    async def work() -> None:
        async with at_work(restic, tmp_path) as (fetching, _):
            os.kill(child_that_fetches(), signal.SIGKILL)
            with pytest.raises(AicdError):
                await fetching
        assert list(locks.iterdir()) != []
        await restic.forget(("test",), Retention(1, 0, 0))
        assert list(locks.iterdir()) == []

    asyncio.run(work())


def test_dropping_is_for_another_time_while_others_are_at_work(tmp_path: Path, folder: Place) -> None:
    restic = Restic(folder.repository, "a-password-of-this-test", tmp_path / "cache")

    async def work() -> None:
        async with at_work(restic, tmp_path) as (fetching, stored):
            async with asyncio.timeout(PATIENCE / 2):
                await restic.drop([stored])
            assert not fetching.done()
            assert [one.short_id for one in await restic.snapshots("test")] == [stored]
        await restic.drop([stored])
        assert await restic.snapshots("test") == []

    asyncio.run(work())


@pytest.mark.parametrize("kind", ["folder", "machine", "store"])
def test_a_place_without_backups_is_not_one_that_cannot_be_reached(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place: Place = request.getfixturevalue(kind)
    assert refused(Restic(place.elsewhere, "a-password-of-this-test", tmp_path / "cache")).code == "no_repository"
    away = refused(Restic(place.away, "a-password-of-this-test", tmp_path / "cache"))
    assert away.code == "backup_unavailable", away
    if kind == "store":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-wrong-one")
        stranger = refused(Restic(place.repository, "a-password-of-this-test", tmp_path / "cache"))
        assert stranger.code == "backup_unavailable"
        assert "signature" in str(stranger)
        assert "the-wrong-one" not in str(stranger)
