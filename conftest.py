"""Fixtures for the tests of every member."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.service import ensure_organization
from aicd_core.testing.databases import TestUrls, fresh_urls, opened, test_server

hypothesis.settings.register_profile("house", deadline=None)
"""No test asserts a time: two cores may be busy with anything."""
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Postgres of this test process's own; the superuser's URL."""
    root: Path = tmp_path_factory.mktemp("postgres") / "server"
    with test_server(root) as url:
        yield url


@pytest.fixture
def database_urls(postgres_url: str) -> Iterator[TestUrls]:
    """A fresh, migrated database, as each role."""
    with fresh_urls(postgres_url) as urls:
        yield urls


@pytest.fixture
async def databases(database_urls: TestUrls) -> AsyncIterator[tuple[Database, SystemDatabase]]:
    async with opened(database_urls) as pair:
        yield pair


@pytest.fixture
def database(databases: tuple[Database, SystemDatabase]) -> Database:
    """The fresh database, as the application's role."""
    return databases[0]


@pytest.fixture
def system(databases: tuple[Database, SystemDatabase]) -> SystemDatabase:
    """The fresh database, as the system role."""
    return databases[1]


@pytest.fixture
async def tenant(system: SystemDatabase) -> Tenant:
    """An organization in that database."""
    async with system.write() as session:
        return await ensure_organization(session, "acme")


@pytest.fixture
async def rival(system: SystemDatabase) -> Tenant:
    """Another organization in the same database."""
    async with system.write() as session:
        return await ensure_organization(session, "rival")
