"""Charges and meter events that an earlier level made count under this one, and nothing is charged twice."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from aicd_backend.billing.charging import Charger
from aicd_backend.billing.plans import Plans
from aicd_backend.testing.ledgers import LedgerWriter
from aicd_core.contracts import Usage
from aicd_core.migrations import migrate
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.service import require_by_slug
from aicd_core.testing.databases import TestUrls, opened
from aicd_core.usage.billing.models import BillingMode
from test_recorded_data import RECORDED, loaded

BOOKS = (
    b"SELECT meter, count(*), sum(quantity), sum(billable), count(export_id) FROM billing_charges GROUP BY 1",
    b"SELECT meter, state, count(*), sum(quantity) FROM billing_exports GROUP BY 1, 2 ORDER BY 1, 2",
    b"SELECT plan, status, customer, credit_pico_usd FROM billing_accounts",
    b"SELECT kind, subject, reason, made_by FROM billing_adjustments ORDER BY 2",
)
LEDGER = b"SELECT sum(input_tokens + cached_input_tokens + cache_write_tokens + output_tokens) FROM usage_entries"
CHARGED = b"SELECT sum(quantity) FROM billing_charges WHERE kind = 'tokens'"


def read(urls: TestUrls, *queries: bytes) -> list[list[tuple[object, ...]]]:
    with psycopg.connect(urls.admin) as connection:
        return [sorted(connection.execute(query).fetchall()) for query in queries]


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda place: place.name)
def test_books_of_an_earlier_level_go_on(postgres_url: str, tmp_path: Path, recorded: Path) -> None:
    with loaded(postgres_url, tmp_path / "past", recorded) as upgrade:
        urls = upgrade.made.urls
        before = read(urls, *BOOKS)
        assert all(before)
        assert read(urls, LEDGER) == read(urls, CHARGED)
        asyncio.run(migrate(urls.admin))
        assert read(urls, *BOOKS) == before
        tenant = asyncio.run(_charge(urls))
        assert read(urls, *BOOKS) == before  # all was charged before
        usage = Usage(input_tokens=7, output_tokens=3, cost_micro_usd=50)
        LedgerWriter(urls, tenant).use(upgrade.job("Open").id, 99, datetime.now(UTC), "claude-opus-4", usage)
        asyncio.run(_charge(urls))
        assert read(urls, *BOOKS) != before
        assert read(urls, LEDGER) == read(urls, CHARGED)


async def _charge(urls: TestUrls) -> Tenant:
    """Charges the organization for all that it has not been charged for."""
    async with opened(urls) as (database, system):
        async with system.read() as session:
            tenant = await require_by_slug(session, "local")
        await Charger(database, Plans.load(None), BillingMode.TEST).charge(
            tenant, datetime.now(UTC) + timedelta(seconds=2)
        )
    return tenant
