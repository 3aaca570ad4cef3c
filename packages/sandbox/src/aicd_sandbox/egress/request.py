"""Reading a proxy request, and passing a plain HTTP one on so that it says only what was checked."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

CHUNK = 65536
LONGEST_HEAD = 32768
HTTP, HTTPS = 80, 443

NOT_FORWARDED = frozenset(
    {b"host", b"connection", b"keep-alive", b"proxy-authorization", b"proxy-connection", b"te", b"upgrade", b"expect"}
)
"""What is between a client and its proxy (RFC 9110, section 7.6.1), and what is written anew."""


class BadRequestError(Exception):
    """Nothing that a proxy can be asked for; the message says why."""


@dataclass(frozen=True)
class Target:
    """Where a request wants to go, and on which ports that kind of request may. `path` is of plain HTTP."""

    host: str
    port: int
    ports: tuple[int, ...]
    path: str = ""


async def read_request(reader: asyncio.StreamReader) -> tuple[h11.Connection, h11.Request]:
    """The head of the first request; the connection holds what came after it.

    Raises:
        BadRequestError: no request, or a head that is too long.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
    try:
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK))
    except h11.RemoteProtocolError as error:
        raise BadRequestError(f"This is no HTTP request: {error}.") from error
    if not isinstance(event, h11.Request):
        raise BadRequestError("The connection ended before a request.")
    return connection, event


def target_of(request: h11.Request) -> Target:
    """Where a request wants to go.

    Raises:
        BadRequestError: it is neither CONNECT to host:port nor for an absolute http:// address.
    """
    tunnel = request.method == b"CONNECT"
    try:
        text = request.target.decode("ascii")
        parts = urlsplit(f"//{text}" if tunnel else text)
        port = parts.port or (HTTPS if tunnel else HTTP)
    except ValueError as error:
        raise BadRequestError(f"This is no address: {error}.") from error
    if not parts.hostname or parts.username is not None or (not tunnel and parts.scheme != "http"):
        raise BadRequestError("A proxy takes CONNECT host:port, and requests for http://host/path.")
    if tunnel:
        return Target(parts.hostname, port, (HTTPS, HTTP))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.hostname, port, (HTTP,), path)


async def forwarded(
    connection: h11.Connection,
    request: h11.Request,
    target: Target,
    here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    there: asyncio.StreamWriter,
) -> None:
    """Sends the one request on to the host that was checked and under its name, and asks for no second one."""
    onward = h11.Connection(h11.CLIENT)
    headers = [(name, value) for name, value in request.headers if name not in NOT_FORWARDED]
    headers += [(b"Host", target.host.encode()), (b"Connection", b"close")]
    there.write(onward.send(h11.Request(method=request.method, target=target.path, headers=headers)) or b"")
    if connection.they_are_waiting_for_100_continue:
        here[1].write(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            connection.receive_data(await here[0].read(CHUNK))
        elif isinstance(event, h11.Data):
            there.write(onward.send(event) or b"")
            await there.drain()
        else:
            return
    there.write(onward.send(h11.EndOfMessage()) or b"")
    await there.drain()
