"""A model for tests that costs something: a server that writes down each call before it answers.

No two replies are the same, not even to the same request, so whoever pays twice has another tree to show for it.
"""

import asyncio
import base64
import hashlib
import json
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlsplit

from aicd_core.contracts import ModelReply, Usage

PRICE = Usage(input_tokens=1_000, cached_input_tokens=100, output_tokens=50, cost_micro_usd=3_000)
"""What every call costs."""


@dataclass(frozen=True)
class PaidCall:
    """One line of the log: the calls are numbered from 1 as they come in."""

    number: int
    request: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.request).hexdigest()


class _SocketServer(ThreadingHTTPServer):
    """On a socket in the file system, which can be reached from any network namespace."""

    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0


class PaidModel:
    """A server on the loopback address, for the length of a `with` block.

    Args:
        log: a file to which each call is appended and synced before it is answered; calls that are in it already count.
        delay: seconds before each answer.
        place: a path to listen on instead, for processes in other network namespaces.
    """

    def __init__(self, log: Path, *, delay: float = 0, place: Path | None = None) -> None:
        self.log = log
        self.delay = delay
        self._hold_from: int | None = None
        self._let_go = threading.Event()
        self._refusals = 0
        self._writing = threading.Lock()
        self._number = len(self.calls())
        self._place = place
        self._server = self._listen()
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"unix:{self._place}" if self._place else f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def calls(self) -> list[PaidCall]:
        """All calls so far, as the log has them."""
        with self._writing:
            lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [PaidCall(line["number"], base64.b64decode(line["request"])) for line in map(json.loads, lines)]

    def hold_from(self, number: int) -> None:
        """Takes calls from this number on, writes them down, and answers none of them until `release`."""
        self._let_go.clear()
        self._hold_from = number

    def release(self) -> None:
        """Answers what is held, and everything after it."""
        self._hold_from = None
        self._let_go.set()

    def refuse(self, calls: int) -> None:
        """Turns the next calls away, unpaid and unwritten, as a server that has too much to do."""
        with self._writing:
            self._refusals = calls

    def _answer(self, request: bytes) -> bytes | None:
        """The reply; None for a call that is turned away."""
        with self._writing:
            if self._refusals:
                self._refusals -= 1
                return None
            self._number += 1
            number = self._number
            line = json.dumps({"number": number, "request": base64.b64encode(request).decode()})
            with self.log.open("a") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        if self._hold_from is not None and number >= self._hold_from:
            self._let_go.wait()
        time.sleep(self.delay)
        return json.dumps({"paid": number, "answer": hashlib.sha256(request).hexdigest()[:12]}).encode()

    def _listen(self) -> ThreadingHTTPServer:
        if self._place is None:
            return ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        return _SocketServer(cast("Any", str(self._place)), self._handler())

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                reply = model._answer(self.rfile.read(int(self.headers["Content-Length"])))
                with suppress(OSError):  # whoever asked may have been killed
                    if reply is None:
                        self.send_error(503)
                        return
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(reply)))
                    self.end_headers()
                    self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                """The calls have a log of their own."""

        return Handler


async def ask(url: str, request: bytes) -> ModelReply:
    """Pays for one call; ends its connection when it is cancelled.

    Raises:
        ConnectionError: there is no server, or it went away before it answered.
    """
    place = urlsplit(url)
    if place.scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(place.path)
    else:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        head = f"POST / HTTP/1.0\r\nHost: {place.netloc}\r\nContent-Length: {len(request)}\r\n\r\n"
        writer.write(head.encode() + request)
        await writer.drain()
        answer = await reader.read()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    status, _, content = answer.partition(b"\r\n\r\n")
    if b" 200 " not in status.split(b"\r\n")[0]:
        raise ConnectionError(f"The model at {url} answered {status[:100]!r}.")
    return ModelReply(content=content, usage=PRICE)
