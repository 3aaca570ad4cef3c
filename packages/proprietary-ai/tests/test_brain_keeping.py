"""A turn is kept while the model is asked on, and nothing touches the tree before it was read."""

import asyncio
import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from aicd_brain.loop.keeping import Keeping
from aicd_brain.loop.loop import TOGETHER, Loop, Opening
from aicd_brain.loop.speaker import Speaker
from aicd_brain.models.gateway import Answer
from aicd_brain.models.messages import Message, Reply, Stop, Tokens, ToolCall, ToolSpec, say
from aicd_brain.tools.tool import Said, Tool
from aicd_core.contracts import Left
from aicd_core.contracts.values import Value


class Result(Value):
    text: str = "done"


class Talk:
    """A model, a session and two tools that note what happens; a checkpoint goes on when it is let."""

    def __init__(self, turns: Sequence[str] = ("change", "again", "done")) -> None:
        self.noted: list[str] = []
        self.read, self.stored = asyncio.Event(), asyncio.Event()
        self.asked_again = asyncio.Event()
        self.history = ()
        self.gateway = SimpleNamespace(session=self)
        self.model, self.context = "m", 1000
        self._turns = iter(turns)

    def emit(self, message: str) -> None:
        """Nobody watches."""

    async def checkpoint(self, history: bytes, on_taken: Callable[[], None]) -> None:
        self.noted.append(f"keeping {len(json.loads(history))}")
        await self.read.wait()
        on_taken()
        await self.stored.wait()
        self.noted.append("kept")

    async def ask(self, *_: object) -> Answer:
        name = next(self._turns)
        if name == "again":
            self.asked_again.set()
        await asyncio.sleep(0)
        self.noted.append(f"answered {name}")
        said = Message(
            role="assistant", parts=(ToolCall(id=name, name=name, arguments=json.dumps({"at": len(self.noted)})),)
        )
        return Answer(Reply(message=said, stop=Stop.TOOLS, tokens=Tokens()), Left(seconds=100))

    def tool(self, name: str, result: Result | None = None) -> Tool:
        async def use(_: object) -> Said:
            self.noted.append(f"used {name}")
            return Said("ok", result=result)

        return Tool(ToolSpec(name, name, {}), use, changes=True)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_next_turn_goes_on_while_one_is_kept_but_no_tool_is_used_before_the_tree_was_read():
    talk = Talk()
    tools = (talk.tool("change"), talk.tool("again"), talk.tool("done", Result()))
    running = asyncio.ensure_future(Loop(cast("Speaker", talk), tools, Opening(say("go"), ()), 9, keeps=True).run())
    await talk.asked_again.wait()
    await settle()
    assert talk.noted == ["answered change", "used change", "keeping 1", "answered again"]
    talk.read.set()
    await settle()
    assert talk.noted[4:] == ["used again", "answered done", "used done"]
    talk.stored.set()
    assert (await running).result == Result()
    assert talk.noted[4:-1] == ["used again", "answered done", "used done"]
    assert talk.noted[-1] == "kept", "the conversation has ended when all of it is kept"


async def test_turns_that_are_quicker_than_keeping_go_together_but_not_without_end():
    talk = Talk(["change"] * (TOGETHER + 3) + ["done"])
    talk.read.set()
    tools = (talk.tool("change"), talk.tool("done", Result()))
    running = asyncio.ensure_future(Loop(cast("Speaker", talk), tools, Opening(say("go"), ()), 99, keeps=True).run())
    await settle()
    await settle()
    assert talk.noted.count("used change") == 1 + TOGETHER
    assert "keeping 1" in talk.noted
    talk.stored.set()
    await running
    kept = [int(word.split()[1]) for word in talk.noted if word.startswith("keep")]
    assert (kept[:2], sum(kept)) == ([1, TOGETHER], TOGETHER + 3)


async def test_a_turn_that_could_not_be_read_ends_the_conversation_before_a_tool_is_used():
    talk = Talk()

    async def refuse(history: bytes, on_taken: object) -> None:
        raise ValueError("a repository in it")

    talk.checkpoint = refuse
    tools = (talk.tool("change"), talk.tool("again"))
    with pytest.raises(ValueError, match="a repository in it"):
        await Loop(cast("Speaker", talk), tools, Opening(say("go"), ()), 9, keeps=True).run()
    assert "used again" not in talk.noted


async def test_what_went_wrong_while_a_turn_was_kept_ends_the_conversation():
    async def fail(_: object) -> None:
        raise ValueError("the disk is full")

    async def work() -> None:
        async with Keeping() as keeping:
            keeping.begin(fail)

    with pytest.raises(ValueError, match="the disk is full"):
        await work()


async def test_an_error_beside_it_waits_until_the_turn_is_kept():
    kept: list[bool] = []

    async def keep(_: object) -> None:
        await asyncio.sleep(0)
        kept.append(True)

    async def work() -> None:
        async with Keeping() as keeping:
            keeping.begin(keep)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await work()
    assert kept == [True]


async def test_a_cancellation_ends_the_keeping_however_often_it_comes():
    begun, ended = asyncio.Event(), asyncio.Event()

    async def keep(_: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            ended.set()

    async def work() -> None:
        async with Keeping() as keeping:
            keeping.begin(keep)
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
