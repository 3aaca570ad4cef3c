"""Texts of calls are stored once, in pieces; made again byte for byte, or not at all."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicd_core.contracts import ChangeSet, ModelReply, ModelRequest, Usage
from aicd_core.db.calls import Call as Statement
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.pipeline import Pipeline
from aicd_core.errors import AicdError
from aicd_core.ids import JobId, OrgId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.values import NewJob
from aicd_core.journal import repository as journal
from aicd_core.journal.errors import JournalDamagedError
from aicd_core.journal.pieces import LEAST, MOST, cut, name_of
from aicd_core.journal.values import Call, Checkpoint
from aicd_core.orchestrator.records import Records, is_let_go
from aicd_core.portability import erase
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories import repository as repositories
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.leases import take_lease

OWNER, USAGE = "us", Usage()


def words(seed: int, count: int) -> str:
    made = random.Random(seed)
    return "\n".join(" ".join(f"{made.getrandbits(24):x}" for _ in range(8)) for _ in range(count))


def request(turns: int) -> bytes:
    """As a vendor's history has it: what is new stands in the middle, before the tools."""
    messages = [{"content": words(turn, 25), "role": "user"} for turn in range(turns)]
    body = {"max_tokens": 5, "messages": messages, "system": words(-1, 60), "tools": [words(-2, 60)]}
    return json.dumps(body, sort_keys=True).encode()


@given(st.binary(max_size=5000) | st.text("ab\n},", max_size=9000).map(str.encode))
def test_a_text_is_its_pieces_in_order(text: bytes):
    pieces = list(cut(text))
    assert b"".join(pieces) == text
    assert all(LEAST <= len(piece) <= MOST for piece in pieces[:-1])
    assert pieces


def test_a_text_without_ends_of_lines_is_cut_at_the_most():
    assert [len(piece) for piece in cut(b"x" * (2 * MOST + 5))] == [MOST, MOST, 5]


def test_of_a_request_with_something_more_in_its_middle_few_pieces_are_new():
    before, after = ({name_of(piece) for piece in cut(request(turns))} for turns in (30, 31))
    assert len(after) > 15
    assert len(after - before) <= 6


class Desk:
    """A job of a tenant under lease."""

    def __init__(self, database: Database, tenant: Tenant, job_id: JobId, urls: TestUrls) -> None:
        self.database, self.tenant, self.job_id, self.urls = database, tenant, job_id, urls
        self.records = self.fresh()

    def fresh(self) -> Records:
        """The records of a process that knows of nothing stored."""
        return Records(self.database, self.tenant, self.job_id, OWNER)

    async def keep(
        self, number: int, content: bytes, reply: bytes, records: Records | None = None, usage: Usage = USAGE
    ) -> Call:
        call = Call("code/1", number, ModelRequest(model="m", content=content))
        await (records or self.records).keep_reply(call, ModelReply(content=reply, usage=usage))
        return call

    async def texts(self) -> list[tuple[bytes | None, bytes | None]]:
        async with self.database.read(self.tenant) as session:
            calls = await journal.list_calls(session, self.tenant, self.job_id)
            packed = await journal.get_contents(session, self.tenant, self.job_id)
        return [call.texts(packed) for call in calls]

    def ask(self, query: str) -> list[tuple]:
        with psycopg.connect(self.urls.admin) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def stored(self) -> int:
        """Bytes of calls and contents."""
        (calls,), (contents,) = (
            self.ask(f"SELECT coalesce(sum(pg_column_size(t.*)), 0)::bigint FROM {table} t")[0]
            for table in ("model_calls", "journal_contents")
        )
        return int(calls) + int(contents)


async def desk_of(database: Database, tenant: Tenant, urls: TestUrls) -> Desk:
    async with database.write(tenant) as session:
        repository_id = await repositories.ensure_repository(session, tenant, "/srv/repo")
        job_id = await jobs.insert_job(session, tenant, NewJob(repository_id, "a", "t", "b", "main", "a" * 40, 60.0))
    assert job_id is not None
    system = SystemDatabase.connect(urls.system)
    try:
        assert await take_lease(system, job_id, OWNER)
    finally:
        await system.close()
    return Desk(database, tenant, job_id, urls)


@pytest.fixture
async def desk(database: Database, tenant: Tenant, database_urls: TestUrls) -> Desk:
    return await desk_of(database, tenant, database_urls)


async def test_every_text_is_made_again_byte_for_byte_also_after_a_crash(desk: Desk):
    told = [(request(turns), words(1000 + turns, 3).encode()) for turns in range(1, 12)] + [
        (b"", b""),
        (b"\0\xff", b"x"),
    ]
    for number, (asked, answered) in enumerate(told):
        # From the sixth on, by a process that does not know what is stored.
        await desk.keep(number, asked, answered, desk.fresh() if number > 5 else None)
    assert await desk.texts() == told
    after = desk.fresh()
    found = [
        await after.find_reply(Call("code/1", n, ModelRequest(model="m", content=a))) for n, (a, _) in enumerate(told)
    ]
    assert [reply.content for reply in found if reply] == [answered for _, answered in told]


async def test_what_is_stored_grows_with_what_is_new_and_not_with_what_is_sent(desk: Desk):
    sizes = {}
    for turns in range(1, 121):
        await desk.keep(turns, request(turns), b"answer %d" % turns)
        sizes[turns] = desk.stored() if turns in {20, 60, 80, 120} else 0
    early, late = sizes[60] - sizes[20], sizes[120] - sizes[80]
    assert late < 1.25 * early
    assert sizes[120] < len(request(120)) * 3


async def test_a_call_its_texts_and_what_it_cost_are_kept_in_one_round_trip(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    await desk.keep(0, request(3), b"first")
    trips: list[int] = []
    run = Pipeline.run

    async def noted(self: Pipeline, org_id: OrgId | None, calls: Sequence[Statement]) -> Sequence[tuple]:
        trips.append(len(calls))
        return await run(self, org_id, calls)

    monkeypatch.setattr(Pipeline, "run", noted)
    monkeypatch.setattr(type(desk.database), "write", None)  # no transaction of several round trips is opened
    await desk.keep(1, request(4), b"second", usage=Usage(cost_micro_usd=1))
    assert trips == [2]


async def test_a_damaged_text_is_an_error_that_names_the_call(desk: Desk):
    call = await desk.keep(0, request(3), b"the answer")
    desk.ask("UPDATE journal_contents SET packed = (SELECT packed FROM journal_contents ORDER BY sha256 LIMIT 1)")
    with pytest.raises(JournalDamagedError, match="reply to code/1 call 0 is not what was stored") as caught:
        await desk.records.find_reply(call)
    assert isinstance(caught.value, AicdError)
    assert caught.value.code == "journal_damaged"
    desk.ask("DELETE FROM journal_contents")
    with pytest.raises(JournalDamagedError):
        await desk.records.find_reply(call)


async def test_another_organizations_contents_are_its_own_and_nobody_learns_of_them(
    desk: Desk, database: Database, rival: Tenant, database_urls: TestUrls
):
    theirs = await desk_of(database, rival, database_urls)
    await desk.keep(0, request(3), b"same")
    rows = desk.ask("SELECT count(*) FROM journal_contents")
    await theirs.keep(0, request(3), b"same")
    assert desk.ask("SELECT count(*) FROM journal_contents") == [(2 * rows[0][0],)]
    desk.ask(f"DELETE FROM journal_contents WHERE org_id = '{rival.org_id}'")
    assert await desk.texts() == [(request(3), b"same")]


@pytest.mark.parametrize(
    ("state", "days", "goes"), [("merged", 31, True), ("merged", 29, False), ("pr_open", 99, False)]
)
async def test_texts_of_a_job_that_ended_long_ago_go_in_batches_and_all_others_stay(
    desk: Desk, system: SystemDatabase, state: str, days: int, goes: bool
):
    for number in range(3):
        await desk.keep(number, request(number + 1), b"answer %d" % number)
    desk.ask(f"UPDATE jobs SET state = '{state}', updated_at = now() - interval '{days} days'")
    desk.ask("UPDATE journal_contents SET created_at = now() - interval '200 days'")
    before, rounds = datetime.now(UTC) - timedelta(days=30), 0
    removed = 1
    while removed:
        async with system.write() as session:
            removed = await journal.delete_ended(session, ["merged"], before, 1)
        rounds += 1
    texts = await desk.texts()
    assert len(texts) == 3
    assert (texts[0] == (None, None)) is goes
    async with desk.database.read(desk.tenant) as session:
        assert await is_let_go(session, desk.tenant, desk.job_id) is goes
        assert len(await journal.list_digests(session, desk.tenant, desk.job_id)) == 3


async def test_erasing_an_organization_takes_all_of_its_texts_and_none_of_another_that_has_the_same(
    database: Database, tenant: Tenant, rival: Tenant, database_urls: TestUrls
):
    told = [(request(turns), b"answer %d" % turns) for turns in range(1, 4)]
    desks = [await desk_of(database, who, database_urls) for who in (tenant, rival)]
    for desk in desks:
        for number, (asked, answered) in enumerate(told):
            await desk.keep(number, asked, answered)
        change = ChangeSet(base_sha="a" * 40, tree_sha="b" * 40, files=(), patch=b"the same in both")
        await desk.records.keep_checkpoint(Checkpoint(1, 0, 3, change, b"said"))
    ours, theirs = desks
    names = "SELECT sha256 FROM journal_contents WHERE org_id = '{}' ORDER BY sha256"
    assert ours.ask(names.format(tenant.org_id)) == ours.ask(names.format(rival.org_id)) != []
    owner = Database.connect(database_urls.admin, pool_size=1)
    try:
        await erase(owner, tenant, now=datetime.now(UTC), force=True, batch=2)
    finally:
        await owner.close()
    left = {
        table: ours.ask(f"SELECT DISTINCT org_id FROM {table}")
        for table in ("journal_contents", "model_calls", "checkpoints", "usage_entries", "jobs")
    }
    assert [orgs for orgs in left.values() if (tenant.org_id,) in orgs] == []
    assert await theirs.texts() == told
    assert (await theirs.records.checkpoints(1)).history == (b"said",)
