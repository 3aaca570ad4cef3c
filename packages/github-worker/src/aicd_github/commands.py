"""The sandbox of one work tree: opened by the first command, ended with the step or when the tree is laid anew."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from aicd_core.contracts.egress import Denial
from aicd_core.contracts.evidence import CommandResult
from aicd_core.contracts.sandbox import CacheMount, Phase, Sandbox, SandboxSession
from aicd_core.errors import InvalidInputError
from aicd_github.caches import RepositoryCache


class StepSandbox:
    """Runs the commands of one work tree.

    A tree that was laid anew gets a new sandbox: what commands left in memory, in /tmp or in $HOME must not make
    the tests of another tree pass.

    Args:
        logs: folder for output that is longer than what is kept.
        cache: of the repository's dependencies; None goes without.
    """

    def __init__(self, sandbox: Sandbox, tree: Path, logs: Path, cache: RepositoryCache | None = None) -> None:
        self._sandbox = sandbox
        self._tree = tree
        self._logs = logs
        self._cache = cache
        self._phase = Phase.CODING
        self._hosts: tuple[str, ...] = ()
        self._refused: tuple[str, ...] = ()
        self._open: tuple[SandboxSession, CacheMount | None] | None = None
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._denials: dict[Denial, None] = {}

    @property
    def denials(self) -> tuple[Denial, ...]:
        """What commands were refused since the tree was laid, each once."""
        return tuple(self._denials)

    async def enter(self, phase: Phase, hosts: Sequence[str], refused: Sequence[str] = ()) -> None:
        """Says what the commands from now on are for, which hosts they may ask for, and which they are told about.

        SETUP begins with a new sandbox, whose cache is a copy that can be changed; the tests after it run in the same.
        """
        if phase is Phase.SETUP:
            await self.close()
        self._phase = phase
        self._hosts, self._refused = tuple(hosts), tuple(refused)

    async def run(
        self, command: str, *, timeout: float, stdin: bytes, on_output: Callable[[str], None], network: bool
    ) -> CommandResult:
        """Runs a command; see `SandboxSession.run`.

        Raises:
            InvalidInputError: `network_refused`; no host is allowed.
        """
        if network and not self._hosts and not self._refused:
            raise InvalidInputError(
                f"No host may be reached in this phase. A person allows hosts in .aicd.yml, under network."
                f"{self._phase.value}, or adds to the repository what the command would fetch.",
                code="network_refused",
            )
        async with self._opening:
            session = await self._session()
        hosts, refused = (self._hosts, self._refused) if network else ((), ())
        result = await session.run(
            command, timeout=timeout, stdin=stdin, on_output=on_output, hosts=hosts, refused=refused
        )
        self._denials |= dict.fromkeys(result.denials)
        return result

    async def keep_cache(self) -> None:
        """Shows what set-up downloaded to the jobs to come."""
        if self._cache is not None and self._open is not None and self._open[1] is not None and self._open[1].writable:
            await self._cache.keep(self._open[1])

    async def begin_anew(self) -> None:
        """The tree is about to be laid anew."""
        self._denials = {}
        await self.close()

    async def close(self) -> None:
        """Ends the sandbox and everything in it."""
        self._open = None
        await self._stack.aclose()

    async def _session(self) -> SandboxSession:
        if self._open is not None and not self._open[0].alive:
            await self.close()
        if self._open is None:
            cache = await self._mount()
            session = await self._sandbox.open(self._tree, cache=cache, logs=self._logs)
            self._stack.push_async_callback(session.close)
            self._open = (session, cache)
        return self._open[0]

    async def _mount(self) -> CacheMount | None:
        if self._cache is None:
            return None
        if self._phase is Phase.SETUP:
            return await self._stack.enter_async_context(self._cache.private())
        return await self._stack.enter_async_context(self._cache.shared())
