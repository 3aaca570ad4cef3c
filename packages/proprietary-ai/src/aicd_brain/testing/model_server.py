"""A model server that follows a script, as a process of its own.

    python -m aicd_brain.testing.model_server SCRIPT LOG

It writes the port that it listens on to standard output, and each request, with what it answered and counted, as one
line of JSON to LOG before the answer ends. It serves until it is terminated.
"""

import json
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aicd_brain.models.messages import Tokens
from aicd_brain.testing.scripts import Failure, Place, Reader, Script
from aicd_brain.testing.wires import APIS, Api


class Log:
    """One line for each request, numbered from 1."""

    def __init__(self, place: Path) -> None:
        self._file = place.open("a", buffering=1)
        self._writing = threading.Lock()

    def add(self, entry: dict[str, Any]) -> None:
        """Writes the entry, and when that was done: what the server does for itself, a stack under test waits for."""
        line = json.dumps(entry)
        with self._writing:
            self._file.write(f'{line[:-1]}, "ready": {time.monotonic()}}}\n')


@dataclass(frozen=True)
class Request:
    """A request that came in at `at`, in seconds of the monotonic clock."""

    number: int
    at: float
    path: str
    body: dict[str, Any]
    headers: dict[str, str]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script: Script, log: Log) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.log = log
        self._reader = Reader(script)
        self._deciding = threading.Lock()
        self._number = 0

    def number(self) -> int:
        with self._deciding:
            self._number += 1
            return self._number

    def place(self, api: Api, body: dict[str, Any]) -> Place:
        with self._deciding:
            return self._reader.place(api.asked(body))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: Server

    def do_POST(self) -> None:
        at = time.monotonic()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = Request(self.server.number(), at, self.path, body, dict(self.headers))
        api = APIS[self.path]
        place = self.server.place(api, body)
        failure = place.turn.failure(body["model"], place.attempt)
        with suppress(OSError):  # whoever asked may have gone away, or was killed
            if failure is not None and failure.status != 200:
                self._note(request, place, failure.status, Tokens())
                self._object(failure.status, api.error(failure.status, failure.detail), failure.retry_after)
            elif not body.get("stream"):
                self._note(request, place, 200, place.tokens)
                self._object(200, api.whole(place, body["model"], request.number))
            else:
                self._stream(api, request, place, failure)

    def _object(self, status: int, value: dict[str, Any], retry_after: float | None = None) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _stream(self, api: Api, request: Request, place: Place, failure: Failure | None) -> None:
        events = list(api.events(place, request.body["model"], request.number))
        ends = len(events) if failure is None or failure.cut_after is None else failure.cut_after
        whole = failure is None or failure.cut_after is None
        self._note(request, place, 200, place.tokens if whole else api.counted(place, ends), cut=not whole)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if failure is not None and failure.stall is not None:
            self.wfile.flush()
            time.sleep(failure.stall)
        for name, data in events[:ends]:
            head = f"event: {name}\n" if name else ""
            text = data if isinstance(data, str) else json.dumps(data)
            self._chunk(f"{head}data: {text}\n\n".encode())
            if place.turn.pace:
                self.wfile.flush()
                time.sleep(place.turn.pace)
        self.wfile.flush()
        if not whole:
            self.close_connection = True  # without the last chunk: cut off in the middle
            return
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))

    def _note(self, request: Request, place: Place, status: int, tokens: Tokens, *, cut: bool = False) -> None:
        self.server.log.add(
            {
                "number": request.number,
                "at": request.at,
                "path": request.path,
                "model": request.body["model"],
                "role": place.role,
                "conversation": place.conversation,
                "turn": place.number,
                "attempt": place.attempt,
                "status": status,
                "cut": cut,
                "tokens": tokens.model_dump(),
                "headers": request.headers,
                "body": request.body,
            }
        )

    def log_message(self, *_: object) -> None:
        """The requests have a log of their own."""


def main(arguments: list[str]) -> None:
    script, log = arguments
    server = Server(Script.read(Path(script)), Log(Path(log)))
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever(0.05)


if __name__ == "__main__":
    main(sys.argv[1:])
