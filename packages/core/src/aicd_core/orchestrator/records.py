"""What is stored of one job: sub-results, calls of models and checkpoints, which a re-run step finds and skips."""

from typing import TypeVar

from aicd_core.contracts import ModelReply, Usage
from aicd_core.contracts.values import Value
from aicd_core.db.database import Database
from aicd_core.db.sessions import ReadSession
from aicd_core.errors import ConflictError
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.models import ArtifactKind
from aicd_core.journal import repository as journal
from aicd_core.journal.values import Call, Checkpoint, Kept
from aicd_core.tenancy import Tenant
from aicd_core.usage import repository as ledger

ValueT = TypeVar("ValueT", bound=Value)
NOTHING = Usage()


class LeaseLostError(ConflictError):
    """Another worker has the job now; this one stops without writing."""

    default_code = "lease_lost"


class Records:
    """Reads and keeps what belongs to a job, for the holder of its lease; each call is one transaction."""

    def __init__(self, database: Database, tenant: Tenant, job_id: JobId, owner: str) -> None:
        self._database = database
        self._tenant = tenant
        self._job_id = job_id
        self._owner = owner

    async def load(self, kind: ArtifactKind, model: type[ValueT], number: int) -> ValueT | None:
        """The sub-result of a round (of an attempt, for plans), or None."""
        async with self._database.read(self._tenant) as session:
            content = await jobs.get_artifact(session, self._tenant, self._job_id, kind, number)
        return None if content is None else model.model_validate_json(content)

    async def usage(self) -> Usage:
        """What the job has used up so far."""
        async with self._database.read(self._tenant) as session:
            return await ledger.total(session, self._tenant, self._job_id)

    async def book(self, usage: Usage) -> None:
        """Puts on the ledger what was spent without a result to show for it."""
        async with self._database.write(self._tenant) as session:
            await ledger.add_entry(session, self._tenant, self._job_id, f"no-result/{new_uuid()}", usage)

    async def keep(self, kind: ArtifactKind, number: int, value: ValueT, usage: Usage = NOTHING) -> ValueT:
        """Stores a sub-result; returns the one that is stored, which an earlier run may have made.

        What this run spent is booked in any case, in the same transaction.

        Raises:
            LeaseLostError: this worker no longer holds the job.
        """
        content = value.model_dump_json().encode()
        async with self._database.write(self._tenant) as session:
            key = (session, self._tenant, self._job_id)
            await jobs.store_artifact(*key, self._owner, kind, number, content)
            stored = await jobs.get_artifact(*key, kind, number)
            if stored is None:
                raise self._lost()
            if usage != Usage():
                await ledger.add_entry(*key, f"{kind.value}/{number}/{new_uuid()}", usage)
        return type(value).model_validate_json(stored)

    async def find_reply(self, call: Call) -> ModelReply | None:
        """The reply that is kept for the call, with what it cost then; or None."""
        async with self._database.read(self._tenant) as session:
            return await stored_reply(session, self._tenant, self._job_id, call)

    async def keep_reply(self, call: Call, reply: ModelReply) -> None:
        """Stores a reply and books what it cost, once each, in one transaction.

        Raises:
            LeaseLostError: this worker no longer holds the job; nothing is stored.
        """
        async with self._database.write(self._tenant) as session:
            key = (session, self._tenant, self._job_id)
            if not await journal.store_call(*key, self._owner, call, reply.content):
                raise self._lost()
            if reply.usage != NOTHING:
                await ledger.add_entry(*key, call.entry_key, reply.usage)

    async def checkpoints(self, number: int) -> Kept:
        """What the checkpoints of a round kept so far."""
        async with self._database.read(self._tenant) as session:
            return await journal.get_kept(session, self._tenant, self._job_id, number)

    async def keep_checkpoint(self, new: Checkpoint) -> None:
        """Appends a checkpoint.

        Raises:
            LeaseLostError: this worker no longer holds the job; nothing is stored.
        """
        async with self._database.write(self._tenant) as session:
            if not await journal.store_checkpoint(session, self._tenant, self._job_id, self._owner, new):
                raise self._lost()

    def _lost(self) -> LeaseLostError:
        return LeaseLostError(f"Job {self._job_id} was taken over by another worker.")


async def stored_reply(session: ReadSession, tenant: Tenant, job_id: JobId, call: Call) -> ModelReply | None:
    """A reply of the journal with what it cost, which the ledger knows."""
    content = await journal.get_reply(session, tenant, job_id, call)
    if content is None:
        return None
    booked = await ledger.get_entry(session, tenant, job_id, call.entry_key)
    return ModelReply(content=content, usage=booked or NOTHING)
