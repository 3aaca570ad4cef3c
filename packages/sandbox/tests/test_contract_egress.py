"""The way out, from inside of real sandboxes to a small internet on this machine's loopback."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aicd_core.contracts import CommandResult, Denial, SandboxSession
from aicd_core.telemetry.metrics import REGISTRY
from aicd_sandbox.egress.proxy import Internet, Streams
from aicd_sandbox.egress.rules import Address

PUBLIC = ipaddress.ip_address("93.184.216.34")
Make = Callable[..., object]
Fetch = Callable[..., Awaitable[CommandResult]]

FETCH = """
import sys, urllib.request, urllib.error
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=10)
    print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
except Exception as error:
    print(type(error).__name__, error)
"""


@dataclass
class SmallInternet:
    """One server for every address that is dialled; names lead where the test says."""

    names: dict[str, Sequence[Address]] = field(default_factory=lambda: {"allowed.test": [PUBLIC]})
    dialled: list[tuple[str, int]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    location: str = ""
    port: int = 0

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        return self.names.get(host, [PUBLIC])

    async def dial(self, address: Address, port: int) -> Streams:
        self.dialled.append((str(address), port))
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
        answer = b"hello " + body
        status = f"302 Found\r\nLocation: {self.location}" if self.location else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def internet() -> AsyncIterator[SmallInternet]:
    small = SmallInternet()
    server = await asyncio.start_server(small.serve, "127.0.0.1", 0)
    small.port = server.sockets[0].getsockname()[1]
    yield small
    server.close()


@pytest.fixture
async def session(make: Make, internet: SmallInternet, tree: Path) -> AsyncIterator[SandboxSession]:
    sandbox = make(internet=Internet(internet.resolve, internet.dial))
    opened = await sandbox.open(tree)  # type: ignore[attr-defined]
    (tree / "fetch.py").write_text(FETCH)
    (tree / "fetch.py").chmod(0o644)
    yield opened
    await opened.close()


@pytest.fixture
def fetch(session: SandboxSession) -> Fetch:
    async def fetched(url: str, *hosts: str) -> CommandResult:
        return await session.run(f"python3 fetch.py '{url}'", timeout=30, hosts=hosts)

    return fetched


async def test_an_allowed_host_is_reached_and_nothing_is_denied(fetch: Fetch, internet: SmallInternet) -> None:
    result = await fetch("http://allowed.test/a?b=c", "allowed.test")
    assert (result.output, result.denials) == ("200 hello \n", ())
    assert internet.dialled == [(str(PUBLIC), 80)]
    assert internet.heads[0].startswith("GET /a?b=c HTTP/1.1\r\n")
    assert "\r\nHost: allowed.test\r\n" in internet.heads[0]


@pytest.mark.parametrize("hosts", [(), ("allowed.test",)])
async def test_a_host_that_the_organisation_forbids_is_refused_by_the_name_of_the_rule(
    session: SandboxSession, internet: SmallInternet, hosts: tuple[str, ...]
) -> None:
    url = "http://Forbidden.test/"
    result = await session.run(f"python3 fetch.py {url}", timeout=30, hosts=hosts, refused=("*.test",))
    assert result.output.startswith("403 AI-CD refused the connection to forbidden.test:80: the rule allowed_hosts")
    assert [(denial.host, denial.port) for denial in result.denials] == [("forbidden.test", 80)]
    assert "allowed_hosts" in result.denials[0].reason
    assert internet.dialled == []
    if hosts:
        again = await session.run("python3 fetch.py http://allowed.test/", timeout=30, hosts=hosts, refused=("*.test",))
        assert (again.output, again.denials) == ("200 hello \n", ())


async def test_without_an_allow_list_there_is_no_proxy_to_ask(fetch: Fetch, internet: SmallInternet) -> None:
    result = await fetch("http://allowed.test/")
    assert result.output.startswith("URLError")
    assert internet.dialled == []


async def test_the_proxy_itself_refuses_a_command_without_network(
    session: SandboxSession, internet: SmallInternet
) -> None:
    env = {"http_proxy": "http://127.0.0.1:3128"}
    result = await session.run("python3 fetch.py http://allowed.test/", timeout=30, env=env)
    assert result.output.startswith("403 AI-CD refused the connection to allowed.test:80")
    assert result.denials == (Denial(host="allowed.test", port=80, reason="this command has no network"),)
    assert internet.dialled == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://other.test/", "the host is not on the allow-list"),
        ("http://93.184.216.34/", "the host is not on the allow-list"),
        ("http://169.254.169.254/latest/meta-data/", "the host is not on the allow-list"),
        ("http://[::1]/", "the host is not on the allow-list"),
        ("http://allowed.test.evil.test/", "the host is not on the allow-list"),
        ("http://allowed.test:22/", "only port 80 can be reached"),
        ("http://inside.test/", "the name leads to an address that is not on the internet"),
        ("http://mixed.test/", "the name leads to an address that is not on the internet"),
    ],
)
async def test_everything_else_is_denied_and_told(fetch: Fetch, internet: SmallInternet, url: str, reason: str) -> None:
    internet.names["inside.test"] = [ipaddress.ip_address("169.254.169.254")]
    internet.names["mixed.test"] = [PUBLIC, ipaddress.ip_address("127.0.0.1")]
    denied = REGISTRY.get_sample_value("aicd_sandbox_denials_total") or 0
    result = await fetch(url, "allowed.test", "inside.test", "mixed.test")
    assert REGISTRY.get_sample_value("aicd_sandbox_denials_total") == denied + 1
    assert result.output.startswith("403 AI-CD refused the connection")
    assert [denial.reason for denial in result.denials] == [reason]
    assert internet.dialled == []


async def test_a_name_that_leads_elsewhere_at_the_second_look_is_not_looked_up_twice(
    fetch: Fetch, internet: SmallInternet
) -> None:
    looked: list[str] = []
    inside = [ipaddress.ip_address("127.0.0.1")]

    class Rebinding(dict[str, Sequence[Address]]):
        def get(self, host: str, default: object = None) -> Sequence[Address]:  # type: ignore[override]
            looked.append(host)
            return [PUBLIC] if len(looked) == 1 else inside

    internet.names = Rebinding()
    assert (await fetch("http://allowed.test/", "allowed.test")).output.startswith("200")
    assert (looked, internet.dialled) == (["allowed.test"], [(str(PUBLIC), 80)])


async def test_a_redirect_is_a_new_request_and_checked_again(fetch: Fetch, internet: SmallInternet) -> None:
    internet.location = "http://169.254.169.254/latest/meta-data/"
    result = await fetch("http://allowed.test/", "allowed.test")
    assert result.output.startswith("403 AI-CD refused the connection to 169.254.169.254:80")
    assert [denial.host for denial in result.denials] == ["169.254.169.254"]
    assert len(internet.dialled) == 1


TUNNEL = """
import socket, sys
proxy = socket.create_connection(("127.0.0.1", 3128), 10)
proxy.sendall(sys.argv[1].encode().decode("unicode_escape").encode())
received = b""
while data := proxy.recv(65536):
    received += data
print(received.decode())
"""


async def tunnel(session: SandboxSession, tree: Path, text: str) -> CommandResult:
    (tree / "tunnel.py").write_text(TUNNEL)
    return await session.run(f"python3 tunnel.py '{text}'", timeout=30, hosts=("allowed.test",))


async def test_a_tunnel_to_an_allowed_host_carries_bytes(
    session: SandboxSession, tree: Path, internet: SmallInternet
) -> None:
    text = r"CONNECT allowed.test:443 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    result = await tunnel(session, tree, text)
    assert "200 Connection established" in result.output
    assert result.output.endswith("hello \n")
    assert internet.dialled == [(str(PUBLIC), 443)]


@pytest.mark.parametrize(
    "target", ["allowed.test:22", "allowed.test:25", "other.test:443", "127.0.0.1:443", "[::1]:443", "0x7f000001:443"]
)
async def test_a_tunnel_to_anywhere_else_is_denied(
    session: SandboxSession, tree: Path, internet: SmallInternet, target: str
) -> None:
    result = await tunnel(session, tree, rf"CONNECT {target} HTTP/1.1\r\nHost: allowed.test\r\n\r\n")
    assert "403 AI-CD" in result.output
    assert len(result.denials) == 1
    assert internet.dialled == []


async def test_a_second_request_on_the_same_connection_does_not_follow_the_first_to_its_host(
    session: SandboxSession, tree: Path, internet: SmallInternet
) -> None:
    one = r"GET http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n"
    result = await tunnel(session, tree, one + r"GET http://other.test/secret HTTP/1.1\r\nHost: other.test\r\n\r\n")
    assert result.output.startswith("HTTP/1.1 200")
    assert len(internet.heads) == 1
    assert "secret" not in internet.heads[0]


async def test_the_name_in_the_address_wins_over_the_host_header(
    session: SandboxSession, tree: Path, internet: SmallInternet
) -> None:
    head = r"POST http://allowed.test/ HTTP/1.1\r\nHost: other.test\r\nProxy-Authorization: x\r\nContent-Length: 4"
    result = await tunnel(session, tree, head + r"\r\n\r\nbody")
    assert result.output.endswith("hello body\n")
    assert "other.test" not in internet.heads[0]
    assert "proxy-authorization" not in internet.heads[0].lower()


@pytest.mark.parametrize("text", [r"nonsense\r\n\r\n", r"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "X" * 40_000])
async def test_what_is_no_proxy_request_gets_an_error(session: SandboxSession, tree: Path, text: str) -> None:
    result = await tunnel(session, tree, text)
    assert "HTTP/1.1 400" in result.output
    assert result.denials == ()


async def test_connections_end_with_their_command(session: SandboxSession, tree: Path, internet: SmallInternet) -> None:
    script = 'import socket, time; s = socket.create_connection(("127.0.0.1", 3128)); time.sleep(60)'
    assert (await session.run(f"(python3 -c '{script}' &); sleep 0.3", timeout=30, hosts=("allowed.test",))).ok
    assert (await session.run("python3 fetch.py http://allowed.test/", timeout=30)).output.startswith("URLError")


async def test_denials_are_those_of_the_command_each_once_and_not_without_end(
    session: SandboxSession, tree: Path
) -> None:
    many = (
        "import socket\nfor n in [*range(150), 0, 0]:\n"
        "    proxy = socket.create_connection(('127.0.0.1', 3128))\n"
        "    proxy.sendall(f'CONNECT h{n}.test:443 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'.encode()); proxy.recv(100)\n"
    )
    (tree / "many.py").write_text(many)
    denials = (await session.run("python3 many.py", timeout=60, hosts=("allowed.test",))).denials
    assert [denial.host for denial in denials] == [f"h{n}.test" for n in range(100)]
    assert (await session.run("true", timeout=30)).denials == ()
