"""What a scripted model says, and how it finds the place in its script. Pure.

A script has, for each role, a list of conversations, each a list of turns. A conversation is known by how it begins;
the last one of a role, and the last turn of each, stand for all that follow.
"""

import hashlib
import json
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from aicd_brain.models.messages import Tokens
from aicd_core.contracts.values import Value

ROLES = {"You plan": "planner", "You carry out": "coder", "You decide": "critic"}
"""How the system prompts begin."""
ANY_ROLE = "any"
BYTES_PER_TOKEN = 4


class Call(Value):
    """A tool call; `arguments` that are text are sent as they stand, well-formed or not."""

    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict)

    def text(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


class Failure(Value):
    """One attempt that goes wrong: an error status, or a stream cut or stalled after so many events.

    `model` confines it to the requests for that model. `times` says how many attempts in a row.
    """

    status: int = 200
    detail: str = "scripted"
    retry_after: float | None = None
    cut_after: int | None = None
    stall: float | None = None
    model: str | None = None
    times: int = 1


class Turn(Value):
    """One answer. `pace` is in seconds between two events of its stream."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    stop: Literal["length", "refusal"] | None = None
    failures: tuple[Failure, ...] = ()
    pace: float = 0

    def failure(self, model: str, attempt: int) -> Failure | None:
        """What befalls the attempt (from 0) at a model."""
        mine = [one for one in self.failures if one.model in {None, model} for _ in range(one.times)]
        return mine[attempt] if attempt < len(mine) else None

    def output_tokens(self) -> int:
        return sum(len(text) for text in (self.text, *(call.text() for call in self.calls))) // BYTES_PER_TOKEN + 1


class Script(Value):
    """Turns by role; a role that is left out takes those of `any`."""

    roles: dict[str, tuple[tuple[Turn, ...], ...]]

    @classmethod
    def read(cls, place: Path) -> "Script":
        return cls.model_validate_json(place.read_bytes())

    def turn(self, role: str, conversation: int, number: int) -> Turn:
        conversations = self.roles[role if role in self.roles else ANY_ROLE]
        turns = conversations[min(conversation, len(conversations) - 1)]
        return turns[min(number, len(turns) - 1)]


@dataclass(frozen=True)
class Asked:
    """A request as far as the script is concerned: who is asked, and every message as canonical text."""

    system: str
    messages: tuple[str, ...]
    model: str

    @property
    def role(self) -> str:
        return next((role for start, role in ROLES.items() if self.system.startswith(start)), ANY_ROLE)


@dataclass
class _Conversation:
    number: int
    turns: dict[str, int] = field(default_factory=dict)
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where in the script a request stands, and how much of its prompt was seen before."""

    role: str
    conversation: int
    number: int
    attempt: int
    turn: Turn
    tokens: Tokens


class Reader:
    """Follows all conversations of one server. The same request stands in the same place, whenever it comes again."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._conversations: dict[str, dict[str, _Conversation]] = {}
        self._attempts: dict[tuple[str, str], int] = {}

    def place(self, asked: Asked) -> Place:
        known = self._conversations.setdefault(asked.role, {})
        conversation = known.setdefault(_digest(asked.messages[0]), _Conversation(len(known)))
        prompt = "\n".join((asked.system, *asked.messages))
        digest = _digest(prompt)
        cached = len(asked.system) + _alike(asked.messages, conversation.before) if conversation.before else 0
        number = conversation.turns.setdefault(digest, len(conversation.turns))
        conversation.before = asked.messages
        key = (digest, asked.model)
        self._attempts[key] = self._attempts.get(key, -1) + 1
        turn = self._script.turn(asked.role, conversation.number, number)
        total = len(prompt) // BYTES_PER_TOKEN + 1
        kept = cached // BYTES_PER_TOKEN
        tokens = Tokens(input=1, cached_input=kept, cache_write=total - kept, output=turn.output_tokens())
        return Place(asked.role, conversation.number, number, self._attempts[key], turn, tokens)


def _alike(messages: tuple[str, ...], before: tuple[str, ...]) -> int:
    """Characters of the messages that two prompts begin with alike."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(messages, before, strict=False))
    return sum(len(message) + 1 for message, _ in pairs)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
