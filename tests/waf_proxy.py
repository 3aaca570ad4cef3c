"""docker/proxy as it is shipped, run by Debian's nginx on loopback, before an upstream that notes what it is asked."""

import datetime as dt
import ipaddress
import os
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from aicd_core.testing.redis import free_port
from debian_programs import debian_file, debian_program

SHIPPED = Path(__file__).parents[1] / "docker" / "proxy"
PATIENCE = 60.0
"""Seconds until nginx, which reads 250 rules first, is given up."""


@dataclass
class Upstream:
    """Stands for the API: answers 200 to everything, streams, and echoes what is sent after an upgrade."""

    port: int = 0
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    """Method, target, headers (names in small letters) and body of each request that came through."""
    go_on: threading.Event = field(default_factory=threading.Event)
    """Set by a test that has read the first event of a stream."""


@contextmanager
def serving(upstream: Upstream) -> Iterator[Upstream]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            upstream.seen.append((self.command, self.path, headers, body))
            if headers.get("upgrade"):
                self._echo()
            elif self.path.endswith("/stream"):
                self._stream()
            else:
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def _echo(self) -> None:
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            while said := self.connection.recv(100):
                self.connection.sendall(said)
            self.close_connection = True

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(b"data: first\n\n")
            upstream.go_on.wait(PATIENCE)
            self.wfile.write(b"data: second\n\n")
            self.close_connection = True

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    upstream.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield upstream
    finally:
        upstream.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


def certify(folder: Path, address: str = "127.0.0.1") -> None:
    """A certificate for localhost and that address, as files that the configuration names."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(address))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "privkey.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))


@dataclass(frozen=True)
class Proxy:
    """Where the proxy is, and what it leads to."""

    tls_port: int
    plain_port: int
    certificate: Path
    upstream: Upstream
    log: Path

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def client(self, number: int = 1) -> httpx.Client:
        """A client with a loopback address of its own, which is what requests are counted by."""
        transport = httpx.HTTPTransport(verify=self.trust(), local_address=f"127.0.9.{number}")
        return httpx.Client(base_url=f"https://127.0.0.1:{self.tls_port}", transport=transport, timeout=PATIENCE)


def render(
    folder: Path, upstream: Upstream, tls_port: int, plain_port: int, shipped: Path, places: Mapping[str, str]
) -> Path:
    """The shipped files with other places and ports; nothing else of them is changed."""
    (folder / "nginx").mkdir()
    (folder / "nginx/resolver.conf").write_text("resolver 127.0.0.1;\n")
    certify(folder)
    moved = {
        **places,
        "/usr/lib/nginx/modules": str(debian_file("/usr/lib/nginx/modules/ngx_http_modsecurity_module.so").parent),
        "/usr/share/modsecurity-crs": str(debian_file("/usr/share/modsecurity-crs/rules").parent),
        "/etc/modsecurity/crs": str(debian_file("/etc/modsecurity/crs/crs-setup.conf").parent),
        "/etc/nginx/unicode.mapping": str(debian_file("/etc/nginx/unicode.mapping")),
        "/etc/nginx/mime.types": str(debian_file("/etc/nginx/mime.types")),
        "/etc/nginx/waf/": f"{folder}/",
        "/etc/nginx/tls/": f"{folder}/",
        "/etc/nginx/": f"{folder}/",
        "/tmp/nginx": f"{folder}/nginx",
        "/dev/stdout": f"{folder}/nginx/access.log",
        "/srv/acme": f"{folder}/acme",
        "http://api:8080": f"http://127.0.0.1:{upstream.port}",
        "http://127.0.0.1:8080": f"http://127.0.0.1:{upstream.port}",
        "listen 8080 ": f"listen 127.0.0.1:{plain_port} ",
        "listen 80 ": f"listen 127.0.0.1:{plain_port} ",
        "listen 8443 ": f"listen 127.0.0.1:{tls_port} ",
        "listen 443 ": f"listen 127.0.0.1:{tls_port} ",
    }
    words = re.compile("|".join(map(re.escape, moved)))
    for name in ("nginx.conf", "to-api.conf", "problem.conf", "modsecurity.conf"):
        text = (shipped / name).read_text()
        (folder / name).write_text(words.sub(lambda found: moved[found.group()], text))
    # Root's workers would be `nobody`, who cannot get to a test's folder. In a container nobody is root.
    if os.geteuid() == 0:
        (folder / "nginx.conf").write_text("user root;\n" + (folder / "nginx.conf").read_text())
    return folder / "nginx.conf"


@contextmanager
def running(folder: Path, shipped: Path = SHIPPED, places: Mapping[str, str] = MappingProxyType({})) -> Iterator[Proxy]:
    """The proxy before an upstream, for as long as the block lasts.

    Args:
        shipped: the folder of its files.
        places: what stands in them, and what is to stand there in the test.
    """
    nginx = debian_program("nginx")
    with serving(Upstream()) as upstream:
        proxy = Proxy(free_port(), free_port(), folder / "fullchain.pem", upstream, folder / "nginx.log")
        written = render(folder, upstream, proxy.tls_port, proxy.plain_port, shipped, places)
        command = [nginx.path, "-c", str(written), "-g", "daemon off;"]
        with proxy.log.open("wb") as log, subprocess.Popen(command, env=nginx.environment, stderr=log) as process:
            try:
                _wait_until_it_answers(proxy, process)
                yield proxy
            finally:
                process.terminate()


def _wait_until_it_answers(proxy: Proxy, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE
    with proxy.client() as client:
        while time.monotonic() < end:
            assert process.poll() is None, proxy.log.read_text()
            try:
                client.get("/healthz")
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                proxy.upstream.seen.clear()
                return
    raise AssertionError(f"nginx does not answer: {proxy.log.read_text()}")
