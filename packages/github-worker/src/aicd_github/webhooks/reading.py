"""Reading a request's body with limits: of one request, of all together, and of time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Message, Receive

READ_SECONDS = 10.0
"""GitHub gives up after so long: https://docs.github.com/webhooks/using-webhooks/handling-webhook-deliveries."""


class TooLargeError(Exception):
    """The body has more bytes than are taken."""


class OverloadedError(Exception):
    """The bodies that are being read hold as much memory as they may."""


class SlowError(Exception):
    """The body did not come in time."""


class GoneError(Exception):
    """Whoever sent the request has left."""


class BodyReader:
    """Reads bodies of one endpoint.

    Args:
        most: bytes of one body.
        memory: bytes of all bodies together that are held at a time; whoever would need more is refused.
    """

    def __init__(self, most: int, memory: int) -> None:
        self._most = most
        self._memory = memory
        self._held = 0

    @asynccontextmanager
    async def read(self, receive: Receive) -> AsyncIterator[bytes]:
        """The whole body; it counts as held until the end of the block.

        Raises:
            TooLargeError, OverloadedError, SlowError, GoneError: as they say; what had come is dropped.
        """
        chunks: list[bytes] = []
        try:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    await self._read_into(chunks, receive)
            except TimeoutError as error:
                raise SlowError from error
            yield b"".join(chunks)
        finally:
            self._held -= sum(map(len, chunks))

    async def _read_into(self, chunks: list[bytes], receive: Receive) -> None:
        size, more = 0, True
        while more:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._most:
                raise TooLargeError
            if self._held + len(chunk) > self._memory:
                raise OverloadedError
            self._held += len(chunk)
            chunks.append(chunk)
            more = message.get("more_body", False)
