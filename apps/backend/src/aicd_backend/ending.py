"""Servers that end their streams when they are told to stop: else they would wait for those that never end."""

import socket

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


class EndsStreamsWithin(EndsStreams, Server):
    """The same inside of a process that has more to do."""
