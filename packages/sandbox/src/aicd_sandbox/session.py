"""One running sandbox, whatever it is made of: its command server, its proxy, its watch over the tree."""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from aicd_core.contracts import CacheMount, CommandResult, SandboxLimits
from aicd_core.errors import UnavailableError
from aicd_core.telemetry.metrics import SANDBOX_COMMANDS
from aicd_core.telemetry.tracing import span
from aicd_core.text import one_line
from aicd_sandbox.arguments import (
    CACHE_ENVIRONMENT,
    CACHE_SETUP_ENVIRONMENT,
    PROXY_ENVIRONMENT,
    environment,
    require_runnable,
)
from aicd_sandbox.cgroups import Cgroup
from aicd_sandbox.channel import Channel
from aicd_sandbox.command import Box, Call, Ending, LimitError, RunningCommand, to_the_end
from aicd_sandbox.egress.proxy import EgressProxy, Internet
from aicd_sandbox.egress.rules import WaysOut
from aicd_sandbox.output import CommandOutput
from aicd_sandbox.tree_watch import TreeWatch

MOST_OUTPUT = 1024**3
"""Bytes that a command may print before it is ended: far beyond any test run, and before an endless loop
has kept the worker busy for the whole of its time."""
SHOWN = 200
"""Characters of a command in its span."""


@dataclass(frozen=True)
class Place:
    """What a sandbox was opened on: `owner` is (uid, gid) of its commands where that is not the caller's."""

    limits: SandboxLimits
    tree: Path
    cache: CacheMount | None
    logs: Path | None
    owner: tuple[int, int] | None


class CommandSession:
    """See `aicd_core.contracts.SandboxSession`. Takes ownership of box, channel, listener and group."""

    def __init__(
        self,
        place: Place,
        box: Box,
        channel: Channel,
        listener: socket.socket,
        internet: Internet,
        cgroup: Cgroup | None,
    ) -> None:
        self._place = place
        self._box = box
        self._channel = channel
        self._proxy = EgressProxy(listener, internet)
        self._cgroup = cgroup
        written = (place.tree, *((place.cache.folder,) if place.cache and place.cache.writable else ()))
        self._watch = TreeWatch(written, place.limits.tree_size, place.limits.tree_files, box.init)
        self._turn = asyncio.Lock()
        self._alive = True

    @property
    def alive(self) -> bool:
        return self._alive

    @property
    def grouped(self) -> bool:
        """Whether the limits hold for the sandbox as a whole."""
        return self._cgroup is not None

    async def start(self) -> None:
        """Opens the way out that leads nowhere yet."""
        await self._proxy.start()

    async def run(
        self,
        command: str,
        *,
        timeout: float,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        on_output: Callable[[str], None] | None = None,
        hosts: Sequence[str] = (),
        refused: Sequence[str] = (),
    ) -> CommandResult:
        """See `aicd_core.contracts.SandboxSession.run`; commands at the same time wait for each other.

        A command that prints more than a gigabyte is ended, `killed` by the `output limit`. NUL characters
        in what it prints are replaced.

        Raises:
            InvalidInputError: a command or an environment that no process can be given.
            UnavailableError: `sandbox_ended`, it is not alive; `sandbox_stuck`, the kernel could not end it.
        """
        require_runnable(command)
        ways_out = WaysOut.of(hosts, refused)
        variables = environment(self._own_environment(ways_out), env or {})
        limits = self._place.limits
        with ExitStack() as stack:
            output = CommandOutput(limits.output, on_output, self._place.logs, limits.log)
            stack.callback(output.close)

            def sink(data: bytes) -> None:
                output.feed(data)
                if output.total > MOST_OUTPUT:
                    raise LimitError("output limit")

            call = Call(command, variables, stdin, timeout, sink, self._watch.watch)
            async with self._turn:
                try:
                    return await self._traced(call, output, ways_out)
                finally:
                    if not self._alive:
                        await to_the_end(self._clear_up())

    async def _traced(self, call: Call, output: CommandOutput, ways_out: WaysOut) -> CommandResult:
        with span("command", {"aicd.command": one_line(call.command, SHOWN)}) as told:
            result = await self._take_turn(call, output, ways_out)
            told.set_attribute("aicd.outcome", result.outcome())
            if result.exit_code is not None:
                told.set_attribute("process.exit.code", result.exit_code)
        return result

    async def _take_turn(self, call: Call, output: CommandOutput, ways_out: WaysOut) -> CommandResult:
        if not self._alive:
            raise UnavailableError("The sandbox has ended; open another one.", code="sandbox_ended")
        kills = self._cgroup.memory_kills() if self._cgroup else 0
        self._proxy.begin(ways_out)
        began = time.monotonic()
        running = RunningCommand(self._channel, self._box, call, self._place.owner)
        try:
            ending = await running.run()
        finally:
            duration = time.monotonic() - began
            if running.ending.lost:
                self._alive = False
            denials = await to_the_end(self._proxy.finish())
        killed = self._cause(ending, kills)
        text, missing = output.result()
        SANDBOX_COMMANDS.labels(_outcome(ending, killed)).inc()
        return CommandResult(
            command=call.command,
            exit_code=None if ending.timed_out or killed else ending.code,
            output=text,
            duration=duration,
            timed_out=ending.timed_out,
            killed=killed,
            truncated_bytes=missing,
            log=str(output.log) if output.log else None,
            denials=denials,
        )

    async def close(self) -> None:
        """See `aicd_core.contracts.SandboxSession.close`.

        Raises:
            UnavailableError: `sandbox_stuck`.
        """
        self._alive = False
        await to_the_end(self._close())

    async def _close(self) -> None:
        try:
            await self._box.end()
        finally:
            # A command that runs sees its sandbox end, and clears up then: it still listens to the channel.
            if not self._turn.locked():
                await self._clear_up()

    async def _clear_up(self) -> None:
        """What is left of a sandbox that has ended; a second time does nothing."""
        self._channel.close()
        await self._proxy.close()
        if self._cgroup is not None:
            await asyncio.to_thread(self._cgroup.remove)

    def _cause(self, ending: Ending, kills_before: int) -> str | None:
        """The limit that ended the command, or what else did from outside."""
        if ending.limit or ending.timed_out:
            return ending.limit
        if self._cgroup and ending.code != 0 and self._cgroup.memory_kills() > kills_before:
            return "memory limit"
        return "the end of the sandbox" if ending.lost else None

    def _own_environment(self, ways_out: WaysOut) -> dict[str, str]:
        cache = self._place.cache
        return {
            **(PROXY_ENVIRONMENT if ways_out else {}),
            **(CACHE_ENVIRONMENT if cache else {}),
            **(CACHE_SETUP_ENVIRONMENT if cache and cache.writable else {}),
        }


async def establish(
    place: Place, box: Box, channel: Channel, internet: Internet, cgroup: Cgroup | None = None
) -> CommandSession:
    """The session of a sandbox that was just started; ends it when it does not come to stand.

    Raises:
        StartError: it does not.
    """
    try:
        listener = await box.ready(channel)
    except BaseException:
        channel.close()
        await to_the_end(_abandon(box, cgroup))
        raise
    session = CommandSession(place, box, channel, listener, internet, cgroup)
    try:
        await session.start()
    except BaseException:
        await session.close()
        raise
    return session


async def _abandon(box: Box, cgroup: Cgroup | None) -> None:
    try:
        await box.end()
    finally:
        if cgroup is not None:
            await asyncio.to_thread(cgroup.remove)


def _outcome(ending: Ending, killed: str | None) -> str:
    """How a command ended, in a word."""
    if ending.timed_out:
        return "timed_out"
    if killed:
        return "killed"
    return "failed" if ending.code else "passed"
