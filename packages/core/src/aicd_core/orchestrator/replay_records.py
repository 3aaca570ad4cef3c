"""What a replayed step reads and keeps: everything recorded before it is there, and nothing that it makes is stored."""

from aicd_core.contracts import ModelReply, Usage
from aicd_core.errors import ConflictError
from aicd_core.jobs.models import ArtifactKind
from aicd_core.journal.values import Call, Checkpoint, Kept
from aicd_core.orchestrator.comparison import Compared, compare, missing
from aicd_core.orchestrator.recording import Recording
from aicd_core.orchestrator.records import NOTHING, Books, ValueT
from aicd_core.policy import Rules


class NotInJournalError(ConflictError):
    """A replayed step asked a model for something that the journal does not hold."""

    default_code = "not_in_journal"


class ReplayRecords:
    """A `StepRecords` for one replayed step. `answered` counts its calls; `not_found` says which had no reply."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.answered = 0
        self.not_found: list[Compared] = []

    async def load(self, kind: ArtifactKind, model: type[ValueT], number: int) -> ValueT | None:
        return await self._recording.load(kind, model, number)

    async def keep(self, kind: ArtifactKind, number: int, value: ValueT, usage: Usage = NOTHING) -> ValueT:  # noqa: ARG002 # a replay keeps nothing
        return value

    async def comments(self, attempt: int) -> tuple[str, ...]:
        return await self._recording.comments(attempt)

    async def asks_approval(self) -> bool:
        return False  # as with the terms of the organization: a replay waits for nobody

    async def usage(self) -> Usage:
        raise AssertionError("a replay publishes nothing, so nobody asks what it cost")

    async def organization_rules(self) -> Rules:
        return await self._recording.organization_rules()

    async def books(self) -> Books:
        raise AssertionError("a replay publishes nothing, so it makes no evidence")

    async def find_reply(self, call: Call) -> ModelReply:
        """The reply of the journal.

        Raises:
            NotInJournalError: it holds none; what it holds in its place is in `not_found`.
        """
        found = await self._recording.find_reply(call)
        if found is None:
            self.not_found.append(await self._nearest(call))
            raise NotInJournalError(f"The journal of job {self._recording.job.id} holds no reply to {call.name}.")
        self.answered += 1
        return found

    async def _nearest(self, call: Call) -> Compared:
        """The call compared with the one that the journal holds in its place."""
        recorded = await self._recording.find_request(call)
        name, made = f"{call.name} request", self._recording.masked_request(call.request).canonical()
        if recorded is None:
            return missing(name, None, made, "the journal holds no such call")
        return compare(name, recorded.canonical(), made)

    async def keep_reply(self, call: Call, reply: ModelReply) -> None:
        raise AssertionError(f"a replay sends nothing, and yet {call.name} was answered: {reply.usage}")

    async def checkpoints(self, number: int) -> Kept:  # noqa: ARG002 # a replayed round begins at its beginning
        return Kept()

    async def keep_checkpoint(self, new: Checkpoint) -> None:
        """Keeps nothing."""
