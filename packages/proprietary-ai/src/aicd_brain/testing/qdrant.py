"""A stand-in for a Qdrant server, in memory: as much of its REST API as retrieval and backups use.

A snapshot of it is JSON, where the real one is a tar archive; both are opaque to whoever fetches and uploads them.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import hypot
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "a key"


class Refused(Exception):  # noqa: N818 - it is an answer
    """An answer other than 200."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


@dataclass
class Qdrant:
    """What the server has, and how it shall behave: `broken` adds bytes to each snapshot that is fetched."""

    url: str = ""
    collections: dict[str, dict[str, Any]] = field(default_factory=dict)
    snapshots: dict[tuple[str, str], bytes] = field(default_factory=dict)
    made: int = 0
    broken: bytes = b""

    def answer(self, method: str, place: str, query: dict[str, str], body: bytes, kind: str) -> Any:
        """The result of a call, or bytes that are sent as they are."""
        for wanted, pattern, handler in _ROUTES:
            if wanted == method and (match := re.fullmatch(pattern, place)):
                if handler not in (Qdrant.exists, Qdrant.names, Qdrant.create, Qdrant.upload):
                    self.require(match[1])
                sent = body if kind.startswith("multipart/") else json.loads(body or b"null")
                return handler(self, *match.groups(), query=query, sent=sent, kind=kind)
        raise Refused(404, f"no such call: {method} {place}")

    def admit(self, key: str | None) -> None:
        if key != KEY:
            raise Refused(401, "Invalid API key or JWT")

    def require(self, name: str) -> None:
        if name not in self.collections:
            raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")

    def names(self, **_: Any) -> Any:
        return {"collections": [{"name": name} for name in self.collections]}

    def exists(self, name: str, **_: Any) -> Any:
        return {"exists": name in self.collections}

    def create(self, name: str, *, sent: Any, **_: Any) -> Any:
        self.collections[name] = {"config": sent, "points": {}}
        return True

    def drop(self, name: str, **_: Any) -> Any:
        return self.collections.pop(name) is not None

    def upsert(self, name: str, *, sent: Any, **_: Any) -> Any:
        self.collections[name]["points"] |= {point["id"]: point for point in sent["points"]}
        return {"operation_id": 0, "status": "completed"}

    def retrieve(self, name: str, *, sent: Any, **_: Any) -> Any:
        points = self.collections[name]["points"]
        return [{"id": one} for one in sent["ids"] if one in points]

    def count(self, name: str, **_: Any) -> Any:
        return {"count": len(self.collections[name]["points"])}

    def query(self, name: str, *, sent: Any, **_: Any) -> Any:
        wanted = sent["query"] if isinstance(sent["query"], list) else sent["query"]["nearest"]
        points = self.collections[name]["points"].values()
        scored = [{**point, "version": 0, "score": _cosine(point["vector"], wanted)} for point in points]
        return {"points": sorted(scored, key=lambda point: -point["score"])[: sent["limit"]]}

    def snap(self, name: str, **_: Any) -> Any:
        self.made += 1
        raw = json.dumps(self.collections[name]).encode()
        snapshot = f"{name}-{self.made}-2026-11-26-14-00-00.snapshot"
        self.snapshots[name, snapshot] = raw
        told = {"name": snapshot, "creation_time": "2026-11-26T14:00:00", "size": len(raw)}
        return {**told, "checksum": hashlib.sha256(raw).hexdigest()}

    def fetch(self, name: str, snapshot: str, **_: Any) -> Any:
        return self.snapshots[name, snapshot] + self.broken

    def unsnap(self, name: str, snapshot: str, **_: Any) -> Any:
        return self.snapshots.pop((name, snapshot)) is not None

    def upload(self, name: str, *, query: dict[str, str], sent: bytes, kind: str, **_: Any) -> Any:
        message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + sent)
        (raw,) = [part.get_content() for part in message.iter_parts()]
        if query.get("checksum") not in (None, hashlib.sha256(raw).hexdigest()):
            raise Refused(400, "Bad request: Snapshot checksum mismatch")
        self.collections[name] = json.loads(raw)
        return True


_C, _S = r"/collections/([^/]+)", r"/snapshots/([^/]+)"
_ROUTES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/collections", Qdrant.names),
    ("GET", f"{_C}/exists", Qdrant.exists),
    ("PUT", _C, Qdrant.create),
    ("DELETE", _C, Qdrant.drop),
    ("PUT", f"{_C}/points", Qdrant.upsert),
    ("POST", f"{_C}/points", Qdrant.retrieve),
    ("POST", f"{_C}/points/count", Qdrant.count),
    ("POST", f"{_C}/points/query", Qdrant.query),
    ("POST", f"{_C}/snapshots/upload", Qdrant.upload),
    ("POST", f"{_C}/snapshots", Qdrant.snap),
    ("GET", f"{_C}{_S}", Qdrant.fetch),
    ("DELETE", f"{_C}{_S}", Qdrant.unsnap),
)


def _cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (hypot(*one) * hypot(*other))


@contextmanager
def qdrant_server() -> Iterator[Qdrant]:
    """The server on a loopback port; it wants KEY."""
    qdrant = Qdrant()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            try:
                qdrant.admit(self.headers["api-key"])
                split = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(split.query).items()}
                result = qdrant.answer(self.command, split.path, query, body, self.headers["Content-Type"] or "")
                status, told = 200, {"result": result, "status": "ok", "time": 0.0}
            except Refused as error:
                status, result, told = error.status, None, {"status": {"error": str(error)}, "time": 0.0}
            raw = result if isinstance(result, bytes) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_PUT = do_POST = do_DELETE = answer  # the names that http.server calls # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    qdrant.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield qdrant
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
