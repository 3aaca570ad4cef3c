"""Two organizations, made once, and copied for each test; and a provider to log in at."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aicd_backend.settings import BackendSettings
from aicd_backend.testing.desk import Desk, opened_desk
from aicd_backend.testing.providers import Account, serving_oidc
from aicd_backend.testing.shop import Shop, open_shop
from aicd_backend.testing.world import BASE, OpenWorld, Org, World, enter_world, make_organizations, settings_under_test
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.testing.databases import TestUrls, fresh_urls, opened

ACCOUNTS: dict[str, Account] = {
    "alice": {"email": "alice@example.org", "email_verified": True, "name": "Alice"},
    "bob": {"email": "bob@example.org", "email_verified": True, "name": "Bob"},
    "mallory": {"email": "mallory@example.org", "email_verified": False, "name": "Mallory"},
    "nobody": {"name": "Without an address"},
}


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
def world_with(world_urls: TestUrls, founded: tuple[str, tuple[Org, Org]]) -> OpenWorld:
    """Opens both organizations on a server with other settings."""

    @asynccontextmanager
    async def open_one(settings: BackendSettings) -> AsyncIterator[World]:
        async with (
            opened(world_urls) as (database, system),
            enter_world(database, system, *founded[1], settings) as entered,
        ):
            yield entered

    return open_one


@pytest.fixture
async def desk(database_urls: TestUrls, database: Database, system: SystemDatabase) -> AsyncIterator[Desk]:
    async with opened_desk(database_urls, database, system) as opened:
        yield opened


@pytest.fixture
async def shop(world_with: OpenWorld, world_urls: TestUrls) -> AsyncIterator[Shop]:
    """Billing at work in such a server, and Stripe's stand-in."""
    async with open_shop(world_with, world_urls) as made:
        yield made


@pytest.fixture
async def world(world_with: OpenWorld) -> AsyncIterator[World]:
    """Both organizations on a server of the test's own."""
    async with world_with(settings_under_test()) as entered:
        yield entered


@pytest.fixture(scope="session")
def oidc_issuer() -> Iterator[str]:
    """The certified provider, in a process of its own; its issuer."""
    callbacks = [f"{BASE}/v1/auth/{name}/callback" for name in ("acme", "other")]
    with serving_oidc(Path(__file__).parents[3], ACCOUNTS, callbacks) as issuer:
        yield issuer
