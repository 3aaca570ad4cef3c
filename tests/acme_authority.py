"""An authority that certbot can ask: Debian's pebble, Let's Encrypt's own small one for tests."""

import json
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from composed import until
from debian_programs import debian_program
from ssh_server import free_port
from waf_proxy import certify

ANSWERS = (
    ("Enter email address", "you@example.com"),
    ("(Y)es/(N)o: ", "y"),
    ("(Y)es/(N)o: ", "n"),
)
"""What certbot asks at first: an address, whether its terms are agreed to, and whether the address may be passed on."""
AT_ONCE = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
"""Else it waits, refuses some requests, and takes some proofs for good, all by chance."""
TRUST = """
cat >/usr/local/share/ca-certificates/authority.crt && update-ca-certificates >/dev/null
mkdir -p ~/.config/letsencrypt && echo 'server = {directory}' >~/.config/letsencrypt/cli.ini
"""


@dataclass(frozen=True)
class Authority:
    """`trust`: what leads a machine's certbot there, with `proof` on its standard input. `root`: what it signs with."""

    trust: str
    proof: str
    root: str


@contextmanager
def acme_authority(folder: Path, address: str, leads_to: str) -> Iterator[Authority]:
    """Listens at an address of this machine's. Names that it is to certify all lead to an address."""
    certify(folder, address)
    port, inside, names = free_port(address), free_port("127.0.0.1"), free_port("127.0.0.1")
    config = {
        "listenAddress": f"{address}:{port}",
        "managementListenAddress": f"127.0.0.1:{inside}",
        "certificate": str(folder / "fullchain.pem"),
        "privateKey": str(folder / "privkey.pem"),
        "httpPort": 80,
        "tlsPort": 443,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
    off = ("-http01", "", "-https01", "", "-tlsalpn01", "", "-management", "127.0.0.1:0")
    at = f"127.0.0.1:{names}"
    with ExitStack() as stack:
        for program, *words in (
            ("pebble-challtestsrv", "-dns01", at, "-defaultIPv4", leads_to, "-defaultIPv6", "", *off),
            ("pebble", "-config", str(folder / "pebble.json"), "-dnsserver", at),
        ):
            stack.enter_context(_running(program, words, folder / f"{program}.log"))
        proof = (folder / "fullchain.pem").read_text()
        root = until(lambda: _fetched(f"https://localhost:{inside}/roots/0", proof), "pebble does not answer")
        yield Authority(TRUST.format(directory=f"https://{address}:{port}/dir"), proof, root)


@contextmanager
def _running(program: str, words: list[str], log: Path) -> Iterator[None]:
    found = debian_program(program)
    with log.open("wb") as told:
        process = subprocess.Popen([found.path, *words], env={**found.environment, **AT_ONCE}, stdout=told, stderr=told)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _fetched(url: str, proof: str) -> str:
    """What is there; nothing as long as nobody listens."""
    trusted = ssl.create_default_context(cadata=proof)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted))
    try:
        with opener.open(url) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""
