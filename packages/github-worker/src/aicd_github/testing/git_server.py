"""A real git server on the loopback: `git http-backend` behind HTTP, with Basic authentication."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class GitServer:
    """What a running server does, and what it has seen.

    Args:
        root: the folder that holds the bare repositories.
        login: user name and password that it asks for; None asks nobody.
        status: answers everything with this status instead.
        redirect: sends everybody to the same path below this URL instead.
        dumb: serves plain files only, as any web server could.
    """

    root: Path
    login: tuple[str, str] | None = None
    status: int | None = None
    redirect: str | None = None
    dumb: bool = False
    port: int = 0
    requests: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    sent: int = 0
    """Bytes of the contents of its answers."""

    def url(self, repository: str) -> str:
        """The URL of one of its repositories."""
        return f"http://127.0.0.1:{self.port}/{repository}"

    def knows(self, authorization: str | None) -> bool:
        """Whether a request may pass."""
        if self.login is None:
            return True
        return authorization == "Basic " + base64.b64encode(":".join(self.login).encode()).decode()


@dataclass(frozen=True)
class BackendRequest:
    """What git asks over HTTP; the names of headers in lower case."""

    method: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str]


def http_backend(root: Path, request: BackendRequest) -> tuple[int, list[tuple[str, str]], bytes]:
    """Hands a request to `git http-backend` as a CGI program (RFC 3875); status, headers and content of its answer."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "REQUEST_METHOD": request.method,
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_USER": "tester",
    }
    # Where git refuses something it says so in its answer, and then ends with an error, which no web server looks at.
    done = subprocess.run(
        ["git", "http-backend"], env=environment, input=request.body, capture_output=True, check=False
    )
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in head.decode().split("\r\n"))]
    status = next((value for name, value in headers if name == "Status"), "200 OK")
    return int(status.split()[0]), [pair for pair in headers if pair[0] != "Status"], content


def run_git(folder: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs git in a repository of a server, by somebody else than the product."""
    people = {
        f"GIT_{role}_{part}": f"{part}@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")
    }
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **people}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, input=stdin, capture_output=True, check=False
    )


@contextmanager
def serving(server: GitServer) -> Iterator[GitServer]:
    """Runs the server on a free port while the block runs."""
    handler = type("Handler", (_Handler,), {"behaviour": server})
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.port = httpd.server_port
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


class _Handler(BaseHTTPRequestHandler):
    behaviour: GitServer

    def do_GET(self) -> None:
        self._answer(b"")

    def do_CONNECT(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self._answer(self._chunks())
        else:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        server = self.behaviour
        authorization = self.headers.get("Authorization")
        server.requests.append(f"{self.command} {self.path}")
        if authorization is not None:
            server.authorizations.append(authorization)
        if server.redirect is not None:
            self._send(302, [("Location", server.redirect + self.path)], b"")
        elif server.status is not None or not server.knows(authorization):
            self._send(server.status or 401, [("WWW-Authenticate", 'Basic realm="x"')], b"")
        elif server.dumb:
            self._file(server.root / self.path.partition("?")[0].lstrip("/"))
        else:
            self._git(body)

    def _file(self, path: Path) -> None:
        found = path.is_file()
        self._send(200 if found else 404, [], path.read_bytes() if found else b"")

    def _git(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        request = BackendRequest(self.command, path, query, body, {k.lower(): v for k, v in self.headers.items()})
        self._send(*http_backend(self.behaviour.root, request))

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(content)))):
            self.send_header(name, value)
        self.end_headers()
        self.behaviour.sent += len(content)
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Says nothing."""
