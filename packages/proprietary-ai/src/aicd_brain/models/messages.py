"""What is said to a model and what it answers, in a form that belongs to no vendor."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from aicd_core.contracts import PromptUse
from aicd_core.contracts.values import Value


class Text(Value):
    kind: Literal["text"] = "text"
    text: str


class ToolCall(Value):
    """The model wants a tool used. `arguments` is the JSON text exactly as the model wrote it, well-formed or not."""

    kind: Literal["call"] = "call"
    id: str
    name: str
    arguments: str


class ToolResult(Value):
    """What a tool answered to the call with that id."""

    kind: Literal["result"] = "result"
    call_id: str
    text: str
    failed: bool = False


class Native(Value):
    """A block that only its own vendor understands (thoughts, with their signature): kept, and sent back unchanged."""

    kind: Literal["native"] = "native"
    vendor: str
    block: str


Part = Annotated[Text | ToolCall | ToolResult | Native, Field(discriminator="kind")]


class Message(Value):
    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]

    def text(self) -> str:
        """All its text parts, one per line."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))

    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


def say(text: str) -> Message:
    """A user's message of one text."""
    return Message(role="user", parts=(Text(text=text),))


@dataclass(frozen=True)
class ToolSpec:
    """A tool as a model is told of it; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One call of a model.

    Args:
        max_output: tokens that it may answer with.
        cache_key: the same for all requests that begin alike, so that a vendor can keep them together.
        prompts: those that it is made from, for the record; they are not sent.
    """

    model: str
    system: str
    tools: tuple[ToolSpec, ...]
    messages: tuple[Message, ...]
    max_output: int
    cache_key: str
    prompts: tuple[PromptUse, ...] = ()


class Stop(StrEnum):
    """Why a model stopped: it had said all, it wants tools used, it ran out of room, or it will not answer."""

    END = "end"
    TOOLS = "tools"
    LENGTH = "length"
    REFUSAL = "refusal"


class Tokens(Value):
    """Four counters that do not overlap: their sum is all that was read and written."""

    input: int = Field(default=0, ge=0)
    cached_input: int = Field(default=0, ge=0)
    cache_write: int = Field(default=0, ge=0)
    output: int = Field(default=0, ge=0)

    @property
    def prompt(self) -> int:
        """Everything that was read."""
        return self.input + self.cached_input + self.cache_write


class Reply(Value):
    message: Message
    stop: Stop
    tokens: Tokens
