"""The exporter is killed again and again while Stripe fails, too; what Stripe has counted in the end is the ledger."""

import asyncio
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import psycopg

from aicd_backend.billing.charging import Charger
from aicd_backend.billing.plans import Plans, TokenKind, token_meter
from aicd_backend.testing.ledgers import LedgerWriter
from aicd_backend.testing.stripe.books import Books, Fault
from aicd_backend.testing.stripe.server import StandIn, serving_stripe
from aicd_backend.testing.stripe.usage import METER
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.service import ensure_organization
from aicd_core.testing.databases import TestUrls
from aicd_core.usage.billing.models import BillingMode

AICD = Path(__file__).parents[3] / ".venv" / "bin" / "aicd"
PLANS = Plans.load()
ORGANIZATIONS, JOBS, ENTRIES = 4, 25, 100
KILLS = 6
PATIENCE = 240.0
MODELS = ("claude-opus-4-6", "gpt-6-mini", "")
OPEN = """
    SELECT (SELECT count(*) FROM billing_exports WHERE state = 'pending'),
        (SELECT count(*) FROM billing_charges WHERE export_id IS NULL),
        (SELECT count(*) FROM usage_entries e
            WHERE NOT EXISTS (SELECT FROM billing_charges c WHERE c.subject = e.id || '/input'))
"""
DEAD = "SELECT code, reason FROM billing_exports WHERE state = 'dead'"
BY_MODEL = """
    SELECT e.org_id, coalesce(c.model, ''), sum(input_tokens), sum(cached_input_tokens), sum(cache_write_tokens),
        sum(output_tokens)
    FROM usage_entries e
    LEFT JOIN model_calls c ON c.org_id = e.org_id AND c.job_id = e.job_id
        AND e.entry_key = 'call/plan/' || c.number || '/' || encode(c.request_hash, 'hex')
    GROUP BY 1, 2
"""


@contextmanager
def exporter(urls: TestUrls, served: StandIn, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AICD_DATA_DIR": str(folder / "data"),
        "AICD_DATABASE_URL": urls.app,
        "AICD_SYSTEM_DATABASE_URL": urls.system,
        "AICD_STRIPE_KEY": served.books.key,
        "AICD_STRIPE_URL": served.url,
        "AICD_BILLING_BUNDLE": "40",
        "AICD_BILLING_LEASE": "2",
        "AICD_BILLING_RATE": "900",
        "AICD_BILLING_INTERVAL": "0.2",
    }
    with (folder / "exporter.log").open("ab") as log:
        process = subprocess.Popen([AICD, "billing", "export"], env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


async def found_organizations(database: Database, system: SystemDatabase, books: Books) -> dict[str, Tenant]:
    """Organizations on the plan per token without any credit left, by their customers."""
    tenants = {}
    for number in range(ORGANIZATIONS):
        async with system.write() as session:
            tenant = await ensure_organization(session, f"org-{number}")
        await Charger(database, PLANS, BillingMode.TEST).open_account(tenant, "per_token", datetime.now(UTC))
        tenants[books.add("customer", "cus")["id"]] = tenant
    return tenants


async def settled(urls: TestUrls, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Waits until nothing is left to be charged or sent."""
    deadline = monotonic() + PATIENCE
    while True:
        with psycopg.connect(urls.admin) as connection:
            left = connection.execute(OPEN).fetchone()
        if left == (0, 0, 0):
            return
        assert process.poll() is None, (folder / "exporter.log").read_text()[-3000:]
        assert monotonic() < deadline, (left, (folder / "exporter.log").read_text()[-3000:])
        await asyncio.sleep(0.3)


def expected(urls: TestUrls, customers: dict[str, Tenant]) -> Counter[tuple[str, str]]:
    """What the ledger says by customer and meter."""
    names = {tenant.org_id: customer for customer, tenant in customers.items()}
    found = Counter[tuple[str, str]]()
    with psycopg.connect(urls.admin) as connection:
        for org_id, model, *counts in connection.execute(BY_MODEL):
            for kind, count in zip(TokenKind, counts, strict=True):
                found[names[org_id], token_meter(PLANS.class_of(model or None), kind)] += int(count)
    return +found


async def test_what_stripe_counted_equals_the_ledger_though_the_exporter_is_killed_at_random(
    database_urls: TestUrls, database: Database, system: SystemDatabase, tmp_path: Path
) -> None:
    chance = random.Random(20261126)

    def unlucky(method: str, path: str) -> Fault | None:
        if path != "/v1/billing/meter_events" or chance.random() > 0.03:
            return None
        return chance.choice([Fault.BEFORE, Fault.AFTER, Fault.LIMITED, Fault.LOST])

    books = Books(chance=unlucky)
    for meter in PLANS.meters():
        books.add(METER, "mtr", event_name=meter, display_name=meter, status="active")
    customers = await found_organizations(database, system, books)
    begin = datetime.now(UTC) - timedelta(hours=30)  # two or three days of UTC
    for customer, tenant in customers.items():
        writer = LedgerWriter(database_urls, tenant)
        writer.set_account(customer, begin)
        for number in range(JOBS):
            writer.entries(writer.job(), ENTRIES, begin + timedelta(hours=number), MODELS, "20 s")
    wanted = expected(database_urls, customers)
    assert ORGANIZATIONS * JOBS * ENTRIES == 10_000
    with serving_stripe(books) as served:
        for _ in range(KILLS):
            before, more = len(books.exchanges), chance.randrange(1, 150)
            with exporter(database_urls, served, tmp_path) as process:
                deadline = monotonic() + PATIENCE
                while len(books.exchanges) < before + more:
                    assert monotonic() < deadline, (tmp_path / "exporter.log").read_text()[-3000:]
                    assert process.poll() is None, (tmp_path / "exporter.log").read_text()[-3000:]
                    await asyncio.sleep(0.01)
                process.send_signal(signal.SIGKILL)
                assert process.wait() == -signal.SIGKILL
        assert sum(event.value for event in books.meter_events) < sum(wanted.values())
        with exporter(database_urls, served, tmp_path) as process:
            await settled(database_urls, process, tmp_path)
    counted = Counter[tuple[str, str]]()
    for event in books.meter_events:
        counted[event.customer, event.meter] += event.value
    with psycopg.connect(database_urls.admin) as connection:
        assert connection.execute(DEAD).fetchall() == []
    assert counted == wanted
