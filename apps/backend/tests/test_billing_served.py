"""A real `aicd serve`, a real worker and Stripe's stand-in: from checkout to the bill, past a payment that failed."""

import asyncio
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from aicd_backend.billing.plans import PULL_REQUESTS, Plans, TokenKind, token_meter
from aicd_backend.billing.stripe_customers import StripeCustomers
from aicd_backend.billing.syncing import sync
from aicd_backend.testing.stripe.books import Books, Thing
from aicd_backend.testing.stripe.customers import close_period, complete_checkout, pay
from aicd_backend.testing.stripe.server import serving_stripe
from aicd_backend.testing.stripe.webhooks import sign
from aicd_core.jobs.machine import JobState
from aicd_core.testing.chaos.installation import AICD, Installation, installation, wait_until
from aicd_core.testing.chaos.repository import JobRow, list_jobs
from aicd_core.testing.chaos.verdict import Payment, breaches
from aicd_core.testing.chaos.work import Order, place
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import Script, journaled_issue
from aicd_core.usage.billing.models import BillingMode

SECRET = "whsec_of_the_served_one_00"
FRONT_END = "https://app.test"
PLANS = """
default = "free"
[classes]
any = ["*"]
[plans.free]
title = "Free"
[plans.both]
title = "Both"
pull_requests = { price_micro_usd = 5_000_000 }
tokens.any = { input = 3_000_000, cached_input = 300_000, cache_write = 3_750_000, output = 15_000_000 }
"""
LEDGER = """
    SELECT sum(input_tokens), sum(cached_input_tokens), sum(cache_write_tokens), sum(output_tokens) FROM usage_entries
"""
UNHANDLED = "SELECT count(*) FROM stripe_events WHERE state <> 'handled'"


@dataclass
class Served:
    """The installation, its server's address, and an owner's key."""

    made: Installation
    books: Books
    client: httpx.Client

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.client.request(method, f"/v1/organizations/local{path}", json=body)

    def deliver(self, events: Iterable[Thing]) -> None:
        """As Stripe does: over HTTP, signed, each twice."""
        for event in [*events]:
            signed = sign(event, SECRET)
            told = [
                self.client.post(
                    "/webhooks/stripe", content=signed.body, headers={"Stripe-Signature": signed.signature}
                ).json()["status"]
                for _ in range(2)
            ]
            assert told == ["stored", "repeated"]

    def deliver_news(self) -> None:
        self.deliver(self.books.emitted)
        self.books.emitted.clear()

    def billing(self) -> Any:
        return self.call("GET", "/billing").json()

    def row(self, statement: str) -> tuple[int, ...]:
        with psycopg.connect(self.made.urls.admin) as connection:
            return tuple(map(int, connection.execute(statement.encode()).fetchone() or ()))

    def job(self) -> JobRow:
        (found,) = list_jobs(self.made.urls.admin)
        return found


@contextmanager
def serving(made: Installation, books: Books, url: str, root: Path) -> Iterator[Served]:
    """`aicd serve`, until it is told to end, which it has to do well."""
    place_of_plans = root / "plans.toml"
    place_of_plans.write_text(PLANS)
    made.settings |= {
        "AICD_STRIPE_KEY": books.key,
        "AICD_STRIPE_URL": url,
        "AICD_STRIPE_WEBHOOK_SECRETS": SECRET,
        "AICD_BILLING_PLANS": str(place_of_plans),
        "AICD_BILLING_GRACE_DAYS": "0",
        "AICD_BILLING_INTERVAL": "0.5",
        "AICD_ORIGINS": FRONT_END,
        "AICD_LOCAL_REPOSITORIES": "true",
    }
    asked = made.aicd("server", "admin", "bootstrap", "--org", "local", "--email", "ada@example.org")
    assert asked.returncode == 0, asked.stderr
    log = root / "served.log"
    with log.open("wb") as stderr:
        environment = {**made.environment(), "AICD_DATA_DIR": str(root / "server")}
        process = subprocess.Popen([str(AICD), "serve", "--port", "0"], env=environment, stderr=stderr)
    listening = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")
    try:
        wait_until(lambda: bool(listening.search(log.read_text()) or process.poll() is not None), "a server")
        found = listening.search(log.read_text())
        assert found is not None, log.read_text()
        headers = {"Authorization": f"Bearer {asked.stdout.decode().strip()}"}
        with httpx.Client(base_url=found[1], headers=headers, timeout=60) as client:
            yield Served(made, books, client)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        process.kill()
        process.wait()


def subscribe(served: Served) -> Thing:
    pages = {"success_url": f"{FRONT_END}/done", "cancel_url": FRONT_END}
    answer = served.call("POST", "/billing/checkout", {"plan": "both", **pages})
    assert answer.status_code == 200, answer.text
    made = complete_checkout(served.books, answer.json()["url"].rpartition("/")[2])
    served.deliver_news()
    wait_until(lambda: served.billing()["plan"]["name"] == "both", "the plan that was paid for")
    return made


def begin_a_job(made: Installation, *, held: int) -> None:
    """A job of three calls, the second in coding, on a real worker; from call `held` on the model does not answer."""
    made.model.hold_from(held)
    asyncio.run(place(made, [Order(journaled_issue("Keep a diary", Script(made.model.url, turns=1)))]))
    made.worker("first")
    wait_until(lambda: len(made.model.calls()) == held, "the call that is held")


def test_a_payment_that_failed_ends_running_jobs_which_go_on_once_it_is_made_and_all_is_charged_once(
    tmp_path: Path, database_urls: TestUrls
) -> None:
    with (
        serving_stripe() as stand_in,
        installation(tmp_path, database_urls) as made,
        serving(made, stand_in.books, stand_in.url, tmp_path) as served,
    ):
        asyncio.run(synced(stand_in.url, stand_in.books, tmp_path))
        subscription = subscribe(served)
        begin_a_job(made, held=2)
        assert served.job().status.state is JobState.CODING
        invoice = close_period(served.books, subscription["id"], paid=False)
        served.deliver_news()
        it_has_ended(served)
        refused_while_it_is_overdue(served)
        made.model.release()
        pay(served.books, invoice["id"])
        served.deliver_news()
        wait_until(lambda: served.billing()["stopped"] is None, "an organization that may work again")
        assert served.job().status.state is JobState.CANCELLED  # it does not go on unasked
        assert served.call("POST", f"/jobs/{served.job().id}/resume", {}).json()["state"] == "coding"
        wait_until(lambda: served.job().status.state is JobState.PR_OPEN, "its pull request")
        assert [*breaches(made, at_risk=1)] == []
        requests = Counter(call.request for call in made.model.calls())
        assert (Payment.of(made).needed, sorted(requests.values())) == (3, [1, 1, 2])  # twice: what was cut off
        all_is_charged_once(served)


def it_has_ended(served: Served) -> None:
    """The running job, while its worker is well."""
    wait_until(lambda: served.job().status.state is JobState.CANCELLED, "the end of the running job")
    ended = served.call("GET", f"/jobs/{served.job().id}").json()
    assert (ended["state"], ended["code"], ended["paused_from"]) == ("cancelled", "payment_overdue", "coding")
    assert "overdue" in ended["reason"]
    wait_until(lambda: served.job().lease_owner is None, "a worker that has let go of it")
    assert served.made.started[-1].process.poll() is None


def refused_while_it_is_overdue(served: Served) -> None:
    job_id = served.job().id
    (repository,) = served.call("GET", "/repositories").json()["items"]
    wanted = {"repository_id": repository["id"], "issue": "Another one"}
    for path, body in (("/jobs", wanted), (f"/jobs/{job_id}/retry", None), (f"/jobs/{job_id}/resume", {})):
        refused = served.call("POST", path, body)
        assert (path, refused.status_code, refused.json()["code"]) == (path, 402, "payment_overdue")
        assert "Pay the open invoice" in refused.json()["detail"]


def all_is_charged_once(served: Served) -> None:
    """What Stripe has counted is what the ledger says."""
    customer = served.books.all("customer")[0]["id"]
    meters = [token_meter("any", kind) for kind in TokenKind]

    def counted() -> tuple[int, ...]:
        return tuple(served.books.total(meter, customer) for meter in meters)

    wanted = served.row(LEDGER)
    wait_until(lambda: counted() == wanted and served.books.total(PULL_REQUESTS) == 1, f"{wanted} at Stripe")
    wait_until(lambda: served.row(UNHANDLED) == (0,), "every event handled")
    charged = served.billing()["month"]["spent_micro_usd"]
    prices = Plans.load(Path(served.made.settings["AICD_BILLING_PLANS"])).of("both").tokens["any"]
    tokens = sum(count * getattr(prices, kind.value) for count, kind in zip(wanted, TokenKind, strict=True))
    assert charged == 5_000_000 + -(-tokens // 1_000_000)


async def synced(url: str, books: Books, root: Path) -> None:
    async with StripeCustomers(books.key, BillingMode.TEST, url) as api:
        await sync(api, Plans.load(root / "plans.toml"))
