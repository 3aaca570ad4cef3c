"""The worker's end of the socket to the command server, which is not trusted: short frames, nothing unasked for."""

import asyncio
import json
import os
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

HEADER = struct.Struct("!I")
LONGEST_FRAME = 4096
"""Bytes of a frame from inside; all that there is to say is an exit code."""


class ChannelClosedError(Exception):
    """The server is gone, or no longer speaks the protocol."""


class Channel:
    """Sends and receives frames of JSON. Takes ownership of the socket."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._received = bytearray()

    async def send(self, frame: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Sends one frame, the descriptors with its first byte.

        Raises:
            ChannelClosedError: the server is gone.
        """
        body = json.dumps(frame).encode()
        data = memoryview(HEADER.pack(len(body)) + body)
        try:
            while data:
                with suppress(BlockingIOError):
                    data = data[socket.send_fds(self._end, [data], descriptors) :]
                    descriptors = ()
                    continue
                await writable(self._end.fileno())
        except OSError as error:
            raise ChannelClosedError(str(error)) from error

    async def receive(self) -> tuple[dict[str, Any], list[int]]:
        """The next frame and the descriptors that came with it, the caller's to close.

        Raises:
            ChannelClosedError: the end, or no frame of ours.
        """
        descriptors: list[int] = []
        try:
            while (frame := self._complete()) is None:
                descriptors += await self._more()
        except BaseException:
            for descriptor in descriptors:
                os.close(descriptor)
            raise
        return frame, descriptors

    def close(self) -> None:
        self._end.close()

    async def _more(self) -> list[int]:
        await readable(self._end.fileno())
        try:
            data, descriptors, _, _ = socket.recv_fds(self._end, LONGEST_FRAME, 1)
        except BlockingIOError:
            return []
        except OSError as error:
            raise ChannelClosedError(str(error)) from error
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._received += data
        if not data:
            raise ChannelClosedError("the command server ended")
        return descriptors

    def _complete(self) -> dict[str, Any] | None:
        """Takes one whole frame from what was received; None when there is none yet."""
        if len(self._received) < HEADER.size:
            return None
        (size,) = HEADER.unpack_from(self._received)
        if size > LONGEST_FRAME:
            raise ChannelClosedError(f"the command server announced a frame of {size} bytes")
        end = HEADER.size + size
        if len(self._received) < end:
            return None
        body = bytes(self._received[HEADER.size : end])
        del self._received[:end]
        try:
            frame = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ChannelClosedError("the command server sent something that is not JSON") from error
        if not isinstance(frame, dict):
            raise ChannelClosedError("the command server sent something that is no frame")
        return frame


async def readable(descriptor: int) -> None:
    """Returns when reading will not block: there is something, or the end."""
    loop = asyncio.get_running_loop()
    await _ready(descriptor, loop.add_reader, loop.remove_reader)


async def writable(descriptor: int) -> None:
    """Returns when writing will not block."""
    loop = asyncio.get_running_loop()
    await _ready(descriptor, loop.add_writer, loop.remove_writer)


async def _ready(descriptor: int, add: Callable[..., object], remove: Callable[[int], object]) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    add(descriptor, _resolve, future)
    try:
        await future
    finally:
        remove(descriptor)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
