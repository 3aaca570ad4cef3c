"""Stand-ins for what signs without keys: GitHub's tokens, Fulcio with its log of certificates, Rekor.

Whoever goes through their proxy finds them, and a registry, under their own names. What each is asked and answers:
https://github.com/sigstore/fulcio, https://github.com/sigstore/rekor, RFC 6962 for the log.
"""

import base64
import datetime as dt
import hashlib
import ipaddress
import json
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

GITHUB = "https://token.actions.githubusercontent.com"
TOKENS, FULCIO, REKOR = "tokens.example.com", "fulcio.sigstore.dev", "rekor.sigstore.dev"
REGISTRY = "registry.example.com"
OF_FULCIO = "1.3.6.1.4.1.57264.1"
SCTS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
HASH = hashes.SHA256()


def compact(value: Any) -> bytes:
    """JSON as RFC 8785 has it, of what has neither fractions nor letters beyond ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def unpadded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def der(text: bytes, tag: int) -> bytes:
    """A value of ASN.1's; shorter than 64 KiB."""
    size = len(text)
    length = bytes([size]) if size < 0x80 else b"\x81" + bytes([size]) if size < 0x100 else b"\x82" + size.to_bytes(2)
    return bytes([tag]) + length + text


@dataclass(frozen=True)
class Key:
    """A key of a service's, and what others are told of it."""

    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def der(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.DER, form)

    @property
    def pem(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, form)

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.der).digest()

    def sign(self, text: bytes) -> bytes:
        return self.private.sign(text, ec.ECDSA(HASH))


@dataclass(frozen=True)
class Authority:
    """A certificate authority, good for a day."""

    name: str
    key: Key = field(default_factory=Key)

    @property
    def subject(self) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self.name)])

    def builder(self, public: Any, subject: x509.Name, lasts: dt.timedelta, *, ca: bool) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
        usage |= {"digital_signature": not ca, "key_cert_sign": ca, "crl_sign": ca}
        return (
            x509.CertificateBuilder(self.subject, subject, public, int.from_bytes(os.urandom(15)) + 1)
            .not_valid_before(now)
            .not_valid_after(now + lasts)
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.KeyUsage(**usage, encipher_only=False, decipher_only=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.private.public_key()), critical=False
            )
        )

    def certificate(self) -> bytes:
        """Its own, as PEM."""
        builder = self.builder(self.key.private.public_key(), self.subject, dt.timedelta(days=1), ca=True)
        return builder.sign(self.key.private, HASH).public_bytes(serialization.Encoding.PEM)

    def write_server(self, folder: Path, *names: str) -> None:
        """A certificate for servers of those names on the loopback address, and its key: server.pem, server.key."""
        key = Key()
        spoken = [*map(x509.DNSName, names), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        built = (
            self.builder(key.private.public_key(), x509.Name([]), dt.timedelta(days=1), ca=False)
            .add_extension(x509.SubjectAlternativeName(spoken), critical=True)
            .sign(self.key.private, HASH)
        )
        (folder / "server.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
        form = serialization.PrivateFormat.PKCS8
        (folder / "server.key").write_bytes(
            key.private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        )


@dataclass
class Signing:
    """All of them, in one.

    Attributes:
        workflow: whose tokens are given out, and by whom they say that they are.
        asked: hosts that somebody wanted to get to.
        entries: how many the log of signatures has.
    """

    workflow: str
    issuer: str = GITHUB
    asked: list[str] = field(default_factory=list)
    entries: int = 0
    fulcio: Authority = field(default_factory=lambda: Authority("fulcio"))
    certificates: Key = field(default_factory=Key)
    signatures: Key = field(default_factory=Key)

    def write_roots(self, folder: Path) -> dict[str, str]:
        """What is known of them beforehand, in files; and the variables by which cosign is told."""
        known = {
            "SIGSTORE_ROOT_FILE": self.fulcio.certificate(),
            "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE": self.certificates.pem,
            "SIGSTORE_REKOR_PUBLIC_KEY": self.signatures.pem,
        }
        for name, text in known.items():
            (folder / name).write_bytes(text)
        return {name: str(folder / name) for name in known}

    def token(self) -> dict[str, Any]:
        """GitHub's answer: a token that only says that it is signed, which cosign passes on unread."""
        claims = {"iss": self.issuer, "aud": "sigstore", "sub": "repo", "job_workflow_ref": self.workflow}
        parts = ({"alg": "ES256"}, claims | {"exp": int(time.time()) + 300})
        return {"value": ".".join([*(unpadded(compact(part)) for part in parts), unpadded(b"unsigned")])}

    def certify(self, token: str, asked: dict[str, Any]) -> bytes:
        """A certificate of ten minutes for the token's workflow, with the log's word that it was noted; PEM."""
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        public = serialization.load_pem_public_key(base64.b64decode(asked["publicKey"]["content"]))
        issuer, uri = claims["iss"].encode(), f"https://github.com/{claims['job_workflow_ref']}"
        builder = (
            self.fulcio.builder(public, x509.Name([]), dt.timedelta(minutes=10), ca=False)
            .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=True)
        )
        for number, value in ((1, issuer), (8, der(issuer, 0x0C))):
            told = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{OF_FULCIO}.{number}"), value)
            builder = builder.add_extension(told, critical=False)
        body = builder.sign(self.fulcio.key.private, HASH).tbs_certificate_bytes
        noted = x509.UnrecognizedExtension(SCTS, der(self.note(body), 0x04))
        built = builder.add_extension(noted, critical=False).sign(self.fulcio.key.private, HASH)
        return built.public_bytes(serialization.Encoding.PEM) + self.fulcio.certificate()

    def note(self, body: bytes) -> bytes:
        """A list with the one timestamp that the log of certificates gives for a certificate's body (RFC 6962, 3.2)."""
        now = struct.pack(">Q", int(time.time() * 1000))
        entry = b"\0\1" + self.fulcio.key.id + len(body).to_bytes(3) + body + b"\0\0"
        signature = self.certificates.sign(b"\0\0" + now + entry)
        stamp = b"\0" + self.certificates.id + now + b"\0\0" + b"\4\3" + struct.pack(">H", len(signature)) + signature
        return struct.pack(">HH", len(stamp) + 2, len(stamp)) + stamp

    def log(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """An entry of Rekor's for a signature, with its promise to keep it."""
        entry: dict[str, Any] = {
            "body": base64.b64encode(compact(proposed)).decode(),
            "integratedTime": int(time.time()),
            "logIndex": self.entries,
            "logID": self.signatures.id.hex(),
        }
        self.entries += 1
        promise = base64.b64encode(self.signatures.sign(compact(entry))).decode()
        leaf = hashlib.sha256(b"\0" + compact(proposed)).hexdigest()
        return {leaf: entry | {"verification": {"signedEntryTimestamp": promise}}}

    def answer(self, host: str, path: str, authorization: str, body: bytes) -> tuple[int, str, bytes]:
        """Status, type and body of what such a request gets."""
        match host, path.partition("?")[0]:
            case str(found), "/token" if found == TOKENS:
                return 200, "application/json", compact(self.token())
            case str(found), "/api/v1/signingCert" if found == FULCIO:
                made = self.certify(authorization.removeprefix("Bearer "), json.loads(body))
                return 201, "application/pem-certificate-chain", made
            case str(found), "/api/v1/log/entries" if found == REKOR:
                return 201, "application/json", compact(self.log(json.loads(body)))
        return 404, "text/plain", path.encode()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


class Service(Handler):
    """Answers for all of them."""

    def __init__(self, signing: Signing, *rest: Any) -> None:
        self.signing = signing
        super().__init__(*rest)

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        authorization = self.headers.get("Authorization", "")
        status, kind, told = self.signing.answer(self.headers["Host"], self.path, authorization, body)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def do_POST(self) -> None:
        self.do_GET()


class Proxy(Handler):
    """Leads hosts to ports of this machine's, and nowhere else."""

    def __init__(self, asked: list[str], ports: Mapping[str, int], *rest: Any) -> None:
        self.asked, self.ports = asked, ports
        super().__init__(*rest)

    def do_CONNECT(self) -> None:
        host = self.path.removesuffix(":443")
        self.asked.append(host)
        if host not in self.ports:
            self.send_error(502)
            return
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(("127.0.0.1", self.ports[host])) as there:
            back = threading.Thread(target=pump, args=(there, self.connection))
            back.start()
            pump(self.connection, there)
            back.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Carries over what comes, until nothing does."""
    try:
        while got := source.recv(1 << 16):
            sink.sendall(got)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return  # one of them is gone: the other is told by the end of the connection


@contextmanager
def _served(handler: Callable[..., Handler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(signing: Signing, folder: Path, registry: int) -> Iterator[str]:
    """Serves them with the certificate in a folder, and the registry at that port; the address of the proxy to them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    with _served(partial(Service, signing), context) as port:
        ports = {**dict.fromkeys((TOKENS, FULCIO, REKOR), port), REGISTRY: registry}
        with _served(partial(Proxy, signing.asked, ports)) as proxy:
            yield f"http://127.0.0.1:{proxy}"
