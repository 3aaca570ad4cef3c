"""docker/compose.yml, started whole and kept for a while as docs/deploy.md says, by Docker's Compose and Engine.

make test-compose     builds the images, makes a machine for them (scripts/compose_machine.sh), and runs this

In the place of images of others stand Debian's programs (tests/installed), in that of Let's Encrypt Debian's pebble.
The tests are one story, in their order.
"""

import asyncio
import json
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from acme_authority import ANSWERS, acme_authority
from aicd_github.testing.github.state import Issue, Pull, Repository
from aicd_github.testing.github_server import GitHubServer, serving_github
from aicd_github.testing.messages import Message, Messages
from alert_chat import chat
from composed import (
    DOMAIN,
    MACHINE,
    WORLD,
    Operator,
    docker,
    images,
    load_images,
    operators_reader,
    reason_to_skip,
    until,
)
from github_town import BODY, PERMISSIONS
from histories import git
from operators_debian import operators_debian
from ssh_server import SshServer, ssh_server
from waf_proxy import certify

REASON = reason_to_skip()
pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("compose"),
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
    pytest.mark.allow_hosts([MACHINE, WORLD, "127.0.0.1", "172.16.0.0/12"]),
]
OURS = {f"localhost/aicd-test-{role}": f"aicd-{role}:local" for role in ("api", "worker", "proxy")}
STAND_INS = ("postgres", "redis", "prometheus", "alertmanager")
SECRET = "long enough to be a secret"
PORTS = (80, 443, 2375, 3000, 3100, 3200, 4317, 4318, 5432, 6333, 6379, 8080, 8443, 9090, 9093, 9464, 12345)


@dataclass
class World:
    """What is out there: GitHub, with an App on `acme/project`, and a chat that takes alerts."""

    server: GitHubServer
    repo: Repository
    says: Messages
    key: str
    told: list[str] = field(default_factory=list)
    chat: str = ""

    def issue(self, title: str) -> Issue:
        return self.server.add_issue(self.repo, title, BODY, "rita")

    def pull(self, issue: Issue) -> Pull | None:
        """The one that was opened for an issue."""
        return next((pull for pull in self.repo.pulls.values() if issue.title in pull.issue.title), None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compose")


@pytest.fixture(scope="module")
def world(place: Path) -> Iterator[World]:
    source, github, tls = place / "source", place / "github", place / "tls"
    for folder in (source, github, tls):
        folder.mkdir()
    git(source, "init", "-q", "--initial-branch=main")
    (source / ".aicd.yml").write_text("version: 1\ntests: ['grep -q world greet.txt', 'sleep 15']\n")
    (source / "greet.txt").write_text("one\nhello\nthree\n")
    git(source, "add", ".")
    git(source, "commit", "-qm", "Begin")
    certify(tls, WORLD)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    told: list[str] = []
    with serving_github(GitHubServer(github, host=WORLD, tls=tls)) as server, chat(WORLD, told) as address:
        repo = server.add_repository("acme", "project", source, permissions={"alice": "write", "rita": "read"})
        installed = server.install(server.add_app("aicd", public, dict(PERMISSIONS)), repo)
        yield World(server, repo, Messages(server, repo, installed), private, told, address)


@pytest.fixture(scope="module")
def box(place: Path) -> Iterator[SshServer]:
    """Where backups go."""
    folder = place / "box"
    folder.mkdir()
    with ssh_server(folder, address=WORLD) as server:
        yield server


@pytest.fixture(scope="module")
def operator(place: Path) -> Iterator[Operator]:
    load_images(OURS | {f"localhost/aicd-stand-in-{name}": images()[name] for name in STAND_INS})
    reader = operators_reader(place)
    made = Operator(place / "aicd/docker", reader)
    try:
        told = reader.run("docs/deploy.md", "git clone")
        assert "Exited (0)" in told
        assert told.endswith('{"status":"ok"}')
        made.set(AICD_OTLP_ENDPOINT="")
        until(made.all_healthy, "not all became healthy")
        reader.folder = place / "aicd"
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "20", check=False)


@pytest.fixture(scope="module")
def key(operator: Operator) -> str:
    """The first owner's."""
    said = operator.reader.run("docs/deploy.md", "c exec worker aicd doctor")
    assert "in a user namespace" in said
    found = re.search(r"aicd_key_\S+", said)
    assert found is not None, said
    return found[0]


def jobs(operator: Operator, key: str) -> dict[str, str]:
    """All of the organization's: title and state."""
    with operator.visitor(key) as visitor:
        listed = until(lambda: ok(visitor.get("/v1/organizations/acme/jobs")), "jobs are not listed")
        return {job["title"]: job["state"] for job in listed.json()["items"]}


def ok(answer: httpx.Response) -> httpx.Response | None:
    """The answer, unless the API has just lost its database."""
    return None if answer.status_code == 503 else answer.raise_for_status()


def deliver(operator: Operator, message: Message) -> None:
    with operator.visitor() as visitor:
        answer = visitor.post("/webhooks/github", content=message.body, headers=message.headers(SECRET))
    assert answer.status_code == 202, answer.text


@pytest.fixture(scope="module")
def connected(operator: Operator, world: World, key: str) -> None:
    """GitHub is set up, and its App installed on a repository, as docs/deploy.md says."""
    authority = (world.server.tls / "fullchain.pem").read_text()  # type: ignore[operator]
    for service in ("api", "worker"):
        operator.keep(f"{service}/aicd_github_app_key", world.key)
        operator.keep(f"{service}/authority.pem", authority)
    operator.keep("api/aicd_github_webhook_secret", SECRET)
    operator.keep("alertmanager/alert_chat_url", world.chat)
    operator.set(
        AICD_GITHUB_API_URL=world.server.api,
        AICD_GITHUB_APP_ID=str(world.says.installed.app.id),
        AICD_GITHUB_ACCOUNTS="acme=acme",
        SSL_CERT_FILE="/run/secrets/authority.pem",
    )
    operator.compose("up", "--detach", "--force-recreate", "api", "worker")
    until(operator.all_healthy, "not all are well with GitHub")
    account = {"id": world.repo.owner.id, "login": "acme", "type": "Organization"}
    installation = {"id": world.says.installed.id, "account": account}
    repositories = [{"id": world.repo.id, "full_name": "acme/project"}]
    payload = {"action": "created", "installation": installation, "repositories": repositories}
    deliver(operator, Message("installation", payload))
    with operator.visitor(key) as visitor:
        until(lambda: visitor.get("/v1/organizations/acme/repositories").json()["items"], "no repository is connected")


def test_all_of_it_comes_up_and_says_so(operator: Operator, key: str):
    with operator.visitor(key) as visitor:
        assert visitor.get("/readyz").json() == {"status": "ok"}
        assert [one["slug"] for one in visitor.get("/v1/organizations").json()["items"]] == ["acme"]
    checks = json.loads(operator.exec("worker", "aicd", "doctor", "--json"))["checks"]
    assert all(check["ok"] for check in checks), checks


def test_the_engine_keeps_every_service_as_confined_as_the_file_says(operator: Operator):
    said = json.loads(operator.compose("config", "--format", "json"))["services"]
    for name in set(operator.services()) - {"migrate"}:
        limits, told = said[name]["deploy"]["resources"]["limits"], operator.inspected(name)["HostConfig"]
        assert told["ReadonlyRootfs"] is True
        assert told["Memory"] == int(limits["memory"])
        assert told["NanoCpus"] == int(float(limits["cpus"]) * 1e9)
        assert told["PidsLimit"] == limits["pids"]
        look = (
            "grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs)' /proc/1/status; id -u;"
            "for place in / /usr /etc; do touch $place/x 2>/dev/null && echo written; done;"
            "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
        )
        words = docker("exec", f"aicd-{name}-1", "sh", "-c", look, check=False).split()
        status, (user, limit) = words[:-2], words[-2:]
        assert status[1:-2:2] == ["0" * 16] * 5, name
        assert status[-2:] == ["NoNewPrivs:", "1"], name
        assert user != "0", name
        assert limit == limits["memory"], name


def test_the_proxy_answers_on_tls_only_and_refuses_an_attack(operator: Operator, key: str):
    plain = httpx.get(f"http://{MACHINE}/v1/me", headers={"Host": DOMAIN}, trust_env=False)
    assert (plain.status_code, plain.headers["Location"]) == (308, f"https://{DOMAIN}/v1/me")
    with operator.visitor(key) as visitor:
        assert visitor.get("/v1/me").status_code == 200
        attack = visitor.get("/v1/me", params={"q": "1 UNION SELECT password FROM users--"})
        assert (attack.status_code, attack.json()["code"]) == (403, "blocked")
        put = {"REQUEST_ID": attack.json()["request_id"]}
        assert "ModSecurity" in operator.reader.run("docs/deploy.md", "c logs proxy", put=put)
        assert visitor.get("/metrics").status_code == 404


def addresses(operator: Operator) -> dict[str, str]:
    """Of all containers, and whose they are."""
    networks = {name: operator.inspected(name)["NetworkSettings"]["Networks"] for name in operator.services()}
    return {one["IPAddress"]: name for name, all_of in networks.items() for one in all_of.values() if one["IPAddress"]}


async def opens(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def test_nothing_but_the_proxy_can_be_reached(operator: Operator):
    """Neither by the machine's ports nor, for a neighbour, by the containers' own addresses."""
    assert [port for port in PORTS if await opens(MACHINE, port)] == [80, 443]
    known = addresses(operator)
    asked = [(address, port) for address in known for port in PORTS]
    open_ones = await asyncio.gather(*(opens(*one) for one in asked))
    reached = {(known[address], port) for (address, port), is_open in zip(asked, open_ones, strict=True) if is_open}
    assert reached <= {("proxy", 8080), ("proxy", 8443)}


def test_stores_and_figures_have_no_way_out(operator: Operator, world: World):
    """The worker has one, and what it finds there is GitHub; the database has none."""
    knock = f"exec 3<>/dev/tcp/{WORLD}/{world.server.port}"
    assert operator.exec("worker", "bash", "-c", f"{knock} && echo open").strip() == "open"
    for service in ("postgres", "redis", "prometheus"):
        assert "open" not in operator.exec(service, "timeout", "3", "bash", "-c", f"{knock} && echo open", check=False)


def test_prometheus_reads_every_target_that_is_there(operator: Operator):
    def down() -> list[str]:
        said = operator.exec("prometheus", "wget", "-qO-", "http://127.0.0.1:9090/api/v1/targets")
        states = {one["labels"]["job"]: one["health"] for one in json.loads(said)["data"]["activeTargets"]}
        return sorted(name for name, health in states.items() if health != "up")

    until(lambda: down() == ["alloy", "loki", "tempo"], "not all targets are up")


def test_a_label_becomes_a_pull_request(operator: Operator, world: World, key: str, connected: None):
    issue = world.issue("Greet the world")
    deliver(operator, world.says.labeled(issue, "aicd", "alice"))
    until(lambda: world.pull(issue), "no pull request")
    until(lambda: jobs(operator, key)[issue.title] == "pr_open", "the job does not know")


def test_a_job_whose_worker_is_killed_goes_on(operator: Operator, world: World, key: str, connected: None):
    issue = world.issue("Greet once more")
    deliver(operator, world.says.labeled(issue, "aicd", "alice"))
    busy = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -q 'sleep 1[5] ' && echo busy"
    until(lambda: "busy" in operator.exec("worker", "sh", "-c", busy, check=False), "no test is run")
    told = operator.inspected("worker")
    docker("exec", "aicd-worker-1", "sh", "-c", "kill -9 -1", check=False)
    until(lambda: operator.inspected("worker")["RestartCount"] > told["RestartCount"], "it is not started again")
    until(lambda: world.pull(issue), "no pull request")
    assert len([pull for pull in world.repo.pulls.values() if issue.title in pull.issue.title]) == 1


def test_when_the_database_is_away_somebody_is_told(operator: Operator, world: World, key: str, connected: None):
    operator.compose("stop", "postgres")
    until(lambda: [text for text in world.told if "AicdDatabaseDown" in text], "nobody is told")
    operator.compose("start", "postgres")
    until(operator.all_healthy, "not all is well again")
    with operator.visitor(key) as visitor:
        until(lambda: visitor.get("/readyz").status_code == 200, "the API is not ready again")


def test_a_restart_keeps_everything(operator: Operator, key: str):
    before = jobs(operator, key)
    operator.compose("restart", *(set(operator.services()) - {"migrate"}))
    until(operator.all_healthy, "not all is well again")
    assert jobs(operator, key) == before


def make_key(operator: Operator, key: str, name: str) -> None:
    """Something that is only in backups of later."""
    with operator.visitor(key) as visitor:
        made = visitor.post("/v1/organizations/acme/api-keys", json={"name": name, "scopes": ["jobs:read"]})
        assert made.status_code == 201, made.text


def keys(operator: Operator, key: str) -> set[str]:
    """The names of all."""
    with operator.visitor(key) as visitor:
        listed = until(lambda: ok(visitor.get("/v1/organizations/acme/api-keys")), "keys are not listed")
        return {one["name"] for one in listed.json()["items"]}


def test_backups_go_to_another_machine(operator: Operator, box: SshServer, place: Path, key: str):
    config = f"Host box.example\n  HostName {WORLD}\n  Port {box.port}\n  HostKeyAlias box.example\n"
    (place / "known").write_text(f"box.example {box.known}\n")
    inside = "umask 077; mkdir -p ~/.ssh; cat >~/.ssh/config"
    operator.reader.shell(f"c exec -T backup sh -c '{inside}' <<'END'\n{config}END")
    operator.reader.standing_in["sftp:backup@box.example:/aicd"] = f"sftp:root@box.example:{place}/vault"
    put = {"KEY_FILE": str(box.key), "KNOWN_HOSTS_FILE": f"{place}/known"}
    told = operator.reader.run("docs/deploy.md", "c exec -T backup", put=put)
    assert "and it was restored" in told
    assert (place / "vault/config").is_file()
    operator.reader.run("docs/deploy.md", "c exec postgres psql")
    until(operator.all_healthy, "not all is well again")


def test_a_backup_is_restored_as_it_is_written_down(operator: Operator, key: str):
    before = jobs(operator, key)
    make_key(operator, key, "later")
    put = {"backup restore  ": "backup restore --replace aicd  "}
    told = operator.reader.run("docs/deploy.md", "c stop proxy api worker backup\n", put=put)
    assert "go on once a worker runs" in told
    until(operator.all_healthy, "not all is well again")
    assert jobs(operator, key) == before
    assert "later" not in keys(operator, key)


def test_it_is_taken_back_to_a_moment(operator: Operator, key: str):
    before = jobs(operator, key)
    make_key(operator, key, "in time")
    moment = operator.reader.shell("sleep 2; date -u +%Y-%m-%dT%H:%M:%SZ; sleep 2").strip()
    make_key(operator, key, "too late")

    def shipped() -> bool:
        told = operator.compose("logs", "--since", moment, "backup")
        return told.count("the log is kept until now") > 1

    until(shipped, "the log is not shipped", lambda: operator.compose("logs", "--tail", "60", "backup", "postgres"))
    operator.reader.run(
        "docs/deploy.md", "c stop proxy api worker backup postgres", put={"2026-11-26T14:29:00Z": moment}
    )
    operator.up()
    assert jobs(operator, key) == before
    assert keys(operator, key) >= {"in time"}
    assert "too late" not in keys(operator, key)
    assert "aicd_postgres_2" in docker("volume", "ls", "--quiet").split()


def test_an_upgrade_migrates_once_and_keeps_everything(operator: Operator, key: str):
    before, old = jobs(operator, key), operator.inspected("migrate")["Id"]
    operator.set(TAG="next")
    operator.reader.run("docs/deploy.md", "cd /srv/aicd && c exec backup")
    until(operator.all_healthy, "not all is well again")
    for name in ("api", "worker", "proxy", "backup", "migrate"):
        assert operator.inspected(name)["Config"]["Image"].endswith(":next")
    assert operator.inspected("migrate")["Id"] != old
    assert jobs(operator, key) == before


def certified(root: str) -> bytes:
    """The certificate that the proxy shows, where that authority stands behind it."""
    trusted = ssl.create_default_context(cadata=root)
    try:
        with (
            socket.create_connection((MACHINE, 443), 10) as plain,
            trusted.wrap_socket(plain, server_hostname=DOMAIN) as shown,
        ):
            return shown.getpeercert(binary_form=True) or b""
    except OSError:
        return b""


def test_an_authoritys_certificate_is_the_proxys_and_so_is_its_next_one(operator: Operator, place: Path):
    (place / "acme").mkdir()
    with acme_authority(place / "acme", WORLD, MACHINE) as authority, operators_debian(operator.reader) as debian:
        debian.sh(authority.trust, given=authority.proof)
        assert not certified(authority.root)
        operator.reader.run("docs/deploy.md", "apt-get install certbot", on="at_terminal", answers=ANSWERS)
        first = until(lambda: certified(authority.root), "the proxy shows another certificate")
        debian.sh("certbot renew --force-renewal --no-random-sleep-on-renew")
        until(lambda: certified(authority.root) not in {b"", first}, "the proxy shows no newer certificate")
