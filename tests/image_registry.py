"""A registry of images, to be read only, with one image in it.

As much of the protocol as an engine that pulls speaks: https://github.com/opencontainers/distribution-spec.
"""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

OCI = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class Registry:
    """Its address, and what was fetched from it."""

    address: str
    fetched: list[str] = field(default_factory=list)


@contextmanager
def serving_image(root: Path, image: str, name: str, tag: str, host: str = "127.0.0.1") -> Iterator[Registry]:
    """Serves an image that podman has, as NAME:TAG.

    Args:
        root: a folder that is not there yet, for a copy of it; removed at the end.
        host: the address of this machine's to listen at.
    """
    manifests, blobs = root / f"v2/{name}/manifests", root / f"v2/{name}/blobs"
    manifests.mkdir(parents=True)
    subprocess.run(["podman", "push", "--quiet", image, f"dir:{blobs}"], check=True, capture_output=True)
    (blobs / "manifest.json").rename(manifests / tag)
    kind = json.loads((manifests / tag).read_text()).get("mediaType", OCI)
    for path in blobs.glob("?" * 64):
        path.rename(path.with_name(f"sha256:{path.name}"))

    class Handler(SimpleHTTPRequestHandler):
        def guess_type(self, path: str) -> str:
            return kind if Path(path).parent == manifests else "application/octet-stream"

        def do_GET(self) -> None:
            made.fetched.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            """Nothing: an engine asks for TLS first."""

    with ThreadingHTTPServer((host, 0), partial(Handler, directory=str(root))) as server:
        made = Registry(f"{host}:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
            shutil.rmtree(root)
