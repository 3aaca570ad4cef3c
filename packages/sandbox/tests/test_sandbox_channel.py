"""A command server that was taken over, as seen from the worker."""

import asyncio
import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

import pytest

from aicd_sandbox.channel import Channel, ChannelClosedError
from aicd_sandbox.command import Call, RunningCommand
from aicd_sandbox.process import greeting


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


def framed(body: bytes) -> bytes:
    return struct.pack("!I", len(body)) + body


async def test_frames_come_through_however_they_are_cut(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    data = framed(b'{"ended": 1}') + framed(b'{"ended": 2}')
    receiving = asyncio.ensure_future(channel.receive())
    for byte in data:
        theirs.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await receiving)[0] == {"ended": 1}
    assert (await channel.receive())[0] == {"ended": 2}


async def test_a_long_frame_is_sent_whole(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    sending = asyncio.ensure_future(channel.send({"text": "x" * 3_000_000}))
    received = b""
    theirs.setblocking(False)
    while len(received) < 3_000_000:
        await asyncio.sleep(0)
        with suppress(BlockingIOError):
            received += theirs.recv(1 << 20)
    await sending
    assert json.loads(received[4:])["text"] == "x" * 3_000_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xff\xff\xff",
        framed(b"not json"),
        framed(b"[1]"),
        framed(b"[" * 4000),
        framed(b"\xff"),
        b"\0\0\0\x05ab",
    ],
)
async def test_what_is_no_frame_ends_the_channel(ends: tuple[Channel, socket.socket], data: bytes) -> None:
    channel, theirs = ends
    theirs.send(data)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(ChannelClosedError):
        await channel.receive()


class NoBox:
    init = 0
    ended = 0

    async def ready(self, channel: Channel) -> socket.socket:
        raise AssertionError

    async def end(self) -> None:
        self.ended += 1


async def never() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("body", [b'{"ended": "0"}', b'{"ended": true}', b'{"ended": 1.5}', b'{"ended": {}}'])
async def test_an_ending_that_is_no_number_ends_the_sandbox(ends: tuple[Channel, socket.socket], body: bytes) -> None:
    channel, theirs = ends
    theirs.send(framed(body))
    box = NoBox()
    ending = await RunningCommand(channel, box, Call("true", {}, b"", 5, lambda _: None, never), None).run()
    assert (ending.lost, ending.code, box.ended) == (True, None, 1)


async def test_a_server_that_never_answers_costs_the_sandbox(ends: tuple[Channel, socket.socket]) -> None:
    channel, _ = ends
    box = NoBox()
    ending = await RunningCommand(channel, box, Call("true", {}, b"", 0.1, lambda _: None, never), None).run()
    assert (ending.timed_out, ending.lost, box.ended) == (True, True, 1)


async def test_descriptors_that_nobody_asked_for_are_closed(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    read_end, write_end = os.pipe()
    socket.send_fds(theirs, [framed(b'{"ended": 0}')], [write_end])
    os.close(write_end)
    ending = await RunningCommand(channel, NoBox(), Call("true", {}, b"", 5, lambda _: None, never), None).run()
    assert ending.lost
    assert os.read(read_end, 1) == b""  # no copy of the other end is left
    os.close(read_end)


@pytest.mark.parametrize("kind", ["nothing", "a pipe", "a connected socket", "a Unix socket"])
async def test_a_greeting_without_a_listening_socket_is_none(ends: tuple[Channel, socket.socket], kind: str) -> None:
    channel, theirs = ends
    first, second = socket.socketpair()
    unix = socket.socket(socket.AF_UNIX)
    unix.bind("")
    unix.listen()
    read_end, write_end = os.pipe()
    sent = {
        "nothing": [],
        "a pipe": [read_end],
        "a connected socket": [first.fileno()],
        "a Unix socket": [unix.fileno()],
    }
    socket.send_fds(theirs, [framed(b'{"ready": true}')], sent[kind])
    with pytest.raises((ChannelClosedError, OSError)):
        await greeting(channel)
    for one in (first, second, unix):
        one.close()
    os.close(read_end)
    os.close(write_end)
