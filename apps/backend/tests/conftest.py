"""Two organizations, made once, and copied for each test."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from aicd_backend.testing.world import Org, World, enter_world, make_organizations
from aicd_core.testing.databases import TestUrls, fresh_urls, opened


@pytest.fixture(scope="session")
def founded(postgres_url: str) -> Iterator[tuple[str, tuple[Org, Org]]]:
    """The name of a database with both organizations in it, and who they are."""

    async def make(urls: TestUrls) -> tuple[Org, Org]:
        async with opened(urls) as (database, system):
            return await make_organizations(database, system)

    with fresh_urls(postgres_url) as urls:
        yield urls.admin.rpartition("/")[2].partition("?")[0], asyncio.run(make(urls))


@pytest.fixture
def world_urls(postgres_url: str, founded: tuple[str, tuple[Org, Org]]) -> Iterator[TestUrls]:
    """A copy of that database of the test's own."""
    with fresh_urls(postgres_url, founded[0]) as urls:
        yield urls


@pytest.fixture
async def world(world_urls: TestUrls, founded: tuple[str, tuple[Org, Org]]) -> AsyncIterator[World]:
    """Both organizations on a server of the test's own."""
    async with opened(world_urls) as (database, system), enter_world(database, system, *founded[1]) as entered:
        yield entered
