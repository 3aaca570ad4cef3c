"""A tree in memory, a session, and a loopback server of the embeddings API."""

import json
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aicd_brain.retrieval.tree import as_source
from aicd_brain.retrieval.values import SourceFile
from aicd_core.contracts import Usage
from aicd_core.errors import NotFoundError

SHOP = {
    "shop/cart.py": """class Cart:
    def add_item(self, item):
        self.items.append(item)

    def total(self):
        return sum(item.price for item in self.items)
""",
    "shop/tax.py": "def vat_rate(country):\n    return {'DE': 19, 'FR': 20}[country]\n",
    "web/router.js": "export class Router {\n  matchRoute(path) { return this.routes.get(path) }\n}\n",
    "docs/shipping.md": "# Shipping\n\nParcels leave the warehouse twice a day.\n",
}


def files_of(tree: dict[str, str]) -> tuple[SourceFile, ...]:
    return tuple(file for path, text in sorted(tree.items()) if (file := as_source(path, text.encode())))


class MemoryWorkspace:
    """As much of a workspace as retrieval may use: it lists and reads."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.reads = 0

    async def list(self, prefix: str = "") -> Sequence[str]:
        return sorted(self.files)

    async def read(self, path: str) -> bytes:
        self.reads += 1
        if path not in self.files:
            raise NotFoundError(f"There is no {path}.")
        return self.files[path]


class Session:
    """As much of a session as retrieval may use."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.said: list[str] = []
        self.spent = Usage()

    def emit(self, message: str) -> None:
        self.said.append(message)

    def spend(self, usage: Usage) -> None:
        self.spent += usage


TOPICS = (("price", "money", "sum", "cost", "total"), ("route", "url", "path"), ("warehouse", "parcel", "deliver"))


class Embeddings:
    """What the server saw, and how it shall behave. A text's vector counts the words of three topics."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.body: bytes | None = None
        self.texts: list[str] = []
        self.keys: set[str | None] = set()

    def answer(self, asked: dict[str, Any]) -> bytes:
        self.texts += asked["input"]
        data = [{"index": n, "embedding": vector_of(text)} for n, text in enumerate(asked["input"])]
        return json.dumps({"data": data[::-1], "usage": {"prompt_tokens": 10 * len(data)}}).encode()


def vector_of(text: str) -> list[float]:
    counts = [0.1 + sum(text.lower().count(word) for word in topic) for topic in TOPICS]
    return [count / math.hypot(*counts) for count in counts]


@contextmanager
def embeddings_server() -> Iterator[Embeddings]:
    seen = Embeddings()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server calls
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.keys.add(self.headers["Authorization"])
            answer = seen.body or seen.answer(asked)
            self.send_response(seen.status if self.path == "/v1/embeddings" else 404)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    seen.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
