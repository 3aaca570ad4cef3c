"""A forward proxy (RFC 9110, sections 7.1 and 9.3.6) that decides anew for every connection.

It holds the listening socket of the sandbox's own loopback, which the command server made there before any command ran;
so nothing is bridged, and the sandbox has no other socket that leads out.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import h11

from aicd_core.contracts import Denial
from aicd_core.telemetry.metrics import SANDBOX_DENIALS
from aicd_sandbox.egress.request import BadRequestError, Target, forwarded, read_request, target_of
from aicd_sandbox.egress.rules import Address, WaysOut, is_public

CHUNK = 65536
HEAD_SECONDS = 30.0
CONNECT_SECONDS = 15.0
MOST_CONNECTIONS = 128
MOST_DENIALS = 100
"""Different ones that are remembered of one command."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
Dial = Callable[[Address, int], Awaitable[Streams]]


class DeniedError(Exception):
    """A connection that is not allowed; the message is the reason."""


async def resolve(host: str, port: int) -> Sequence[Address]:
    """The addresses of a name, by the machine's own resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(entry[4][0]) for entry in found]


async def dial(address: Address, port: int) -> Streams:
    """A connection to exactly that address."""
    return await asyncio.open_connection(str(address), port)


@dataclass(frozen=True)
class Internet:
    """How the proxy gets out; tests put a small one in its place."""

    resolve: Resolve = resolve
    dial: Dial = dial


class EgressProxy:
    """Serves the commands of one sandbox.

    Args:
        listener: takes ownership; a listening TCP socket of the sandbox's loopback.
    """

    def __init__(self, listener: socket.socket, internet: Internet) -> None:
        self._listener = listener
        self._internet = internet
        self._ways_out = WaysOut()
        self._connections: set[asyncio.Task[None]] = set()
        self._denials: dict[Denial, None] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._listener.setblocking(False)
        # In two steps: cancelled in the one that does both, nobody would be left holding a server that listens already.
        self._server = await asyncio.start_server(self._accept, sock=self._listener, start_serving=False)
        await self._server.start_serving()

    def begin(self, ways_out: WaysOut) -> None:
        """A command begins that may reach these hosts."""
        self._ways_out = ways_out
        self._denials = {}

    async def finish(self) -> tuple[Denial, ...]:
        """The command is over: nothing is allowed any more and every connection ends. Returns what was refused."""
        self._ways_out = WaysOut()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        return tuple(self._denials)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._listener.close()
        await self.finish()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MOST_CONNECTIONS:
            writer.close()
            return
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                connection, request = await read_request(reader)
            target = target_of(request)
            there = await self._connect(target)
            try:
                await _converse((reader, writer), there, connection, request, target)
            finally:
                there[1].close()
        except BadRequestError as error:
            await _answer(writer, 400, str(error))
        except DeniedError as error:
            await _answer(writer, 403, str(error))
        except (OSError, h11.RemoteProtocolError, h11.LocalProtocolError):
            await _answer(writer, 502, "The host cannot be reached.")
        finally:
            writer.close()

    async def _connect(self, target: Target) -> Streams:
        """A connection to a host that is allowed, at an address that was looked at.

        Raises:
            DeniedError: it is not allowed.
            OSError: it does not answer.
        """
        addresses = await self._check(target)
        async with asyncio.timeout(CONNECT_SECONDS):
            for address in addresses[:-1]:
                with suppress(OSError):
                    return await self._internet.dial(address, target.port)
            return await self._internet.dial(addresses[-1], target.port)

    async def _check(self, target: Target) -> Sequence[Address]:
        objection = self._ways_out.objection(target.host)
        if objection is not None and not self._ways_out:
            raise self._deny(target, objection)
        if target.port not in target.ports:
            raise self._deny(target, f"only port {' and '.join(map(str, target.ports))} can be reached")
        if objection is not None:
            raise self._deny(target, objection)
        try:
            addresses = await self._internet.resolve(target.host, target.port)
        except UnicodeError as error:
            raise self._deny(target, "the host has no name that can be looked up") from error
        # One address that is not public spoils them all: a name that mixes them is out to get past this check.
        if not addresses or not all(map(is_public, addresses)):
            raise self._deny(target, "the name leads to an address that is not on the internet")
        return addresses

    def _deny(self, target: Target, reason: str) -> DeniedError:
        SANDBOX_DENIALS.inc()
        if len(self._denials) < MOST_DENIALS:
            self._denials[Denial(host=target.host, port=target.port, reason=reason)] = None
        return DeniedError(
            f"AI-CD refused the connection to {target.host}:{target.port}: {reason}. "
            "A repository allows hosts in .aicd.yml, under network, within what its organisation allows."
        )


async def _converse(
    here: Streams, there: Streams, connection: h11.Connection, request: h11.Request, target: Target
) -> None:
    """Tunnels, or forwards the one request; what comes back is passed on until the host closes."""
    if request.method == b"CONNECT":
        here[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        early, _ = connection.trailing_data
        there[1].write(early)
        sending = asyncio.ensure_future(_copy(here[0], there[1]))
    else:
        sending = asyncio.ensure_future(forwarded(connection, request, target, here, there[1]))
    try:
        await _copy(there[0], here[1])
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        with suppress(OSError):
            writer.write_eof()


async def _answer(writer: asyncio.StreamWriter, status: int, message: str) -> None:
    body = f"{message}\n".encode()
    head = f"HTTP/1.1 {status} AI-CD\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    with suppress(OSError):
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
