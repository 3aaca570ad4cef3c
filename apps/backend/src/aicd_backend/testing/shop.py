"""The server with billing in it, and Stripe's stand-in over loopback: for tests from checkout to a paid month."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from aicd_backend.app import open_billing
from aicd_backend.billing.accounts.repository import find_account
from aicd_backend.billing.keeping import Keeper
from aicd_backend.billing.stripe_customers import StripeCustomers
from aicd_backend.billing.syncing import sync
from aicd_backend.billing.values import Account
from aicd_backend.settings import BackendSettings
from aicd_backend.testing import job_recipes
from aicd_backend.testing.ledgers import LedgerWriter
from aicd_backend.testing.stripe.books import Books, Thing
from aicd_backend.testing.stripe.customers import complete_checkout
from aicd_backend.testing.stripe.server import serving_stripe
from aicd_backend.testing.stripe.webhooks import sign
from aicd_backend.testing.world import FRONT_END, OpenWorld, World, settings_under_test
from aicd_core.db.pages import PageRequest
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.audit.values import AuditFilter
from aicd_core.tenancy.permissions import Role
from aicd_core.testing.databases import TestUrls
from aicd_core.usage.billing.models import BillingMode

OLD, NEW = "whsec_the_one_before_000", "whsec_the_one_of_now_000"
HOME = f"{FRONT_END}/billing"
CHECKOUT = {"plan": "per_pull_request", "success_url": f"{HOME}?done", "cancel_url": HOME}


@dataclass
class Shop:
    """The server, billing in it, and what Stripe keeps."""

    world: World
    keeper: Keeper
    books: Books
    urls: TestUrls

    async def deliver(self, events: Iterable[Thing]) -> None:
        for event in [*events]:
            answer = await self.post(sign(event, NEW).body, sign(event, NEW).signature)
            assert answer.status_code == 200, answer.text
        await self.keeper.handler.work()

    async def post(self, body: bytes, signature: str | None) -> httpx.Response:
        headers = {} if signature is None else {"Stripe-Signature": signature}
        return await self.world.client.post("/webhooks/stripe", content=body, headers=headers)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        owner = await self.world.as_role(Role.OWNER)
        url = f"/v1/organizations/acme/{path}"
        return await self.world.client.request(method, url, json=body, headers={**owner, **headers})

    async def account(self) -> Account:
        async with self.world.stores.database.read(self.world.us.tenant) as session:
            found = await find_account(session, self.world.us.tenant)
        assert found is not None
        return found

    async def subscribe(self) -> Thing:
        """Checks out, pays, and has Stripe tell of it."""
        answer = await self.call("POST", "billing/checkout", CHECKOUT)
        assert answer.status_code == 200, answer.text
        made = complete_checkout(self.books, answer.json()["url"].rpartition("/")[2])
        await self.deliver(self.books.emitted)
        return made

    def end_trial(self) -> None:
        """From now on what is charged is to be paid."""
        LedgerWriter(self.urls, self.world.us.tenant).end_trial(datetime.now(UTC) - timedelta(seconds=1))

    async def opened_pull_request(self) -> None:
        """A job opened its pull request just now."""
        writer = LedgerWriter(self.urls, self.world.us.tenant)
        writer.event(writer.job("pr_open"), 1, "published", "pr_open", datetime.now(UTC))

    async def make_job(self) -> httpx.Response:
        of = await job_recipes.repository(self.world, self.world.us)
        return await self.call("POST", "jobs", {"repository_id": str(of), "issue": f"Greet {next(self.world.numbers)}"})

    async def told(self, action: str) -> list[dict[str, Any]]:
        async with self.world.stores.database.read(self.world.us.tenant) as session:
            page = await list_entries(session, self.world.us.tenant, PageRequest(limit=100), AuditFilter((action,)))
        return [{**entry.detail, "target": entry.target_id} for entry in page.items][::-1]


def settings_for(stand_in: str, **more: Any) -> BackendSettings:
    given = {
        "stripe_key": SecretStr("sk_test_stand_in"),
        "stripe_url": stand_in,
        "stripe_webhook_secrets": SecretStr(f"{OLD},{NEW}"),
        "local_repositories": True,
        **more,
    }
    return settings_under_test().model_copy(update=given)


@asynccontextmanager
async def open_shop(world_with: OpenWorld, urls: TestUrls, **more: Any) -> AsyncIterator[Shop]:
    with serving_stripe() as stand_in:
        settings = settings_for(stand_in.url, **more)
        async with (
            StripeCustomers(stand_in.books.key, BillingMode.TEST, stand_in.url) as api,
            world_with(settings) as world,
        ):
            keeper = Keeper.of(world.stores, api)
            open_billing(world.app, keeper, world.stores)
            await sync(api, keeper.charger.plans)
            yield Shop(world, keeper, stand_in.books, urls)
