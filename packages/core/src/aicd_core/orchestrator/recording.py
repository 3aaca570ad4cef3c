"""What a job left behind and a replay goes by: its results, and the calls of models that were answered."""

from collections.abc import Sequence
from typing import Protocol

from aicd_core.contracts import ModelReply, ModelRequest
from aicd_core.db.database import Database
from aicd_core.errors import NotFoundError
from aicd_core.ids import JobId
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.service import require_job
from aicd_core.jobs.values import JobView
from aicd_core.journal import repository as journal
from aicd_core.journal.errors import JournalDamagedError
from aicd_core.journal.values import Call
from aicd_core.orchestrator.records import Records, ValueT, is_let_go
from aicd_core.policy import Rules
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories import repository as repositories

NOBODY = ""
"""The owner of no lease."""


class Recording(Protocol):
    """One job as it was recorded."""

    @property
    def job(self) -> JobView: ...

    async def results(self, kind: ArtifactKind) -> Sequence[tuple[int, bytes]]:
        """All results of a kind, each with its round (plans: attempt), oldest first."""
        ...

    async def load(self, kind: ArtifactKind, model: type[ValueT], number: int) -> ValueT | None: ...

    async def comments(self, attempt: int) -> tuple[str, ...]: ...

    async def organization_rules(self) -> Rules: ...

    async def find_reply(self, call: Call) -> ModelReply | None:
        """What was answered to the call; None when it was not made."""
        ...

    async def find_request(self, call: Call) -> ModelRequest | None:
        """The oldest request under the call's step and number, whatever it is."""
        ...

    def masked(self, value: ValueT) -> ValueT:
        """A value as the recording would hold it."""
        ...

    def masked_request(self, request: ModelRequest) -> ModelRequest:
        """A request as the recording would hold it."""
        ...


class StoredRecording:
    """The `Recording` in the database; nothing in it is masked. `source` is where the job's repository is."""

    def __init__(self, database: Database, tenant: Tenant, job: JobView, source: str) -> None:
        self._database = database
        self._tenant = tenant
        self._records = Records(database, tenant, job.id, NOBODY)
        self.job = job
        self.source = source
        self.load = self._records.load
        self.comments = self._records.comments
        self.organization_rules = self._records.organization_rules
        self.find_reply = self._records.find_reply

    @classmethod
    async def open(cls, database: Database, tenant: Tenant, job_id: JobId) -> "StoredRecording":
        """The recording of a job.

        Raises:
            NotFoundError: there is no such job (`no_such_job`), or its journal is not kept any more (`journal_gone`).
        """
        async with database.read(tenant) as session:
            job = await require_job(session, tenant, job_id)
            source = await repositories.get_source(session, tenant, job.repository_id)
            if await is_let_go(session, tenant, job_id):
                raise NotFoundError(
                    f"The journal of job {job_id} is gone: AICD_JOURNAL_DAYS after a job has ended, what was said to "
                    "models is removed. Results and evidence are still there: `aicd show`, `aicd verify`. If the "
                    "journal was exported before, play the file: `aicd replay --cassette FILE`.",
                    code="journal_gone",
                )
        assert source is not None, "the database keeps a job's repository"
        return cls(database, tenant, job, source)

    async def results(self, kind: ArtifactKind) -> Sequence[tuple[int, bytes]]:
        async with self._database.read(self._tenant) as session:
            return await artifacts.list_artifacts(session, self._tenant, self.job.id, kind)

    async def find_request(self, call: Call) -> ModelRequest | None:
        async with self._database.read(self._tenant) as session:
            calls = await journal.list_calls(session, self._tenant, self.job.id)
            same = [one for one in calls if (one.step, one.number) == (call.step, call.number)]
            if not same:
                return None
            packed = await journal.get_contents(session, self._tenant, self.job.id)
        text, _ = same[0].texts(packed)
        if text is None:
            raise JournalDamagedError(self.job.id, f"request of {call.name}")
        return ModelRequest(model=same[0].model, content=text)

    def masked(self, value: ValueT) -> ValueT:
        return value

    def masked_request(self, request: ModelRequest) -> ModelRequest:
        return request
