"""Lists of jobs: found by what they are, sorted, in pages that neither skip nor repeat."""

from datetime import timedelta

import pytest

from aicd_core.db.database import Database
from aicd_core.db.pages import Page, PageRequest, cursor_of, cursor_of_moment
from aicd_core.errors import InvalidInputError
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.lists.repository import find_events, find_jobs
from aicd_core.jobs.lists.values import JobFilter, JobOrder
from aicd_core.jobs.machine import JobEvent, JobState, decide
from aicd_core.jobs.values import JobView, NewJob, Transition
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories.repository import ensure_repository


class List:
    """Jobs of one tenant, called by the number in which they were made."""

    def __init__(self, database: Database, tenant: Tenant) -> None:
        self.database, self.tenant = database, tenant
        self.jobs: list[JobView] = []

    async def add(self, title: str = "Title", source: str = "/srv/a", agent: str = "dummy", number: int | None = None):
        async with self.database.write(self.tenant) as session:
            of = await ensure_repository(session, self.tenant, source)
            text = f"job {len(self.jobs)}"
            new = NewJob(of, agent, title, text, "main", "a" * 40, 60.0, issue_number=number)
            made = await jobs.insert_job(session, self.tenant, new)
            assert made is not None
            job = await jobs.get_job(session, self.tenant, made)
        assert job is not None
        self.jobs.append(job)

    async def move(self, which: int, event: JobEvent) -> None:
        async with self.database.write(self.tenant) as session:
            job = await jobs.get_job(session, self.tenant, self.jobs[which].id)
            assert job is not None
            assert await jobs.apply_transition(session, self.tenant, Transition(job, event, decide(job.status, event)))

    async def page(self, page: PageRequest, **wanted: object) -> Page[JobView]:
        async with self.database.read(self.tenant) as session:
            return await find_jobs(session, self.tenant, page, JobFilter(**wanted))  # type: ignore[arg-type]

    def numbers(self, page: Page[JobView]) -> list[int]:
        known = [job.id for job in self.jobs]
        return [known.index(job.id) for job in page.items]

    async def found(self, **wanted: object) -> list[int]:
        return self.numbers(await self.page(PageRequest(), **wanted))


@pytest.fixture
def ours(database: Database, tenant: Tenant) -> List:
    return List(database, tenant)


async def test_jobs_are_found_by_state_agent_repository_and_number(ours: List) -> None:
    await ours.add(number=7)
    await ours.add(source="/srv/b", number=7)
    await ours.add(agent="claude")
    await ours.move(2, JobEvent.CANCELLED)
    assert await ours.found() == [2, 1, 0]
    assert await ours.found(states=(JobState.QUEUED,)) == [1, 0]
    assert await ours.found(states=(JobState.QUEUED, JobState.CANCELLED)) == [2, 1, 0]
    assert await ours.found(states=(JobState.FAILED,)) == []
    assert await ours.found(agents=("claude",)) == [2]
    assert await ours.found(issue_number=7) == [1, 0]
    assert await ours.found(issue_number=7, repository_id=ours.jobs[0].repository_id) == [0]


async def test_words_of_a_title_are_words_and_no_pattern(ours: List) -> None:
    for title in ("100% of Slugs", "1000 slugs", "under_score"):
        await ours.add(title)
    assert await ours.found(words="sLuGs") == [1, 0]
    assert await ours.found(words="100%") == [0]
    assert await ours.found(words="r_s") == [2]
    assert await ours.found(words="rXs") == []
    with pytest.raises(InvalidInputError, match="NUL"):
        await ours.found(words="\x00")
    with pytest.raises(InvalidInputError, match="NUL"):
        await ours.found(agents=("\x00",))


async def test_a_span_begins_with_its_first_moment_and_ends_before_its_last(ours: List) -> None:
    for _ in range(3):
        await ours.add()
    first, last = ours.jobs[1].created_at, ours.jobs[2].created_at
    assert await ours.found(created_from=first) == [2, 1]
    assert await ours.found(created_before=last) == [1, 0]
    assert await ours.found(created_from=first, created_before=last) == [1]
    assert await ours.found(created_from=last + timedelta(days=1)) == []


async def test_the_last_change_decides_where_that_is_asked_for(ours: List) -> None:
    for _ in range(3):
        await ours.add()
    await ours.move(0, JobEvent.ADMITTED)
    assert await ours.found(order=JobOrder.LAST_CHANGED) == [0, 2, 1]
    assert await ours.found(order=JobOrder.LONGEST_SINCE_CHANGED) == [1, 2, 0]
    assert await ours.found(order=JobOrder.OLDEST) == [0, 1, 2]


@pytest.mark.parametrize("order", JobOrder)
async def test_pages_go_on_where_the_one_before_ended(order: JobOrder, ours: List, rival: Tenant) -> None:
    await List(ours.database, rival).add()
    for _ in range(5):
        await ours.add()
    # All in one transaction, and so at the same moment: the id decides.
    async with ours.database.write(ours.tenant) as session:
        for job in ours.jobs[1:4]:
            change = Transition(job, JobEvent.ADMITTED, decide(job.status, JobEvent.ADMITTED))
            assert await jobs.apply_transition(session, ours.tenant, change)
    whole, seen, cursor = await ours.found(order=order), list[int](), None
    assert sorted(whole) == [0, 1, 2, 3, 4]
    while True:
        page = await ours.page(PageRequest(2, cursor), order=order)
        seen += ours.numbers(page)
        if (cursor := page.next_cursor) is None:
            break
    assert seen == whole


async def test_a_cursor_of_another_order_is_refused(ours: List) -> None:
    await ours.add()
    job = ours.jobs[0]
    for order, cursor in (
        (JobOrder.NEWEST, cursor_of_moment(job.updated_at, job.id)),
        (JobOrder.LAST_CHANGED, cursor_of(job.id)),
        (JobOrder.LAST_CHANGED, cursor_of(7)),
        (JobOrder.LAST_CHANGED, "_" * 32),  # a moment beyond the calendar
    ):
        with pytest.raises(InvalidInputError) as refused:
            await ours.page(PageRequest(cursor=cursor), order=order)
        assert refused.value.code == "bad_cursor"


async def test_a_history_comes_in_pages_oldest_first(ours: List, rival: Tenant) -> None:
    await ours.add()
    await ours.add()
    for event in (JobEvent.ADMITTED, JobEvent.PLAN_READY, JobEvent.CANCELLED):
        await ours.move(0, event)

    async def versions(tenant: Tenant, job_id: JobId, page: PageRequest) -> tuple[list[int], str | None]:
        async with ours.database.read(tenant) as session:
            found = await find_events(session, tenant, job_id, page)
        return [event.version for event in found.items], found.next_cursor

    first, cursor = await versions(ours.tenant, ours.jobs[0].id, PageRequest(3))
    assert first == [0, 1, 2]
    assert await versions(ours.tenant, ours.jobs[0].id, PageRequest(3, cursor)) == ([3], None)
    assert await versions(ours.tenant, ours.jobs[0].id, PageRequest(cursor=cursor_of(2**63 - 1))) == ([], None)
    assert await versions(rival, ours.jobs[0].id, PageRequest()) == ([], None)
    assert await versions(ours.tenant, JobId(new_uuid()), PageRequest()) == ([], None)
    with pytest.raises(InvalidInputError, match="cursor"):
        await versions(ours.tenant, ours.jobs[0].id, PageRequest(cursor=cursor_of(2**63)))
