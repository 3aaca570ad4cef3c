"""Deliveries on a real Postgres: stored once, handled at least once, in order for each subject."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import psycopg
import pytest

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.deliveries import repository, service
from aicd_core.deliveries.models import Delivery
from aicd_core.deliveries.service import Announcer, DeliveryWorker, store, sweep
from aicd_core.deliveries.values import (
    HANDLED,
    UNROUTED,
    DeliveryView,
    NewDelivery,
    Outcome,
    Stored,
    ignored,
)
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.ids import new_uuid
from aicd_core.telemetry.metrics import REGISTRY
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.installations.service import follow
from aicd_core.tenancy.installations.values import InstallationFacts
from aicd_core.testing.databases import TestUrls

HOST = "https://api.example.org"
ACTOR = Actor(ActorKind.SYSTEM, "test")


def a_delivery(name: str = "", **changes: object) -> NewDelivery:
    name = name or str(new_uuid())
    new = NewDelivery("github", name, "issues", b'{"of": "%s"}' % name.encode(), HOST)
    return replace(new, **changes)


@dataclass
class Bell:
    """Counts rings; `run` answers those that there are."""

    rings: int = 0
    away: bool = False

    async def ring(self) -> None:
        if self.away:
            raise UnavailableError("away")
        self.rings += 1

    async def run(self, answer: Callable[[], Awaitable[None]]) -> None:
        for _ in range(self.rings):
            await answer()

    async def stop(self) -> None:
        pass


@dataclass
class Handling:
    """A handler that notes what it was given, and does as it is told."""

    outcomes: list[Outcome | Exception] = field(default_factory=list)
    seen: list[DeliveryView] = field(default_factory=list)

    async def __call__(self, delivery: DeliveryView) -> Outcome:
        self.seen.append(delivery)
        outcome = self.outcomes.pop(0) if self.outcomes else HANDLED
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @property
    def names(self) -> list[str]:
        return [delivery.external_id for delivery in self.seen]


@dataclass
class Rows:
    """The table, past every wall."""

    url: str

    def ask(self, query: str) -> list[tuple]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def states(self) -> list[tuple[str, str | None]]:
        return self.ask("SELECT state, code FROM deliveries ORDER BY id")

    def make_due(self) -> None:
        self.ask("UPDATE deliveries SET due_at = now() WHERE state = 'received'")


@pytest.fixture
def rows(database_urls: TestUrls) -> Rows:
    return Rows(database_urls.admin)


def worker(system: SystemDatabase, handler: Handling, bell: Bell | None = None) -> DeliveryWorker:
    return DeliveryWorker(system, bell or Bell(), {"github": handler})


async def test_a_delivery_is_stored_once_whatever_id_its_body_comes_under(system: SystemDatabase, rows: Rows):
    first = a_delivery("one")
    assert await store(system, first) is Stored.NEW
    assert await store(system, first) is Stored.REPEATED
    assert await store(system, replace(first, external_id="two")) is Stored.REPEATED
    assert await store(system, replace(first, event="push", external_id="three")) is Stored.REPEATED
    assert await store(system, replace(first, body=b"other")) is Stored.REPEATED
    assert rows.ask("SELECT external_id, event, body FROM deliveries") == [("one", "issues", first.body)]


async def test_many_at_once_store_one_row(system: SystemDatabase, rows: Rows):
    stored = await asyncio.gather(*(store(system, a_delivery("one")) for _ in range(20)))
    assert sorted(stored) == sorted([Stored.NEW, *[Stored.REPEATED] * 19])
    assert len(rows.states()) == 1


async def test_it_belongs_to_the_organization_of_its_installation_and_else_to_nobody(
    database: Database, system: SystemDatabase, tenant: Tenant, rival: Tenant, rows: Rows
):
    async with database.write(tenant) as session:
        await follow(session, tenant, ACTOR, InstallationFacts(HOST, 7, "acme"))
    await store(system, a_delivery("ours", installation=7))
    await store(system, a_delivery("unknown", installation=8))
    await store(system, a_delivery("elsewhere", installation=7, host="https://api.other.org"))
    await store(system, a_delivery("none"))
    found = dict(rows.ask("SELECT external_id, org_id FROM deliveries"))
    assert found == {"ours": tenant.org_id, "unknown": None, "elsewhere": None, "none": None}
    for who, seen in ((tenant, 1), (rival, 0)):
        async with database.read(who) as session:
            assert len((await session.execute(Delivery.__table__.select())).all()) == seen


async def test_it_is_handled_and_whose_it_is_is_written_down(system: SystemDatabase, tenant: Tenant, rows: Rows):
    await store(system, a_delivery("one"))
    await store(system, a_delivery("two"))
    handler = Handling([replace(HANDLED, org_id=tenant.org_id), ignored("unknown_event", "No.")])
    await worker(system, handler).work()
    assert handler.names == ["one", "two"]
    assert rows.ask("SELECT state, code, reason, org_id, attempts, handled_at > received_at FROM deliveries") == [
        ("handled", None, None, tenant.org_id, 1, True),
        ("ignored", "unknown_event", "No.", None, 1, True),
    ]


async def test_deliveries_of_one_subject_wait_for_the_one_before_and_others_do_not(system: SystemDatabase, rows: Rows):
    for name, subject in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("free", None)):
        await store(system, a_delivery(name, subject=subject))
    handler = Handling([UnavailableError("away")])
    await worker(system, handler).work()
    assert handler.names == ["a1", "b1", "free"]
    rows.make_due()
    await worker(system, handler).work()
    assert handler.names[3:] == ["a1", "a2"]
    assert {state for state, _ in rows.states()} == {"handled"}


async def test_while_one_is_handled_nobody_else_takes_it_or_the_next_of_its_subject(system: SystemDatabase):
    for name in ("one", "two"):
        await store(system, a_delivery(name, subject="s"))
    taken = await repository.take_delivery(system.courier(), ["github"], 60)
    assert taken is not None
    assert (taken.external_id, taken.attempts) == ("one", 1)
    assert await repository.take_delivery(system.courier(), ["github"], 60) is None
    async with system.write() as session:
        assert await repository.finish_delivery(session, taken, HANDLED)
    second = await repository.take_delivery(system.courier(), ["github"], 60)
    assert second is not None
    assert second.external_id == "two"


async def test_workers_at_once_handle_each_delivery_once(system: SystemDatabase):
    for number in range(40):
        await store(system, a_delivery(f"{number:02}", subject=str(number % 3)))
    handler = Handling()
    await asyncio.gather(*(worker(system, handler).work() for _ in range(4)))
    while len(handler.seen) < 40:  # all may have left while the last ones of a subject waited; the sweep rings again
        await worker(system, handler).work()
    assert sorted(handler.names) == [f"{number:02}" for number in range(40)]
    for subject in "012":
        names = [each.external_id for each in handler.seen if each.subject == subject]
        assert names == sorted(names)


async def test_a_killed_workers_delivery_is_taken_by_another_and_the_dead_one_writes_nothing(
    system: SystemDatabase, rows: Rows
):
    await store(system, a_delivery("one"))
    dead = await repository.take_delivery(system.courier(), ["github"], 60)
    assert dead is not None
    rows.make_due()
    second = await repository.take_delivery(system.courier(), ["github"], 60)
    assert second is not None
    assert (second.id, second.attempts) == (dead.id, 2)
    async with system.write() as session:
        assert not await repository.finish_delivery(session, dead, ignored("late", "Too late."))
        assert not await repository.postpone_delivery(session, dead, 0, "late", "Too late.")
        assert await repository.finish_delivery(session, second, HANDLED)
        assert not await repository.finish_delivery(session, second, ignored("late", "Too late."))
    assert rows.states() == [("handled", None)]


async def test_what_is_away_is_waited_for_and_a_defect_is_tried_a_few_times(system: SystemDatabase, rows: Rows):
    await store(system, a_delivery("one"))
    handler = Handling([UnavailableError("GitHub is away", code="github_away")] * 7)
    for _ in range(7):
        rows.make_due()
        await worker(system, handler).work()
        assert rows.ask("SELECT state, code, reason, due_at > now() FROM deliveries") == [
            ("received", "github_away", "GitHub is away", True)
        ]
    handler.outcomes = [RuntimeError("secret")]
    rows.make_due()
    await worker(system, handler).work()
    assert rows.states() == [("failed", "internal")]
    assert "secret" not in str(rows.ask("SELECT reason FROM deliveries"))


async def test_a_defect_fails_after_some_attempts_and_bad_input_at_once(system: SystemDatabase, rows: Rows):
    await store(system, a_delivery("one"))
    handler = Handling([RuntimeError()] * service.MOST_ATTEMPTS)
    for left in range(service.MOST_ATTEMPTS, 0, -1):
        assert len(handler.outcomes) == left
        rows.make_due()
        await worker(system, handler).work()
    assert rows.states() == [("failed", "internal")]
    await store(system, a_delivery("two"))
    await worker(system, Handling([InvalidInputError("No such thing.", code="bad")])).work()
    assert rows.states()[1] == ("failed", "bad")


async def test_after_a_day_of_outage_it_has_failed_and_sent_again_it_is_handled(system: SystemDatabase, rows: Rows):
    new = a_delivery("one")
    await store(system, new)
    rows.ask("UPDATE deliveries SET received_at = now() - interval '25 hours'")
    await worker(system, Handling([UnavailableError("away", code="away")])).work()
    assert rows.states() == [("failed", "away")]
    assert await store(system, replace(new, external_id="forged")) is Stored.REPEATED
    assert await store(system, new) is Stored.REOPENED
    handler = Handling()
    await worker(system, handler).work()
    assert rows.states() == [("handled", None)]
    assert await store(system, new) is Stored.REPEATED


async def test_what_was_nobodys_is_looked_at_again_when_it_is_sent_again(system: SystemDatabase, rows: Rows):
    nobodys, unknown = a_delivery("one"), a_delivery("two")
    for new in (nobodys, unknown):
        await store(system, new)
    await worker(system, Handling([ignored(UNROUTED, "Nobody's."), ignored("unknown_event", "No.")])).work()
    assert await store(system, unknown) is Stored.REPEATED
    assert await store(system, nobodys) is Stored.REOPENED
    assert rows.states() == [("received", UNROUTED), ("ignored", "unknown_event")]


async def test_a_delivery_that_kills_its_workers_is_given_up_after_a_day(system: SystemDatabase, rows: Rows):
    await store(system, a_delivery("one"))
    rows.ask("UPDATE deliveries SET received_at = now() - interval '25 hours', attempts = 300")
    handler = Handling()
    await worker(system, handler).work()
    assert (handler.seen, rows.states()) == ([], [("failed", "given_up")])


async def test_a_handling_that_takes_too_long_is_cut_off_before_somebody_else_may_begin(
    system: SystemDatabase, rows: Rows, monkeypatch: pytest.MonkeyPatch
):
    assert service.HANDLING_SECONDS < service.TAKEN_SECONDS
    monkeypatch.setattr(service, "HANDLING_SECONDS", 0.01)
    await store(system, a_delivery("one"))

    async def hang(_: DeliveryView) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    await DeliveryWorker(system, Bell(), {"github": hang}).work()
    assert rows.states() == [("received", "timeout")]


async def test_cancelled_it_gives_the_delivery_back(system: SystemDatabase, rows: Rows):
    await store(system, a_delivery("one"))
    began = asyncio.Event()

    async def hang(_: DeliveryView) -> Outcome:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    working = asyncio.ensure_future(DeliveryWorker(system, Bell(), {"github": hang}).work())
    await began.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert rows.ask("SELECT state, due_at <= now() FROM deliveries") == [("received", True)]


async def test_other_sources_deliveries_are_left_alone(system: SystemDatabase):
    await store(system, a_delivery("one", source="stripe"))
    handler = Handling()
    await worker(system, handler).work()
    assert handler.seen == []


async def test_a_worker_handles_what_it_is_rung_for(system: SystemDatabase):
    await store(system, a_delivery("one"))
    handler, bell = Handling(), Bell()
    await worker(system, handler, bell).run()
    assert handler.names == []
    await bell.ring()
    await worker(system, handler, bell).run()
    assert handler.names == ["one"]


async def test_what_came_in_and_what_became_of_it_is_counted(system: SystemDatabase):
    source = str(new_uuid())
    one, two = a_delivery("one", source=source), a_delivery("two", source=source)
    for new in (one, one, two):
        await store(system, new)
    handler = Handling([HANDLED, UnavailableError("away")])
    await DeliveryWorker(system, Bell(), {source: handler}).work()

    def count(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"source": source, **labels})

    stored = {how: count("aicd_deliveries_stored_total", how=how) for how in Stored}
    assert stored == {Stored.NEW: 2, Stored.REPEATED: 1, Stored.REOPENED: None}
    ended = {outcome: count("aicd_deliveries_total", outcome=outcome) for outcome in ("handled", "postponed", "failed")}
    assert ended == {"handled": 1, "postponed": 1, "failed": None}
    assert count("aicd_delivery_lag_seconds_count") == 1


async def test_a_burst_is_announced_by_few_rings_and_a_lost_ring_is_found_by_the_sweep(system: SystemDatabase):
    bell = Bell(away=True)
    announcer = Announcer(bell)
    await store(system, a_delivery("one"))
    announcer.announce()
    await announcer.close()
    assert bell.rings == 0
    bell.away = False
    await sweep(system, bell)
    assert bell.rings == 1
    for _ in range(100):
        announcer.announce()
    await announcer.close()
    assert bell.rings == 2


async def test_the_sweep_rings_for_nothing_that_is_over_or_not_due(system: SystemDatabase):
    bell = Bell()
    for number in range(3):
        await store(system, a_delivery(str(number)))
    await worker(system, Handling([UnavailableError("away")])).work()
    await sweep(system, bell)
    assert bell.rings == 0
