"""Keeping a turn while the model is asked for the next one, and its tools are used."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self


class Keeping:
    """A context in which one thing at a time is kept beside whatever else is done; it has ended when the block has.

    The block's own error goes before that of the keeping; a cancelled block cancels it, any other lets it end.
    """

    def __init__(self) -> None:
        self._task: asyncio.Future[None] | None = None
        self._taken = asyncio.Event()

    def begin(self, keep: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        """Has something kept from now on; what was begun before must have been waited for.

        Args:
            keep: keeps it, and calls what it is given when it has read it.
        """
        taken = self._taken = asyncio.Event()
        self._task = asyncio.ensure_future(keep(taken.set))
        self._task.add_done_callback(lambda _: taken.set())

    @property
    def busy(self) -> bool:
        """Whether something is just being kept."""
        return self._task is not None and not self._task.done()

    async def taken(self) -> None:
        """Returns when what is kept was read, and may be changed; raises what went wrong by then."""
        if self._task is not None:
            await self._taken.wait()
            if self._task.done():
                await self.ended()

    async def ended(self) -> None:
        """Returns when it is kept; raises what it raised. Cancelled, it cancels it, too."""
        task, self._task = self._task, None
        if task is not None:
            await task

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.ended()
        elif self._task is not None:
            await _finish(self._task, stopped=isinstance(error, asyncio.CancelledError))


async def _finish(task: asyncio.Future[None], *, stopped: bool) -> None:
    """Waits until the task has ended, and cancels it, once, when `stopped` or the caller is; drops what it raised."""
    if stopped:
        task.cancel()
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            if not stopped:
                task.cancel()
            stopped = True
    if not task.cancelled():
        task.exception()
    if stopped:
        raise asyncio.CancelledError
