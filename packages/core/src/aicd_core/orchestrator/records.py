"""What is stored of one job: sub-results, calls of models and checkpoints, which a re-run step finds and skips."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from aicd_core.contracts import ModelReply, Usage
from aicd_core.contracts.values import Value
from aicd_core.db.database import Database
from aicd_core.db.sessions import Courier, Parcel, ReadSession
from aicd_core.errors import ConflictError
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.models import ArtifactKind
from aicd_core.journal import repository as journal
from aicd_core.journal.texts import Known, Texts
from aicd_core.journal.values import Call, CallDigest, Checkpoint, Kept
from aicd_core.orchestrator.figures import count_cost
from aicd_core.orchestrator.patience import patiently
from aicd_core.policy import Rules, organization_rules
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.repository import get_settings
from aicd_core.tenancy.triggers import TriggerRules
from aicd_core.usage import repository as ledger
from aicd_core.usage.budgets import repository as budgets
from aicd_core.usage.budgets.values import Budget, Hold
from aicd_core.usage.values import LedgerEntry

ResultT = TypeVar("ResultT")
ValueT = TypeVar("ValueT", bound=Value)
NOTHING = Usage()


class LeaseLostError(ConflictError):
    """Another worker has the job now; this one stops without writing."""

    default_code = "lease_lost"


@dataclass(frozen=True)
class Books:
    """The calls of a job and the entries of its ledger, both in order, of one moment."""

    calls: tuple[CallDigest, ...]
    entries: tuple[LedgerEntry, ...]


class Records:
    """Reads and keeps what belongs to a job, for one holding of its lease; each call is at most one transaction.

    Sub-results are never changed once they are stored, so each is read once.

    Args:
        patience: seconds for which a call is repeated while Postgres is away. Whatever it keeps has a name of its own,
            so that what was kept unheard is not kept twice.
    """

    def __init__(self, database: Database, tenant: Tenant, job_id: JobId, owner: str, *, patience: float = 0) -> None:
        self._patience = patience
        self._database = database
        self._courier = database.courier(tenant)
        self._tenant = tenant
        self._job_id = job_id
        self._owner = owner
        self._known: dict[tuple[ArtifactKind, int], Value] = {}
        self._stored: dict[tuple[ArtifactKind, int], bytes] | None = None
        self._texts = Known()
        self._calls: dict[str, set[tuple[int, bytes]]] = {}
        self.cost_booked = True
        """Whether cost may have been booked under this job since `budgets` last answered; before that, by others."""

    async def load(self, kind: ArtifactKind, model: type[ValueT], number: int) -> ValueT | None:
        """The sub-result of a round (of an attempt, for plans), or None."""
        at = (kind, number)
        if at in self._known:
            return cast("ValueT", self._known[at])
        if self._stored is None:
            # All at once: only the holder of the lease adds to them, and here that is whoever asks.
            self._stored = await self._ask(artifacts.get_artifacts)
        content = self._stored.get(at)
        return None if content is None else self._know(at, model.model_validate_json(content))

    async def comments(self, attempt: int) -> tuple[str, ...]:
        """What people said when they sent plans back that were made before an attempt, oldest first."""
        if not attempt:
            return ()
        events = await self._read(lambda session: jobs.list_events(session, self._tenant, self._job_id))
        counted = [event for event in events if event.event in {JobEvent.SENT_BACK, JobEvent.PLAN_INVALID}][:attempt]
        return tuple(str(event.detail["comment"]) for event in counted if event.event is JobEvent.SENT_BACK)

    async def asks_approval(self) -> bool:
        """Whether a person asked, perhaps a moment ago, to see this job's plan before it is carried out."""
        job = await self._read(lambda session: jobs.get_job(session, self._tenant, self._job_id))
        return job is not None and job.asks_approval

    async def usage(self) -> Usage:
        """What the job has used up so far."""
        return await self._ask(ledger.total)

    async def organization_rules(self) -> Rules:
        """The rules of the organisation as they are now; a policy that is tightened holds for jobs at work, too.

        Raises:
            InvalidInputError: the stored policy cannot be read.
        """
        return await self._read(lambda session: organization_rules(session, self._tenant))

    async def trigger_rules(self) -> TriggerRules:
        """Who may ask for work, as the organization has it now."""
        return await self._read(lambda session: _trigger_rules(session, self._tenant))

    async def books(self) -> Books:
        """The job's calls and ledger so far."""
        return await self._read(lambda session: read_books(session, self._tenant, self._job_id))

    async def book(self, usage: Usage) -> None:
        """Puts on the ledger what was spent without a result to show for it."""
        key = f"no-result/{new_uuid()}"
        self._note(usage)
        await self._ask(lambda courier, tenant, job_id: ledger.add_entry(courier, tenant, job_id, key, usage))

    async def keep(self, kind: ArtifactKind, number: int, value: ValueT, usage: Usage = NOTHING) -> ValueT:
        """Stores a sub-result; returns the one that is stored, which an earlier run may have made.

        What this run spent is booked in any case, in the same transaction.

        Raises:
            LeaseLostError: this worker no longer holds the job.
        """
        content, entry = value.model_dump_json().encode(), f"{kind.value}/{number}/{new_uuid()}"
        parcel = Parcel()
        key = (parcel, self._tenant, self._job_id)
        await artifacts.store_artifact(*key, self._owner, kind, number, content)
        self._note(usage)
        if usage != NOTHING:
            await ledger.add_entry(*key, entry, usage)
        courier = parcel.by(self._courier)
        stored = await patiently(
            lambda: artifacts.get_artifact(courier, self._tenant, self._job_id, kind, number), self._patience
        )
        if stored is None:
            raise self._lost()
        return self._know((kind, number), value if stored == content else type(value).model_validate_json(stored))

    async def budgets(self) -> list[Budget]:
        """The budgets that bind the job, as they are now.

        Raises:
            LeaseLostError: this worker no longer holds the job.
        """
        found = self._held(
            await self._ask(lambda courier, tenant, job_id: budgets.list_budgets(courier, tenant, job_id, self._owner))
        )
        self.cost_booked = False
        return found

    async def reserve(self, entry_key: str, micro_usd: int, under_way: tuple[str, ...]) -> list[Budget]:
        """Holds the worst case of a call back, unless it does not fit into one of the budgets that are returned.

        Args:
            under_way: keys of the job's other calls that are under way; whatever else it held back is free again.

        Raises:
            LeaseLostError: this worker no longer holds the job; nothing is held back.
        """
        hold = Hold(self._owner, entry_key, micro_usd, under_way)
        return self._held(
            await self._ask(lambda courier, tenant, job_id: budgets.reserve(courier, tenant, job_id, hold))
        )

    async def find_reply(self, call: Call) -> ModelReply | None:
        """The reply that is kept for the call, with what it cost then; or None."""
        if (call.number, call.request_hash) not in await self._answered(call.step):
            return None
        content = await self._ask(lambda courier, tenant, job_id: journal.get_reply(courier, tenant, job_id, call))
        if content is None:
            return None
        booked = await self._read(lambda session: ledger.get_entry(session, self._tenant, self._job_id, call.entry_key))
        return ModelReply(content=content, usage=booked or NOTHING)

    async def keep_reply(self, call: Call, reply: ModelReply) -> None:
        """Stores a reply and books what it cost, once each, in one transaction and round trip.

        Raises:
            LeaseLostError: this worker no longer holds the job; nothing is stored.
        """
        self._note(reply.usage)
        at = (call.step, call.request.model)
        texts = self._texts.texts(*at, call.request.content, reply.content)
        try:
            await self._store_reply(call, texts, reply)
        except BaseException:
            self._calls.pop(call.step, None)  # to be read anew: it may be kept all the same
            raise
        self._texts.learn(*at, call.request_hash, texts)
        (await self._answered(call.step)).add((call.number, call.request_hash))

    async def _store_reply(self, call: Call, texts: Texts, reply: ModelReply) -> None:
        key = (self._tenant, self._job_id, self._owner)
        parcel = Parcel()
        if reply.usage != NOTHING:
            await ledger.add_holders_entry(parcel, *key, call.entry_key, reply.usage)
        courier = parcel.by(self._courier)
        if await patiently(lambda: journal.store_call(courier, *key, call, texts), self._patience):
            return
        kept = await self._ask(lambda courier, tenant, job_id: journal.get_reply(courier, tenant, job_id, call))
        if kept != reply.content:  # else it was kept unheard
            raise self._lost()

    async def _answered(self, step: str) -> set[tuple[int, bytes]]:
        """Number and hash of the step's calls that are kept, read once: nobody but the holder of the lease adds any."""
        if step not in self._calls:
            self._calls[step] = await self._ask(
                lambda courier, tenant, job_id: journal.list_answered(courier, tenant, job_id, step)
            )
        return self._calls[step]

    async def checkpoints(self, number: int) -> Kept:
        """What the checkpoints of a round kept so far."""
        return await self._ask(lambda courier, tenant, job_id: journal.get_kept(courier, tenant, job_id, number))

    async def keep_checkpoint(self, new: Checkpoint) -> None:
        """Appends a checkpoint.

        Raises:
            LeaseLostError: this worker no longer holds the job; nothing is stored.
        """
        stored = await self._ask(
            lambda courier, tenant, job_id: journal.store_checkpoint(courier, tenant, job_id, self._owner, new)
        )
        if not stored:
            kept = await self.checkpoints(new.round)
            if kept.history[new.number : new.number + 1] != (new.history,):  # else it was kept unheard
                raise self._lost()

    def _note(self, usage: Usage) -> None:
        count_cost(self._tenant.org_id, usage)
        self.cost_booked = self.cost_booked or usage.cost_micro_usd > 0

    def _know(self, at: tuple[ArtifactKind, int], value: ValueT) -> ValueT:
        self._known[at] = value
        return value

    async def _ask(self, work: Callable[[Courier, Tenant, JobId], Awaitable[ResultT]]) -> ResultT:
        """One round trip about the job."""
        return await patiently(lambda: work(self._courier, self._tenant, self._job_id), self._patience)

    async def _read(self, work: Callable[[ReadSession], Awaitable[ResultT]]) -> ResultT:
        async def once() -> ResultT:
            async with self._database.read(self._tenant) as session:
                return await work(session)

        return await patiently(once, self._patience)

    def _held(self, found: list[Budget]) -> list[Budget]:
        if not found:
            raise self._lost()
        return found

    def _lost(self) -> LeaseLostError:
        return LeaseLostError(f"Job {self._job_id} was taken over by another worker.")


async def _trigger_rules(session: ReadSession, tenant: Tenant) -> TriggerRules:
    return (await get_settings(session, tenant)).values.trigger_rules()


async def read_books(session: ReadSession, tenant: Tenant, job_id: JobId) -> Books:
    """A job's calls and ledger so far."""
    calls = await journal.list_digests(session, tenant, job_id)
    return Books(tuple(calls), tuple(await ledger.list_entries(session, tenant, job_id)))


async def is_let_go(session: ReadSession, tenant: Tenant, job_id: JobId) -> bool:
    """Whether a job made calls of which no text is kept any more."""
    calls = await journal.list_digests(session, tenant, job_id)
    return bool(calls) and not await journal.count_contents(session, tenant, job_id)
