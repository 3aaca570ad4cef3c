"""Whatever happens to jobs: one charge for each pull request that was opened, and every token once, at its price."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aicd_backend.billing.plans import PULL_REQUESTS, PullRequestTerms, TokenKind, token_meter
from aicd_backend.billing.spending.repository import list_charges
from aicd_backend.billing.spending.values import ChargeView
from aicd_backend.testing.desk import NOON, PLANS, Desk
from aicd_core.contracts import Usage
from aicd_core.db.pages import PageRequest
from aicd_core.ids import JobId
from aicd_core.jobs.machine import TERMINAL, JobEvent, JobState, JobStatus, can_happen, decide
from aicd_core.usage.billing.models import ChargeKind

BEGIN = NOON - timedelta(hours=5)
PRICED = PLANS.of("per_token").model_copy(
    update={"pull_requests": PullRequestTerms(price_micro_usd=5_000_000), "credit_micro_usd": 0}
)
BOTH = PLANS.model_copy(update={"plans": {**PLANS.plans, "both": PRICED}})
MODELS = ("claude-opus-4-6", "claude-sonnet-4-5", "gpt-6-mini", "something-else", "")
QUICKLY = (Phase.generate,)
"""To make a failure smaller would take minutes: each try is a database's work."""
ENDS = TERMINAL | {JobState.PAUSED}
counts = st.integers(0, 2_000_000)
uses = st.tuples(
    st.sampled_from(MODELS),
    st.builds(Usage, input_tokens=counts, cached_input_tokens=counts, cache_write_tokens=counts, output_tokens=counts),
)
steps = st.tuples(st.integers(0, 10_000), st.none() | uses, st.booleans())
"""Which event, what a model was used for it, and whether there is a look at what is to be charged after it."""
lives = st.lists(steps, min_size=1, max_size=14)
Life = list[tuple[int, tuple[str, Usage] | None, bool]]
T = TypeVar("T")


def next_event(status: JobStatus, choice: int) -> JobEvent | None:
    """One that can happen; nine times of ten one after which the job goes on."""
    possible = sorted(event for event in JobEvent if can_happen(status, event))
    going = [event for event in possible if decide(status, event).state not in ENDS]
    some = going if choice % 10 and going else possible
    return some[choice // 10 % len(some)] if some else None


class Expected:
    """What is to be charged, by the histories alone."""

    def __init__(self) -> None:
        self.opened: dict[JobId, datetime] = {}
        self.tokens: Counter[tuple[JobId, str]] = Counter()

    def used(self, job: JobId, model: str, usage: Usage) -> None:
        for kind in TokenKind:
            self.tokens[job, token_meter(PLANS.class_of(model or None), kind)] += kind.of(usage)


@dataclass
class Town:
    """Lives jobs on one organization's books; hypothesis in a thread, the database's work in the test's loop."""

    desk: Desk
    loop: asyncio.AbstractEventLoop
    moments: Iterator[int] = field(default_factory=lambda: count(1))

    def now(self) -> datetime:
        """Each time another moment, later than the one before."""
        return BEGIN + timedelta(seconds=next(self.moments))

    def charge(self, now: datetime) -> None:
        self._wait_for(self.desk.exporter.charger.charge(self.desk.tenant, now))

    def charged(self, jobs: list[JobId]) -> list[ChargeView]:
        """The charges of the newest jobs."""
        return self._wait_for(self._charged(jobs))

    async def _charged(self, jobs: list[JobId]) -> list[ChargeView]:
        found: list[ChargeView] = []
        page = PageRequest(limit=100)
        async with self.desk.exporter.database.read(self.desk.tenant) as session:
            while True:
                some = await list_charges(session, self.desk.tenant, page)
                found += [one for one in some.items if one.job_id in jobs]
                if some.next_cursor is None or some.items[-1].job_id not in jobs:
                    return found
                page = PageRequest(limit=100, cursor=some.next_cursor)

    def live(self, job: JobId, life: Life, expected: Expected) -> None:
        status = JobStatus(JobState.QUEUED)
        for version, (choice, use, looks) in enumerate(life):
            at, event = self.now(), next_event(status, choice)
            if event is not None:
                status = decide(status, event)
                self.desk.ledger.event(job, version, event, status.state, at)
                if event is JobEvent.PUBLISHED:
                    expected.opened.setdefault(job, at)
            if use is not None:
                self.desk.ledger.use(job, version, at, *use)
                expected.used(job, *use)
            if looks:
                self.charge(at)

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(120)


async def test_every_history_is_charged_once_at_its_price(desk: Desk) -> None:
    desk.exporter.charger = replace(desk.exporter.charger, plans=BOTH)
    await desk.plan("both", BEGIN)
    town = Town(desk, asyncio.get_running_loop())

    @settings(
        max_examples=25, deadline=None, phases=(Phase.generate,), suppress_health_check=[*HealthCheck], database=None
    )
    @given(st.lists(lives, min_size=1, max_size=3))
    def whatever_happens(histories: list[Life]) -> None:
        expected, jobs = Expected(), [desk.ledger.job() for _ in histories]
        for job, life in zip(jobs, histories, strict=True):
            town.live(job, life, expected)
        for _ in range(2):
            town.charge(town.now())
        as_expected(town.charged(jobs), expected)

    await asyncio.to_thread(whatever_happens)


def as_expected(found: list[ChargeView], expected: Expected) -> None:
    pulls = [one for one in found if one.kind is ChargeKind.PULL_REQUEST]
    assert sorted((one.job_id, one.occurred_at) for one in pulls) == sorted(expected.opened.items())
    assert all((one.meter, one.quantity, one.pico_usd) == (PULL_REQUESTS, 1, 5 * 10**12) for one in pulls)
    tokens: Counter[tuple[JobId, str]] = Counter()
    for one in found:
        if one.kind is ChargeKind.TOKENS:
            tokens[one.job_id, one.meter] += one.quantity
            assert one.pico_usd == one.quantity * price_of(one.meter)
    assert tokens == +expected.tokens


def price_of(meter: str) -> int:
    """By the plans file: micro-USD for a million, and the margin of 20 percent."""
    (price,) = (
        getattr(prices, kind.value)
        for name, prices in PRICED.tokens.items()
        for kind in TokenKind
        if token_meter(name, kind) == meter
    )
    return price * 120 // 100
