"""A reply is kept with what it cost before it is used, found again, and never kept by who lost the job."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from psycopg import DataError

from aicd_core.contracts import ModelReply, ModelRequest, Usage
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.values import NewJob
from aicd_core.journal import repository as journal
from aicd_core.journal.texts import Known, text_of, whole
from aicd_core.journal.values import Call
from aicd_core.orchestrator.journal import StepJournal
from aicd_core.orchestrator.records import LeaseLostError, Records
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories import repository as repositories
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.leases import take_lease
from aicd_core.usage import repository as ledger

COST = Usage(input_tokens=7, output_tokens=3, cost_micro_usd=11)
US, THEM = "us", "them"
TEXTS = Known().texts("code/1", "m", b"what?", b"kept")


class Desk:
    """One job under lease, and whoever calls a model for it."""

    def __init__(self, database: Database, tenant: Tenant, job_id: JobId, urls: TestUrls) -> None:
        self.database, self.tenant, self.job_id, self.urls = database, tenant, job_id, urls
        self.sent: list[bytes] = []

    def journal(self, step: str = "code/1", *, owner: str = US, timeout: float = 30) -> StepJournal:
        """The journal of a process that has just begun the step."""
        return StepJournal(Records(self.database, self.tenant, self.job_id, owner), step, timeout)

    async def call(self, journal: StepJournal, content: bytes, *, cost: Usage = COST) -> bytes:
        """Calls a model that answers with how often it was asked; returns the answer."""

        async def send() -> ModelReply:
            self.sent.append(content)
            return ModelReply(content=b"%d" % len(self.sent), usage=cost)

        return (await journal.call(ModelRequest(model="m", content=content), send)).content

    async def claim(self, owner: str, dead: str | None = None) -> bool:
        system = SystemDatabase.connect(self.urls.system)
        try:
            return await take_lease(system, self.job_id, owner, dead=(dead,) if dead else ())
        finally:
            await system.close()

    async def total(self) -> Usage:
        async with self.database.read(self.tenant) as session:
            return await ledger.total(session, self.tenant, self.job_id)

    def ask(self, query: str) -> list[tuple]:
        with psycopg.connect(self.urls.admin) as connection:
            return connection.execute(query.encode()).fetchall()

    def calls(self) -> list[tuple]:
        """Step, number, request and reply of every call, made of what is stored."""
        packed = dict(self.ask("SELECT sha256, packed FROM journal_contents"))
        lists, found = {}, []
        columns = "step, number, request_sha256, reply_sha256, request_hash, base, shared, request_pieces, reply_pieces"
        for *at, asked, told, key, base, shared, own, reply in self.ask(
            f"SELECT {columns} FROM model_calls ORDER BY id"
        ):
            lists[key] = tuple(whole(lists, base, shared, own))
            found.append((*at, text_of(lists[key], packed, asked), text_of(reply, packed, told)))
        return sorted(found, key=lambda call: call[:2])

    def entries(self) -> list[str]:
        return [key for (key,) in self.ask("SELECT entry_key FROM usage_entries ORDER BY entry_key")]


@pytest.fixture
async def desk(database: Database, tenant: Tenant, database_urls: TestUrls) -> Desk:
    async with database.write(tenant) as session:
        repository_id = await repositories.ensure_repository(session, tenant, "/srv/repo")
        job_id = await jobs.insert_job(session, tenant, NewJob(repository_id, "a", "t", "b", "main", "a" * 40, 60.0))
    assert job_id is not None
    desk = Desk(database, tenant, job_id, database_urls)
    assert await desk.claim(US)
    return desk


async def test_a_kept_reply_is_found_again_with_what_it_cost_and_paid_once(desk: Desk):
    first = await desk.call(desk.journal(), b"what?")
    again = desk.journal()
    assert await desk.call(again, b"what?") == first
    assert desk.sent == [b"what?"]
    assert await desk.total() == COST
    digest = ModelRequest(model="m", content=b"what?").digest().hex()
    assert desk.entries() == [f"call/code/1/0/{digest}"]

    async def never() -> ModelReply:
        raise AssertionError("it is kept")

    found = await desk.journal().call(ModelRequest(model="m", content=b"what?"), never)
    assert found == ModelReply(content=b"1", usage=COST)


async def test_the_reply_is_kept_before_whoever_asked_has_it(desk: Desk):
    seen: list[list[tuple]] = []
    call = asyncio.ensure_future(desk.call(desk.journal(), b"what?"))
    call.add_done_callback(lambda _: seen.append(desk.calls()))
    await call
    await asyncio.sleep(0)
    assert seen == [[("code/1", 0, b"what?", b"1")]]


async def test_another_step_another_number_another_request_or_another_model_is_another_call(desk: Desk):
    journal = desk.journal()
    assert await desk.call(journal, b"what?") == b"1"
    assert await desk.call(journal, b"what?") == b"2"
    assert await desk.call(desk.journal("code/2"), b"what?") == b"3"
    assert await desk.call(desk.journal(), b"whom?") == b"4"

    async def other() -> ModelReply:
        return ModelReply(content=b"other", usage=COST)

    reply = await desk.journal().call(ModelRequest(model="m2", content=b"what?"), other)
    assert reply.content == b"other"
    assert await desk.total() == COST + COST + COST + COST + COST
    again = desk.journal()
    assert [await desk.call(again, b"what?") for _ in range(2)] == [b"1", b"2"]


async def test_calls_at_once_are_numbered_as_they_were_made_whichever_is_answered_first(desk: Desk):
    journal, gates = desk.journal(), [asyncio.Event() for _ in range(4)]

    async def call(number: int) -> ModelReply:
        async def send() -> ModelReply:
            await gates[number].wait()
            return ModelReply(content=b"reply %d" % number, usage=COST)

        return await journal.call(ModelRequest(model="m", content=b"same"), send)

    calls = [asyncio.ensure_future(call(number)) for number in range(4)]
    for number in reversed(range(4)):
        gates[number].set()
        await calls[number]
    assert [row[1:] for row in desk.calls()] == [(n, b"same", b"reply %d" % n) for n in range(4)]


async def test_who_lost_the_job_keeps_nothing_and_is_told(desk: Desk):
    journal = desk.journal()
    assert await desk.claim(THEM, dead=US)
    with pytest.raises(LeaseLostError, match="another worker"):
        await desk.call(journal, b"what?")
    assert desk.calls() == []
    assert desk.entries() == []
    assert await desk.call(desk.journal(owner=THEM), b"what?") == b"2"


async def test_whoever_takes_the_job_over_sees_every_reply_that_was_being_kept(desk: Desk):
    call = Call("code/1", 0, ModelRequest(model="m", content=b"what?"))
    async with desk.database.write(desk.tenant) as session:
        assert await journal.store_call(session, desk.tenant, desk.job_id, US, call, TEXTS)
        taking = asyncio.ensure_future(desk.claim(THEM, dead=US))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while await asyncio.to_thread(desk.ask, waits) != [(1,)]:
            assert not taking.done(), "it took the lease while a reply was being kept under it"
            await asyncio.sleep(0.01)
    assert await taking
    assert await desk.call(desk.journal(owner=THEM), b"what?") == b"kept"


async def test_a_reply_whose_cost_cannot_be_booked_is_not_kept(desk: Desk):
    with pytest.raises(DataError):
        await desk.call(desk.journal(), b"what?", cost=Usage(input_tokens=2**70))
    assert desk.calls() == []
    assert desk.entries() == []


async def test_a_call_that_costs_nothing_asks_no_budget_and_one_of_unknown_cost_does():
    asked: list[int] = []

    class Memory:
        async def find_reply(self, call: Call) -> ModelReply | None: ...

        async def keep_reply(self, call: Call, reply: ModelReply) -> None: ...

    @asynccontextmanager
    async def reserve(_: str, worst_case: int) -> AsyncIterator[None]:
        asked.append(worst_case)
        yield

    async def send() -> ModelReply:
        return ModelReply(content=b"", usage=Usage())

    journal = StepJournal(Memory(), "code/1", 10, reserve)
    for worst_case in (0, None, 7):
        await journal.call(ModelRequest(model="m", content=b""), send, worst_case=worst_case)
    assert asked == [0, 7]


async def test_a_call_past_its_deadline_is_kept_nowhere_and_its_retry_has_its_number(desk: Desk):
    journal = desk.journal(timeout=0.2)

    async def endless() -> ModelReply:
        await asyncio.sleep(60)
        raise AssertionError("it was not ended")

    with pytest.raises(UnavailableError, match=r"0.2 s \(AICD_MODEL_CALL_TIMEOUT\)") as caught:
        await journal.call(ModelRequest(model="m", content=b"what?"), endless)
    assert caught.value.code == "model_timeout"
    assert desk.calls() == []
    await desk.call(journal, b"what?")
    assert [row[:2] for row in desk.calls()] == [("code/1", 0)]


async def test_a_time_out_of_the_callers_own_passes_through(desk: Desk):
    async def gives_up() -> ModelReply:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        await desk.journal().call(ModelRequest(model="m", content=b"what?"), gives_up)


async def test_a_retry_beside_later_calls_has_a_number_of_its_own(desk: Desk):
    journal, failing = desk.journal(), asyncio.Event()

    async def fails() -> ModelReply:
        await failing.wait()
        raise ConnectionError("cut off")

    first = asyncio.ensure_future(journal.call(ModelRequest(model="m", content=b"first"), fails))
    await asyncio.sleep(0)
    await desk.call(journal, b"second")
    failing.set()
    with pytest.raises(ConnectionError):
        await first
    await desk.call(journal, b"first")
    assert [row[1:3] for row in desk.calls()] == [(1, b"second"), (2, b"first")]


async def test_a_call_that_is_cancelled_while_it_is_sent_leaves_nothing(desk: Desk):
    journal, begun = desk.journal(), asyncio.Event()

    async def endless() -> ModelReply:
        begun.set()
        await asyncio.sleep(60)
        raise AssertionError("it was not ended")

    call = asyncio.ensure_future(journal.call(ModelRequest(model="m", content=b"what?"), endless))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (journal.next_number, journal.under_way) == (0, 0)
    assert desk.calls() == []


async def test_a_call_that_is_cancelled_while_it_is_kept_is_kept_whole(desk: Desk):
    """What was paid for is there for the next attempt: the cancellation waits for the transaction, and then holds."""
    with psycopg.connect(desk.urls.admin) as blocker:
        blocker.execute("LOCK TABLE model_calls IN ROW EXCLUSIVE MODE")
        blocker.execute("LOCK TABLE usage_entries IN EXCLUSIVE MODE")
        call = asyncio.ensure_future(desk.call(desk.journal(), b"what?"))
        while not await asyncio.to_thread(
            desk.ask, "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'usage_entries'::regclass"
        ):
            await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.sleep(0.05)
        assert not call.done()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [row[1:] for row in desk.calls()] == [(0, b"what?", b"1")]
    assert len(desk.entries()) == 1
    assert await desk.call(desk.journal(), b"what?") == b"1"
    assert await desk.total() == COST


async def test_a_reply_that_cost_nothing_is_kept_without_an_entry(desk: Desk):
    assert await desk.call(desk.journal(), b"what?", cost=Usage()) == b"1"
    assert await desk.call(desk.journal(), b"what?") == b"1"
    assert desk.entries() == []
