"""What the journal keeps, frozen and detached from the database."""

from dataclasses import dataclass
from functools import cached_property

from aicd_core.contracts import ChangeSet, ModelRequest, PromptUse


@dataclass(frozen=True)
class Call:
    """A call of a model, and how it is found again within its job.

    `step` is `plan/<attempt>`, `code/<round>` or `review/<round>`; `number` counts the step's calls from 0.
    """

    step: str
    number: int
    request: ModelRequest

    @cached_property
    def request_hash(self) -> bytes:
        """The digest of the request."""
        return self.request.digest()

    @property
    def entry_key(self) -> str:
        """The key of its entry in the ledger."""
        return f"call/{self.step}/{self.number}/{self.request_hash.hex()}"


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint of a coding round. `calls`: how many calls of the model the round had made by then."""

    round: int
    number: int
    calls: int
    change_set: ChangeSet
    history: bytes


@dataclass(frozen=True)
class Kept:
    """How far a round's checkpoints came: fragments of the message history, and the last one's change and calls."""

    history: tuple[bytes, ...] = ()
    change_set: ChangeSet | None = None
    calls: int = 0


@dataclass(frozen=True)
class CallDigest:
    """A stored call without its texts, of which there are the SHA-256, and the prompts that it was made from."""

    step: str
    number: int
    model: str
    request_sha256: bytes
    reply_sha256: bytes
    prompts: tuple[PromptUse, ...] = ()
