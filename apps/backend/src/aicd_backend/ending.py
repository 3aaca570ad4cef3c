"""Servers that end their streams when they are told to stop: else they would wait for those that never end."""

import socket
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import uvicorn

from aicd_backend.live import Feed
from aicd_cli.http import Server


class EndsStreams(uvicorn.Server):
    """A server whose event streams end as soon as it shuts down."""

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self._feed = feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the streams, then what else runs."""
        self._feed.stop()
        await super().shutdown(sockets)


class EndsStreamsAndCloses(EndsStreams):
    """The same as a whole process, with what is open for as long as it serves.

    What cannot be opened, `run` raises; of an error in an application's lifespan uvicorn tells the stack alone.
    """

    def __init__(self, config: uvicorn.Config, feed: Feed, opening: AbstractAsyncContextManager[None]) -> None:
        super().__init__(config, feed)
        self._opening = opening
        self._opened = AsyncExitStack()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens, then listens."""
        await self._opened.enter_async_context(self._opening)
        try:
            await super().startup(sockets)
        finally:
            if not self.started:
                await self._opened.aclose()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends, then closes."""
        await super().shutdown(sockets)
        await self._opened.aclose()


class EndsStreamsWithin(EndsStreams, Server):
    """The same inside of a process that has more to do."""
