"""A machine without containers, set up and kept for a while as docs/deploy-hetzner.md says, line by line.

make test-host     builds a bare Debian 12 with systemd (tests/machine), and runs this

The machine is a container of podman's with a network of its own; packages come from where this machine's come from.
Stood in for: the address of the project (a repository mounted there), the chat, the name aicd.example.com, which leads
to the machine, the registry of docs/usage.md's image, and Let's Encrypt: certbot asks Debian's pebble. Left out:
Hetzner, and limits on memory, since systemd gets no such control groups there. The tests are one story, in
their order.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from acme_authority import ANSWERS, acme_authority
from alert_chat import chat
from bare_machine import Machine, bare_machine, reason_to_skip
from composed import until
from github_town import BODY
from histories import git
from image_registry import serving_image

REASON = reason_to_skip()
pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("host"),
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
]
UNITS = ["aicd-api", "aicd-backup", "aicd-worker"]
WITH_SECOND = [*UNITS, "aicd-worker-2"]
NAMES = {"slug": "shells", "name": "Bash; cat & friends /etc/passwd"}
"""An organization that the firewall's rules take for an attack."""
WORKING = {"queued", "planning", "coding", "reviewing"}
BUSY = "pgrep -f 'sleep 1[5]'"
"""A test of the project's is run."""
MAKE_PROJECT = """
cd /srv/project && git init -q -b main
echo 'version: 1
tests: [grep -q world greet.txt, sleep 15]' >.aicd.yml
printf 'one\\nhello\\nthree\\n' >greet.txt
git add . && git -c user.name=Ada -c user.email=ada@example.com commit -qm Begin
"""
MAKE_USER = """
sed -i /^ada:/d /etc/subuid /etc/subgid
install -d -m 0700 -o ada -g ada /home/ada/run
ln -s /opt/aicd/venv/bin/aicd /usr/local/bin/aicd
"""
"""An account without users of its own and without a session, and this project's program."""
DROP_IN = "[Service]\nReadWritePaths=/srv/project\n"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with bare_machine(tmp_path_factory.mktemp("host")) as made:
        yield made


@pytest.fixture(scope="module")
def key(machine: Machine) -> str:
    """All of it is set up, and this is the first owner's."""
    reader = machine.reader
    reader.run("docs/deploy-hetzner.md", "sudo apt-get install bubblewrap")
    reader.run("docs/deploy-hetzner.md", "version=$(git")
    said = reader.run("docs/deploy-hetzner.md", "sudo install -d")
    assert "in a user namespace" in said
    assert said.endswith('{"status":"ok"}')
    found = re.search(r"aicd_key_\S+", said)
    assert found is not None, said
    return found[0]


@pytest.fixture(scope="module")
def project(machine: Machine, key: str) -> None:
    """A repository at /srv/project, with the worker's unit let there."""
    machine.sh("install -d -o aicd -g aicd /srv/project")
    machine.sh("runuser -u aicd -- env HOME=/var/lib/aicd bash -eu", given=MAKE_PROJECT)
    machine.sh("install -D -m 0644 /dev/stdin /etc/systemd/system/aicd-worker.service.d/override.conf", given=DROP_IN)
    machine.sh("systemctl daemon-reload && systemctl restart aicd-worker")


def queue(machine: Machine, title: str) -> None:
    words = "aicd run --detach --repo /srv/project --issue-file -"
    machine.sh(words, given=f"{title}\n\n{BODY}")


def opened(machine: Machine, title: str) -> None:
    """Waits until the issue has its pull request."""
    state = until(lambda: one if (one := machine.jobs()[title]) not in WORKING else "", f"{title}: no pull request")
    assert state == "pr_open", machine.sh("aicd jobs; journalctl --no-pager -u 'aicd-worker*' -n 50")


def active(machine: Machine, units: list[str]) -> bool:
    return all(machine.unit(each, "ActiveState") == "active" for each in units)


def pids(machine: Machine, units: list[str]) -> list[str]:
    return [machine.unit(each, "MainPID") for each in units]


def ready(machine: Machine) -> bool:
    return '{"status":"ok"}' in machine.sh("curl -s http://127.0.0.1:8080/readyz", check=False)


def test_its_units_run_and_an_issue_becomes_a_pull_request(machine: Machine, key: str, project: None):
    assert active(machine, UNITS)
    queue(machine, "Greet the world")
    opened(machine, "Greet the world")
    until(lambda: machine.sh("ls /var/lib/aicd/repository/config", check=False).startswith("/var"), "no backup")


def test_a_killed_worker_is_started_again_and_its_job_goes_on(machine: Machine, key: str, project: None):
    queue(machine, "Greet once more")
    until(lambda: machine.sh(BUSY, check=False), "no test is run")
    before = machine.unit("aicd-worker", "MainPID")
    machine.sh(f"kill -9 {before}")
    until(lambda: machine.unit("aicd-worker", "MainPID") not in {"0", before}, "it is not started again")
    opened(machine, "Greet once more")
    assert machine.unit("aicd-worker", "NRestarts") == "1"


def test_the_proxy_refuses_an_attack_and_an_exception_lets_it_through(machine: Machine, key: str):
    reader = machine.reader
    said = reader.run("docs/deploy-hetzner.md", "sudo apt-get install nginx-light")
    assert said.endswith('{"status":"ok"}')
    assert machine.ask("/v1/me", key)[0] == 200
    status, refused = machine.ask("/v1/organizations", key, NAMES)
    assert (status, refused["code"]) == (403, "blocked")
    put = {"REQUEST_ID": refused["request_id"]}
    told = reader.run("docs/deploy-hetzner.md", "sudo journalctl -u aicd-proxy", put=put)
    assert re.findall(r'id "(\d+)"', told) == ["930120", "932100", "932160", "949110"]
    reader.run("docs/deploy-hetzner.md", "sudo tee -a /etc/aicd/proxy/own.conf")
    until(lambda: machine.ask("/v1/organizations", key, NAMES)[1]["code"] == "person_needed", "it is not heeded")


def certified(machine: Machine) -> str:
    """The certificate that the proxy shows, where it is certbot's newest and the authority stands behind it."""
    told = "openssl x509 -noout -fingerprint"
    return machine.sh(
        "curl -fs --cacert /root/authority.pem https://aicd.example.com/readyz >/dev/null;"
        f"shown=$(openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | {told});"
        f'[ "$shown" = "$({told} -in /etc/letsencrypt/live/aicd.example.com/cert.pem)" ] && echo "$shown"',
        check=False,
    )


def test_an_authoritys_certificate_is_the_proxys_and_so_is_its_next_one(machine: Machine, key: str, tmp_path: Path):
    with acme_authority(tmp_path, machine.inspected("Gateway"), machine.inspected("IPAddress")) as authority:
        machine.sh(authority.trust, given=authority.proof)
        machine.sh("cat >/root/authority.pem", given=authority.root)
        assert not certified(machine)
        machine.reader.run("docs/deploy-hetzner.md", "sudo apt-get install certbot", on="at_terminal", answers=ANSWERS)
        first = until(lambda: certified(machine), "the proxy shows another certificate")
        assert machine.unit("certbot.timer", "ActiveState") == "active"
        machine.sh("echo 'force-renewal = true' >>~/.config/letsencrypt/cli.ini; systemctl start certbot.service")
        until(lambda: certified(machine) not in {"", first}, "the proxy shows no newer certificate")


def test_a_user_gets_rootless_podman_and_a_sandbox_by_it(machine: Machine, key: str, tmp_path: Path):
    machine.sh(MAKE_USER)
    with serving_image(
        tmp_path / "registry",
        "localhost/aicd-sandbox-test:latest",
        "library/python",
        "3.12-slim",
        machine.inspected("Gateway"),
    ) as registry:
        text = f'[[registry]]\nprefix = "docker.io"\nlocation = "{registry.address}"\ninsecure = true\n'
        machine.sh("install -D -m 0644 /dev/stdin /etc/containers/registries.conf.d/here.conf", given=text)
        told = machine.reader.run(
            "docs/usage.md", "sudo apt-get install podman", put={"/run/user/$(id -u)": "/home/ada/run"}
        )
    assert machine.sh("grep -h ^ada: /etc/subuid /etc/subgid").split() == ["ada:100000:65536"] * 2
    assert re.search(r"^ok   sandbox: podman .* image docker\.io/library/python:3\.12-slim", told, re.MULTILINE), told


def test_a_second_worker_takes_over_from_one_that_died(machine: Machine, key: str, project: None):
    machine.reader.run("docs/deploy-hetzner.md", "sudo sed s/9464/9467/")
    machine.sh("cp -r /etc/systemd/system/aicd-worker.service.d /etc/systemd/system/aicd-worker-2.service.d")
    machine.sh("systemctl daemon-reload && systemctl restart aicd-worker-2")
    queue(machine, "Greet by the other one")
    busy = until(lambda: machine.sh(BUSY, check=False), "no test is run").split()[0]
    (dying,) = set(re.findall(r"aicd-worker[-\d]*", machine.sh(f"cat /proc/{busy}/cgroup")))
    machine.sh(f"systemctl kill --signal KILL {dying} && systemctl stop {dying}")
    opened(machine, "Greet by the other one")
    machine.sh(f"systemctl start {dying}")


def test_prometheus_sees_all_and_a_database_that_is_away_is_told_in_the_chat(machine: Machine, key: str):
    told: list[str] = []
    with chat(machine.inspected("Gateway"), told) as address:
        machine.reader.environment["CHAT_URL"] = address
        reader = machine.reader
        said = reader.run(
            "docs/deploy-hetzner.md", "sudo apt-get install --no-install-recommends prometheus", on="on_machine"
        )
        assert "SUCCESS" in said
        up = "promtool query instant http://localhost:9090 up"
        until(lambda: machine.sh(up, check=False).count("=> 1 @") == 6, "not all are scraped")
        machine.sh("systemctl stop postgresql")
        until(lambda: [text for text in told if "AicdDatabaseDown" in text], "nobody is told")
        assert "AicdDatabaseDown" in machine.sh("amtool --alertmanager.url http://localhost:9093 alert")
        machine.sh("systemctl start postgresql")
    until(lambda: ready(machine), "the API is not ready again")


def test_keys_and_a_password_are_replaced(machine: Machine, key: str):
    machine.reader.run("docs/secrets.md", "front() {")
    before = pids(machine, WITH_SECOND)
    machine.reader.run("docs/secrets.md", "sudo sh -eu <<'END'")
    until(lambda: ready(machine), "the API is not ready with its new password")
    assert not set(before) & set(pids(machine, WITH_SECOND))
    assert machine.ask("/v1/me", key)[0] == 200


def versions(machine: Machine) -> list[str]:
    return machine.sh("ls -t /opt/aicd | grep -v venv").split()


def of_version(machine: Machine, version: str, units: list[str]) -> bool:
    """Whether all those units run that version's files."""
    each = f"/opt/aicd/{version}/"
    return all(each in machine.sh(f"cat /proc/{pid}/maps", check=False) for pid in pids(machine, units))


def test_an_upgrade_and_the_way_back(machine: Machine, key: str, project: None):
    before, (older,) = machine.jobs(), versions(machine)
    tree, head = (git(machine.upstream, "rev-parse", what).decode().strip() for what in ("HEAD^{tree}", "HEAD"))
    new = git(machine.upstream, "commit-tree", tree, "-p", head, "-m", "Next").decode().strip()
    git(machine.upstream, "update-ref", "refs/heads/main", new)
    reader = machine.reader
    reader.run("docs/deploy-hetzner.md", "sudo aicd backup run && git pull")
    reader.run("docs/deploy-hetzner.md", "version=$(git")
    machine.sh("/srv/aicd/deploy/systemd/proxy.sh")
    reader.run("docs/deploy-hetzner.md", "sudo sed s/9464/9467/")
    queue(machine, "Greet while it is upgraded")
    until(lambda: machine.sh(BUSY, check=False), "no test is run")
    reader.run("docs/deploy-hetzner.md", "sudo systemctl start aicd-migrate")
    assert versions(machine)[0] == new[: len(older)]
    until(lambda: of_version(machine, new[: len(older)], WITH_SECOND), "not all are new")
    opened(machine, "Greet while it is upgraded")
    reader.run("docs/deploy-hetzner.md", "ls -t /opt/aicd", put={"OLDER": older})
    until(lambda: of_version(machine, older, WITH_SECOND), "not all are old")
    until(lambda: ready(machine), "the API is not ready")
    assert machine.jobs() == before | {"Greet while it is upgraded": "pr_open"}


def test_all_of_it_comes_up_after_a_reboot(machine: Machine, key: str, project: None):
    before = machine.jobs()
    machine.reboot()
    all_units = [*WITH_SECOND, "aicd-proxy", "prometheus", "prometheus-alertmanager"]
    until(lambda: active(machine, all_units), "not all units are up")
    until(lambda: ready(machine), "the API is not ready")
    assert machine.jobs() == before
    assert machine.ask("/v1/me", key)[0] == 200
    queue(machine, "Greet after all")
    opened(machine, "Greet after all")
