import os
from pathlib import Path

import pytest

from aicd_github.caches import RepositoryCache


@pytest.fixture
def cache(tmp_path: Path) -> RepositoryCache:
    return RepositoryCache(tmp_path / "org" / "repository", None)


def folders(tmp_path: Path, kind: str) -> list[Path]:
    return list((tmp_path / "org" / "repository").glob(f"{kind}-*"))


async def fill(cache: RepositoryCache, text: str) -> None:
    async with cache.private() as private:
        (private.folder / "package").write_text(text)
        await cache.keep(private)


async def test_there_is_nothing_to_share_at_first(cache: RepositoryCache) -> None:
    async with cache.shared() as shared:
        assert shared is None


async def test_a_copy_is_changed_and_the_shared_version_is_not_until_it_is_kept(cache: RepositoryCache) -> None:
    await fill(cache, "one")
    async with cache.shared() as shared, cache.private() as private:
        assert shared is not None
        assert (private.folder / "package").read_text() == "one"
        (private.folder / "package").write_text("two")
        assert (shared.folder / "package").read_text() == "one"
        await cache.keep(private)
        assert (shared.folder / "package").read_text() == "one"
        async with cache.shared() as newer:
            assert newer is not None
            assert (newer.folder / "package").read_text() == "two"


async def test_a_version_stays_while_it_is_used_and_goes_afterwards(cache: RepositoryCache, tmp_path: Path) -> None:
    await fill(cache, "one")
    async with cache.shared() as shared:
        await fill(cache, "two")
        assert shared is not None
        assert shared.folder.exists()
        assert len(folders(tmp_path, "version")) == 2
    await fill(cache, "three")
    assert len(folders(tmp_path, "version")) == 1


async def test_private_copies_go_and_so_does_what_a_killed_worker_left(cache: RepositoryCache, tmp_path: Path) -> None:
    await fill(cache, "one")
    assert folders(tmp_path, "private") == []
    (tmp_path / "org/repository/private-left").mkdir()
    await fill(cache, "two")
    assert folders(tmp_path, "private") == []


async def test_links_in_a_cache_are_copied_as_links(cache: RepositoryCache, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("untouched")
    async with cache.private() as private:
        (private.folder / "out").symlink_to(precious)
        await cache.keep(private)
    async with cache.private() as private:
        assert (private.folder / "out").is_symlink()
    await fill(cache, "next")
    assert (precious / "file").read_text() == "untouched"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_the_copies_belong_to_the_sandboxes_user(tmp_path: Path) -> None:
    cache = RepositoryCache(tmp_path / "org" / "repository", (4242, 4343))
    async with cache.private() as private:
        status = private.folder.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (4242, 4343, 0o700)
