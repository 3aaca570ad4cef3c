"""Ask, use tools, append; until a tool ends it, or it leads nowhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from pydantic import BaseModel
from pydantic_core import from_json

from aicd_brain.catalogue import Prompt
from aicd_brain.loop.circles import circle
from aicd_brain.loop.keeping import Keeping
from aicd_brain.loop.speaker import Speaker
from aicd_brain.loop.turns import Conversation, Turn, from_fragments, to_fragment
from aicd_brain.loop.warnings import warnings
from aicd_brain.models.gateway import Answer, canonical
from aicd_brain.models.messages import Message, Part, Reply, Stop, Text, ToolCall, ToolResult
from aicd_brain.tools.tool import Said, Tool
from aicd_core.contracts import AgentSession, ModelReply, ModelRequest, Usage
from aicd_core.errors import StepFailedError
from aicd_core.text import one_line

OBSERVATION = "observation"
"""The name under which the journal keeps what a tool answered that may answer otherwise the next time."""
SILENT = 3
"""Answers without a tool call, in a row, after which nothing more is expected."""

TOGETHER = 5
"""Turns that are kept in one checkpoint at most, when each is quicker than keeping those before it."""


class Why(StrEnum):
    """Why a conversation ended without a result, in words that a person reads."""

    TURNS = "it used up its turns"
    CIRCLES = "it went in circles and did not stop when told"
    SILENT = "it answered without using a tool, again and again"
    REFUSED = "the model refused"


@dataclass(frozen=True)
class Ended:
    """How a conversation ended: with what a tool gave as its result, or why without one."""

    result: BaseModel | None
    why: Why | None = None


@dataclass(frozen=True)
class Opening:
    """What a conversation begins with, and the prompts that it was made from."""

    message: Message
    prompts: tuple[Prompt, ...]

    @classmethod
    def of(cls, *rendered: tuple[Prompt, str]) -> "Opening":
        """One message of several prompts, each with what became of it when it was filled in."""
        parts = tuple(Text(text=text) for _, text in rendered)
        return cls(Message(role="user", parts=parts), tuple(prompt for prompt, _ in rendered))


@dataclass
class Loop:
    """One conversation of one role.

    Args:
        keeps: whether turns that changed the tree are kept as checkpoints; `session.history` is gone on from then. A
            turn is kept while the conversation goes on: a crash in between costs no call, only the commands since the
            last checkpoint once more.
    """

    speaker: Speaker
    tools: Sequence[Tool]
    opening: Opening
    max_turns: int
    keeps: bool = False
    conversation: Conversation = field(init=False)
    _kept: int = field(init=False, default=0)
    _changed: bool = field(init=False, default=False)
    _keeping: Keeping = field(init=False, default_factory=Keeping)

    def __post_init__(self) -> None:
        turns = from_fragments(self._session.history) if self.keeps else []
        self.conversation = Conversation.resumed(self.opening.message, self.speaker.context, turns)
        self._kept = len(turns)

    @property
    def _session(self) -> AgentSession:
        return self.speaker.gateway.session

    async def run(self) -> Ended:
        """Goes on until the end.

        Raises:
            StepFailedError: code `context_overflow`: not even the shortest conversation fits into the model.
        """
        async with self._keeping:
            while len(self.conversation.turns) < self.max_turns:
                answer, overflowed = await self._ask()
                await self._keeping.taken()  # the tree is not touched again before
                assert answer.reply is not None, "asking ends with a reply"
                if answer.reply.stop is Stop.REFUSAL:
                    return Ended(None, Why.REFUSED)
                ended = await self._take(answer, answer.reply, overflowed=overflowed)
                if ended is not None:
                    return ended
            return Ended(None, Why.TURNS)

    async def _ask(self) -> tuple[Answer, bool]:
        """The model's next answer, and whether the conversation had to be made shorter for it."""
        specs = tuple(tool.spec for tool in self.tools)
        overflowed = False
        while True:
            answer = await self.speaker.ask(self.conversation.messages, specs, self.opening.prompts)
            if answer.reply is not None:
                return answer, overflowed
            if not self.conversation.compact():
                raise StepFailedError(
                    f"The conversation is too long for the model {self.speaker.model!r}, although it was made as short "
                    "as can be. Choose a model with more room, or make the issue smaller.",
                    code="context_overflow",
                )
            overflowed = True

    async def _take(self, answer: Answer, reply: Reply, *, overflowed: bool) -> Ended | None:
        """Carries out what the model said, and appends it with what came of it."""
        parts: list[Part] = []
        changed = False
        for call in reply.message.calls():
            said = await self._use(call, cut=reply.stop is Stop.LENGTH)
            if said.result is not None:
                return Ended(said.result)
            parts.append(ToolResult(call_id=call.id, text=said.shown(), failed=said.failed))
            changed = changed or any(tool.changes for tool in self.tools if tool.spec.name == call.name)
        if not parts:
            parts.append(Text(text=self._nothing_done(reply)))
        turn = self._with_notices(
            Turn(said=reply.message, answered=Message(role="user", parts=tuple(parts)), left=answer.left),
            overflowed=overflowed,
        )
        if turn is None:
            return Ended(None, Why.CIRCLES)
        self.conversation.add(turn)
        self._changed = self._changed or changed
        if self.keeps and self._changed:
            await self._keep()
        return Ended(None, Why.SILENT) if self._is_silent() else None

    async def _keep(self) -> None:
        """Begins to keep what is new; or leaves it to the next turn, if this was quicker than keeping those before."""
        new = self.conversation.turns[self._kept :]
        if self._keeping.busy and len(new) < TOGETHER:
            return
        await self._keeping.ended()
        self._keeping.begin(partial(self._session.checkpoint, to_fragment(new)))
        self._kept += len(new)
        self._changed = False

    async def _use(self, call: ToolCall, *, cut: bool) -> Said:
        if cut:
            text = "Your answer was cut off at its longest, so this call was not carried out. Do it in smaller pieces."
            return Said(text, failed=True)
        tool = next((tool for tool in self.tools if tool.spec.name == call.name), None)
        if tool is None:
            known = ", ".join(tool.spec.name for tool in self.tools)
            return Said(f"There is no tool {call.name!r}. There are: {known}.", failed=True)
        self._session.emit(one_line(f"{call.name} {call.arguments}"))
        said = await tool.answer(call)
        return await self._observe(call, said) if tool.observes else said

    async def _observe(self, call: ToolCall, said: Said) -> Said:
        """What the tool answered the first time: output with a time in it must not make another request of the next."""

        async def first() -> ModelReply:
            return ModelReply(content=canonical({"text": said.text, "failed": said.failed}), usage=Usage())

        content = canonical({"call": call.id, "turn": len(self.conversation.turns)})
        asked = ModelRequest(model=OBSERVATION, content=content, provider=None)
        kept = await self._session.journal.call(asked, first, worst_case=0)
        return Said(**from_json(kept.content), outside=said.outside)

    def _nothing_done(self, reply: Reply) -> str:
        if reply.stop is Stop.LENGTH:
            return "Your answer was cut off at its longest. Go on in smaller pieces."
        names = ", ".join(tool.spec.name for tool in self.tools)
        return f"Nothing was done: you used no tool. Go on with one of {names}."

    def _with_notices(self, turn: Turn, *, overflowed: bool) -> Turn | None:
        """The turn with whatever the model must be told besides; None when it was told and goes in circles again."""
        so_far = self.conversation.turns
        doing = circle([*so_far, turn])
        if doing is not None and any(before.nudged for before in so_far):
            return None
        short = warnings(so_far, turn.left)
        told = list(short.values())
        if doing is not None:
            told.append(f"{doing} It leads nowhere. Find out why before you go on, or take another way.")
        answered = Message(role="user", parts=(*turn.answered.parts, *(Text(text=text) for text in told)))
        return turn.model_copy(
            update={
                "answered": answered,
                "warned": tuple(short),
                "nudged": doing is not None,
                "overflowed": overflowed,
            }
        )

    def _is_silent(self) -> bool:
        last = self.conversation.turns[-SILENT:]
        return len(last) == SILENT and not any(turn.said.calls() for turn in last)
