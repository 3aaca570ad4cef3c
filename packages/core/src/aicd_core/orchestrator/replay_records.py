"""What a replayed step reads and keeps: everything stored before it is there, and nothing that it makes is stored."""

from aicd_core.contracts import ModelReply, Usage
from aicd_core.db.database import Database
from aicd_core.errors import ConflictError
from aicd_core.ids import JobId
from aicd_core.jobs.models import ArtifactKind
from aicd_core.journal import repository as journal
from aicd_core.journal.values import Call, Checkpoint, Kept
from aicd_core.orchestrator.comparison import Compared, compare, missing
from aicd_core.orchestrator.records import NOTHING, Books, Records, ValueT
from aicd_core.policy import Rules
from aicd_core.tenancy import Tenant

NOBODY = ""
"""The owner of no lease."""


class NotInJournalError(ConflictError):
    """A replayed step asked a model for something that the journal does not hold."""

    default_code = "not_in_journal"


class ReplayRecords:
    """A `StepRecords` for one replayed step. `answered` counts its calls; `not_found` says which had no reply."""

    def __init__(self, database: Database, tenant: Tenant, job_id: JobId) -> None:
        self._database = database
        self._tenant = tenant
        self._job_id = job_id
        self._stored = Records(database, tenant, job_id, NOBODY)
        self.answered = 0
        self.not_found: list[Compared] = []

    async def load(self, kind: ArtifactKind, model: type[ValueT], number: int) -> ValueT | None:
        return await self._stored.load(kind, model, number)

    async def keep(self, kind: ArtifactKind, number: int, value: ValueT, usage: Usage = NOTHING) -> ValueT:  # noqa: ARG002 # a replay keeps nothing
        return value

    async def comments(self, attempt: int) -> tuple[str, ...]:
        return await self._stored.comments(attempt)

    async def usage(self) -> Usage:
        return await self._stored.usage()

    async def organization_rules(self) -> Rules:
        return await self._stored.organization_rules()

    async def books(self) -> Books:
        return await self._stored.books()

    async def find_reply(self, call: Call) -> ModelReply:
        """The reply of the journal.

        Raises:
            NotInJournalError: it holds none; what it holds in its place is in `not_found`.
        """
        found = await self._stored.find_reply(call)
        if found is None:
            self.not_found.append(await self._nearest(call))
            raise NotInJournalError(f"The journal of job {self._job_id} holds no reply to call {_name(call)}.")
        self.answered += 1
        return found

    async def _nearest(self, call: Call) -> Compared:
        """The call compared with the one that the journal holds in its place."""
        async with self._database.read(self._tenant) as session:
            stored = await journal.get_request(session, self._tenant, self._job_id, call)
        name, made = f"{_name(call)} request", call.request.canonical()
        if stored is None:
            return missing(name, None, made, "the journal holds no such call")
        return compare(name, stored.canonical(), made)

    async def keep_reply(self, call: Call, reply: ModelReply) -> None:
        raise AssertionError(f"a replay sends nothing, and yet {_name(call)} was answered: {reply.usage}")

    async def checkpoints(self, number: int) -> Kept:  # noqa: ARG002 # a replayed round begins at its beginning
        return Kept()

    async def keep_checkpoint(self, new: Checkpoint) -> None:
        """Keeps nothing."""


def _name(call: Call) -> str:
    return f"{call.step} call {call.number}"
