"""Fixtures for the tests of every member."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from aicd_core.db.database import Database
from aicd_core.tenancy import Tenant
from aicd_core.tenancy import repository as tenants
from aicd_core.testing.databases import fresh_database, test_server

hypothesis.settings.register_profile("house", deadline=None)
"""No test asserts a time: two cores may be busy with anything."""
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Postgres of this test process's own."""
    root: Path = tmp_path_factory.mktemp("postgres") / "server"
    with test_server(root) as url:
        yield url


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """A fresh, migrated database."""
    async with fresh_database(postgres_url) as fresh:
        yield fresh


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    """An organization in that database."""
    async with database.transaction() as session:
        return await tenants.ensure_organization(session, "acme")
