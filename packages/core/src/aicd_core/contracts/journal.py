"""The door through which an agent calls a model: what was answered once is never paid for again."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol

from pydantic import Field, StringConstraints

from aicd_core.contracts.usage import Usage
from aicd_core.contracts.values import Value

ModelName = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,200}$")]
PromptWord = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,100}$")]
ProviderName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,100}$")]
UNNAMED_PROVIDER = "_OTHER"


class PromptUse(Value):
    """One version of one prompt of an agent, as the evidence names it. `sha256` is hex, over the bytes of its file."""

    role: PromptWord
    name: PromptWord
    version: int = Field(ge=1)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ModelRequest(Value):
    """One request to a model, as bytes that are the same whenever it is asked again.

    So `content` holds no time, no random id and nothing of this machine; keys of JSON objects are sorted. `prompts`
    says from which prompts it was made, for the evidence; they are kept with it and do not make it another request.

    `provider` says who is asked, in the words of OpenTelemetry's `gen_ai.provider.name` (`anthropic`, `openai`), for
    traces alone. None: nobody is, and what is kept is no model's, such as what a tool answered; it is no call of a
    model in figures and traces.
    """

    model: ModelName
    content: bytes
    prompts: tuple[PromptUse, ...] = ()
    provider: ProviderName | None = UNNAMED_PROVIDER

    def canonical(self) -> bytes:
        """The model's name, a NUL and the content: all that makes two requests the same."""
        return self.model.encode() + b"\0" + self.content

    def digest(self) -> bytes:
        """SHA-256 of the canonical form."""
        return hashlib.sha256(self.canonical()).digest()


class ModelReply(Value):
    """What a model answered, as it came, and what the call cost."""

    content: bytes
    usage: Usage


class Journal(Protocol):
    """Keeps each reply before anybody uses it."""

    async def call(
        self, request: ModelRequest, send: Callable[[], Awaitable[ModelReply]], *, worst_case: int | None = None
    ) -> ModelReply:
        """The reply to the request: the one that is kept, or that of `send`, which is kept before it is returned.

        Calls of a step are numbered in the order in which they are made, and a kept reply is found again by job, step,
        number and the digest of the request. What it cost goes to the ledger with it, so it is not to be given to
        `AgentSession.spend`. Retries of a call belong into `send`.

        Args:
            worst_case: the most that the call can cost, in micro-USD. It is reserved before `send` is awaited, and
                given back when what the call did cost is on the ledger. None is not known: it is sent unless a budget
                is used up. 0 is for what costs nothing: no budget is asked.

        Raises:
            LimitReachedError: the worst case does not fit in the budget; nothing was sent. Let it pass: the job pauses.
            UnavailableError: code `model_timeout`: `send` took longer than AICD_MODEL_CALL_TIMEOUT.
            ConflictError: code `lease_lost`: another worker has the job; nothing was kept.
            Exception: whatever `send` raises; nothing is kept, and a retry has the same number.
        """
        ...
