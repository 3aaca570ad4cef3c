"""Writing a job's journal out as a cassette."""

import asyncio
from collections.abc import AsyncIterator

from aicd_core.contracts import ModelReply, ModelRequest
from aicd_core.db.database import Database
from aicd_core.db.sessions import ReadSession
from aicd_core.errors import NotFoundError
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.values import JobView
from aicd_core.journal import repository as journal
from aicd_core.journal.errors import JournalDamagedError
from aicd_core.journal.texts import StoredCall
from aicd_core.journal.values import Call
from aicd_core.orchestrator.cassette import CassetteWriter
from aicd_core.orchestrator.cassette_format import RESULTS
from aicd_core.orchestrator.recording import StoredRecording
from aicd_core.orchestrator.records import NOTHING
from aicd_core.orchestrator.redaction import Redaction
from aicd_core.policy import organization_rules
from aicd_core.tenancy import Tenant
from aicd_core.usage import repository as ledger

RETURNED = frozenset({JobEvent.SENT_BACK, JobEvent.PLAN_INVALID})


async def export_cassette(
    database: Database, tenant: Tenant, job_id: JobId, redaction: Redaction
) -> AsyncIterator[str]:
    """The lines of the cassette of a job as of one moment, each with its line feed; the same for the same journal.

    Raises:
        NotFoundError: there is no such job (`no_such_job`), its journal is not kept any more (`journal_gone`), or it
            has no result and made no call yet (`nothing_to_export`).
        JournalDamagedError: a text is not what was stored.
    """
    job = (await StoredRecording.open(database, tenant, job_id)).job
    writer = CassetteWriter(redaction)
    async with database.snapshot(tenant) as session:
        stored = await artifacts.get_artifacts(session, tenant, job_id)
        results = [(kind, number) for kind, number in sorted(stored, key=_order) if kind in RESULTS]
        calls = await journal.list_calls(session, tenant, job_id)
        if not results and not calls:
            raise NotFoundError(
                f"Job {job_id} has no result and made no call yet. Export it when it has come further.",
                code="nothing_to_export",
            )
        yield writer.head(job, await organization_rules(session, tenant), await _returned(session, tenant, job))
        for kind, number in results:
            yield await asyncio.to_thread(writer.result, kind, number, stored[kind, number])
        async for line in _call_lines(session, tenant, job_id, calls, writer):
            yield line
    yield writer.end()


def _order(at: tuple[str, int]) -> tuple[int, str]:
    kind, number = at
    return number, kind


async def _returned(session: ReadSession, tenant: Tenant, job: JobView) -> list[str | None]:
    """For each plan that came back, what a person said; None for one that was invalid."""
    events = await jobs.list_events(session, tenant, job.id)
    counted = [event for event in events if event.event in RETURNED]
    return [str(one.detail["comment"]) if one.event is JobEvent.SENT_BACK else None for one in counted]


async def _call_lines(
    session: ReadSession, tenant: Tenant, job_id: JobId, calls: list[StoredCall], writer: CassetteWriter
) -> AsyncIterator[str]:
    packed = await journal.get_contents(session, tenant, job_id)
    costs = {entry.key: entry.usage for entry in await ledger.list_entries(session, tenant, job_id)}
    for call in calls:
        request, content = await asyncio.to_thread(_texts, job_id, call, packed)
        asked = ModelRequest(model=call.model, content=request)
        usage = costs.get(Call(call.step, call.number, asked).entry_key, NOTHING)
        reply = ModelReply(content=content, usage=usage)
        yield await asyncio.to_thread(writer.call, call.step, call.number, asked, reply)


def _texts(job_id: JobId, call: StoredCall, packed: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    request, reply = call.texts(packed)
    if request is None or reply is None:
        raise JournalDamagedError(job_id, f"{'request' if request is None else 'reply'} of {call.name}")
    return request, reply
