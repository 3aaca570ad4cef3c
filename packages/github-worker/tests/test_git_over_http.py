"""The same job over real HTTP: git's own server program behind a small loopback server."""

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aicd_core.errors import InvalidInputError, StepFailedError, UnavailableError
from aicd_core.ids import JobId


class GitHandler(BaseHTTPRequestHandler):
    """Hands requests to `git http-backend` as a CGI program (RFC 3875)."""

    root: Path
    status_for_all: int | None = None

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.answer(self.chunks())
        else:
            self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, body: bytes) -> None:
        if self.status_for_all is not None:
            self.send_response(self.status_for_all)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": "tester",
        }
        done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def server(repo: Any, tmp_path: Path) -> Iterator[tuple[str, Any, Path]]:
    """A URL, its handler class, and the bare repository behind it."""
    bare = tmp_path / "served/project.git"
    repo.git("clone", "-q", "--bare", ".", str(bare))
    repo.git("--git-dir", str(bare), "config", "http.receivepack", "true")
    handler = type("Handler", (GitHandler,), {"root": bare.parent})
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/project.git", handler, bare
    httpd.shutdown()
    thread.join()
    httpd.server_close()


async def test_a_job_from_clone_to_pull_request(
    repo: Any, server: Any, make_host: Any, job_id: JobId, request_for: Any, draft: Any, monkeypatch: Any
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    url, _, bare = server
    host = make_host(url)
    base = await host.resolve_base(None)
    assert (base.branch, base.sha) == ("main", repo.git("rev-parse", "main"))
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("big.bin", os.urandom(2_000_000))  # over http.postBuffer: chunked
    head = await checkout.commit(request_for(await checkout.capture(())))
    pull_request = await host.publish(job_id, checkout, head, base, draft)
    assert await make_host(url).publish(job_id, checkout, head, base, draft) == pull_request
    assert repo.git("--git-dir", str(bare), "rev-parse", pull_request.branch) == head
    repo.git("--git-dir", str(bare), "update-ref", f"refs/heads/{pull_request.branch}", base.sha)
    with pytest.raises(StepFailedError) as caught:
        await host.publish(job_id, checkout, head, base, draft)
    assert caught.value.code == "branch_taken"
    with pytest.raises(InvalidInputError, match="It has main"):
        await host.resolve_base("zzz")


async def test_a_server_that_asks_for_a_login_or_is_away_is_told(server: Any, make_host: Any, monkeypatch: Any) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    url, handler, _ = server
    handler.status_for_all = 401
    with pytest.raises(UnavailableError, match="could not read Username"):
        await make_host(url).resolve_base(None)
    handler.status_for_all = 404
    with pytest.raises(UnavailableError, match="not found"):
        await make_host(url).resolve_base(None)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
        await make_host("http://127.0.0.1:9/x.git").resolve_base(None)
