"""One command in a running sandbox: fed, listened to, and over for certain when the call returns."""

import asyncio
import fcntl
import os
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from aicd_sandbox.channel import Channel, ChannelClosedError, readable, writable

CHUNK = 65536
"""Bytes; what a pipe holds."""

OUTPUT_PIPE = 1024 * 1024
"""Bytes; the most that a pipe of an ordinary user may hold (pipe(7)). Fewer, longer reads halve the cost of output."""

GRACE_SECONDS = 2.0
"""For the command server to end a command's processes; then the whole sandbox is ended."""

T = TypeVar("T")


class StartError(Exception):
    """The sandbox ended, or hung, before its command server was ready; the message is what its programs said."""


class LimitError(Exception):
    """The command used more of something than it may; the message names the limit."""


class Box(Protocol):
    """What a sandbox is made of, for whom runs commands in it."""

    @property
    def init(self) -> int:
        """The host's number of the sandbox's first process, once it is ready."""
        ...

    async def ready(self, channel: Channel) -> socket.socket:
        """Waits until the command server is there; returns the listening socket of the sandbox's loopback.

        Raises:
            StartError: it does not come.
        """
        ...

    async def end(self) -> None:
        """Ends every process of it and returns when they are gone.

        Raises:
            UnavailableError: `sandbox_stuck`; the kernel does not let go of a killed process.
        """
        ...


@dataclass(frozen=True)
class Call:
    """What to run and what to do with it. `watch` returns never; it raises `LimitError`."""

    command: str
    env: Mapping[str, str]
    stdin: bytes
    timeout: float
    sink: Callable[[bytes], None]
    watch: Callable[[], Coroutine[Any, Any, None]]


@dataclass
class Ending:
    """How a command ended; `lost` when the sandbox ended with it."""

    code: int | None = None
    timed_out: bool = False
    limit: str | None = None
    lost: bool = False


class RunningCommand:
    """Runs one call through the channel."""

    def __init__(self, channel: Channel, box: Box, call: Call, owner: tuple[int, int] | None) -> None:
        self._channel = channel
        self._box = box
        self._call = call
        self._owner = owner
        self.ending = Ending()
        self._stdin: int | None = None

    async def run(self) -> Ending:
        """Returns when no process of the command is left; whatever the sink raised is raised then.

        Raises:
            UnavailableError: `sandbox_stuck`.
        """
        stdin_theirs, self._stdin = os.pipe()
        output, output_theirs = os.pipe()
        try:
            os.set_blocking(self._stdin, False)
            os.set_blocking(output, False)
            with suppress(OSError):  # this user's pipes hold too much already
                fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, OUTPUT_PIPE)
            try:
                self._give_away(stdin_theirs, output_theirs)
                frame = {"run": {"command": self._call.command, "env": dict(self._call.env)}}
                with suppress(ChannelClosedError):  # told again to whoever waits for the reply
                    await self._channel.send(frame, (stdin_theirs, output_theirs))
            finally:
                os.close(stdin_theirs)
                os.close(output_theirs)
            return await self._attend(output)
        finally:
            self._close_stdin()
            os.close(output)

    def _give_away(self, *descriptors: int) -> None:
        """A pipe belongs to who made it, and `/dev/stdout` is opened anew by who uses it."""
        if self._owner is not None:
            for descriptor in descriptors:
                os.fchown(descriptor, *self._owner)

    async def _attend(self, output: int) -> Ending:
        feeding = asyncio.ensure_future(self._feed())
        pumping = asyncio.ensure_future(self._pump(output))
        replying = asyncio.ensure_future(self._reply())
        watching = asyncio.ensure_future(self._call.watch())
        try:
            await self._until_over(replying, {replying, pumping, watching})
        finally:
            await to_the_end(self._finish(replying, pumping, (feeding, pumping, replying, watching)))
        if pumping.done() and not pumping.cancelled():
            self._note(pumping)
        return self.ending

    async def _until_over(self, replying: asyncio.Future[None], running: set[asyncio.Future[None]]) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._call.timeout
        while not replying.done():
            done, _ = await asyncio.wait(running, timeout=end - loop.time(), return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self.ending.timed_out = True
                return
            running -= done
            noted = [self._note(task) for task in done]
            if any(noted):
                return

    def _note(self, task: asyncio.Future[None]) -> bool:
        """Whether what a task raised ends the command."""
        error = task.exception()
        if isinstance(error, LimitError):
            self.ending.limit = str(error)
        elif isinstance(error, ChannelClosedError):
            self.ending.lost = True
        elif error is not None:
            raise error
        return error is not None

    async def _finish(
        self, replying: asyncio.Future[None], pumping: asyncio.Future[None], tasks: tuple[asyncio.Future[None], ...]
    ) -> None:
        try:
            if not replying.done():
                await self._end(replying)
            if not replying.done() or replying.exception() is not None:
                self.ending.lost = True
                await self._box.end()
            # The pipe has no writer any more; only a copy of it made by a fork of this process could be left.
            await asyncio.wait((pumping,), timeout=GRACE_SECONDS)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self, replying: asyncio.Future[None]) -> None:
        with suppress(ChannelClosedError, TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await self._channel.send({"end": True})
                await asyncio.wait((replying,))

    async def _reply(self) -> None:
        frame, descriptors = await self._channel.receive()
        for descriptor in descriptors:
            os.close(descriptor)
        code = frame.get("ended")
        if descriptors or not (code is None or type(code) is int):
            raise ChannelClosedError("the command server sent something else than an ending")
        self.ending.code = code

    async def _feed(self) -> None:
        rest = memoryview(self._call.stdin)
        try:
            while rest and self._stdin is not None:
                await writable(self._stdin)
                with suppress(BlockingIOError):
                    rest = rest[os.write(self._stdin, rest[:CHUNK]) :]
        except BrokenPipeError:
            return
        finally:
            self._close_stdin()

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    async def _pump(self, output: int) -> None:
        while True:
            await readable(output)
            with suppress(BlockingIOError):
                data = os.read(output, OUTPUT_PIPE)
                if not data:
                    return
                self._call.sink(data)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Awaits the work until it is done, also when cancelled meanwhile: the cancellation comes after it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
