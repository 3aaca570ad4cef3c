"""`make deploy` and `make rollback` over a real ssh: what is healthy runs, and what is not never stays."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from aicd_core.testing.chaos.installation import wait_until
from deploy_machine import Machine, machine
from histories import git

ROOT = Path(__file__).parents[1]
TARGETS = next(
    line.split('"')[1].split()
    for line in (ROOT / "deploy/hetzner/deploy.sh").read_text().splitlines()
    if line.startswith("targets=")
)
REGISTRY = "registry.example.com/me/aicd"
GATE = "up --detach --wait --wait-timeout 60 api worker proxy"
APART = "up --detach --no-deps --wait --wait-timeout 60"


def images(release: str, prefix: str = "aicd", targets: Sequence[str] = ("api", "worker", "proxy")) -> str:
    return " ".join(f"{prefix}-{target}:{release}" for target in targets)


@dataclass(frozen=True)
class Operator:
    """Somebody with a clone, and a machine that he deploys to."""

    clone: Path
    machine: Machine

    def command(self, action: str, **given: str) -> dict:
        names = {"HOST": self.machine.host, "SSH": self.machine.ssh, "WAIT": "60", "PATH": os.environ["PATH"]}
        return {"args": [str(self.clone / "deploy/hetzner/deploy.sh"), action], "env": names | given}

    def does(self, action: str, **given: str) -> tuple[int, str]:
        told = subprocess.run(
            **self.command(action, **given), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return told.returncode, told.stdout

    def ships(self, version: str) -> tuple[int, str]:
        """Makes a release and deploys it."""
        git(self.clone, "commit", "-q", "--allow-empty", "-m", version)
        git(self.clone, "tag", f"v{version}")
        return self.does("deploy", VERSION=version, IMAGES=REGISTRY)

    def commit(self, text: str, file: str = "source.txt") -> str:
        """Commits a change; the release that it becomes."""
        (self.clone / file).write_text(text)
        git(self.clone, "commit", "-qam", text)
        return git(self.clone, "rev-parse", "--short=12", "HEAD").decode().strip()

    def current(self) -> str:
        return (self.machine.opt / "current.env").read_text().splitlines()[0].removeprefix("AICD_RELEASE=")

    def marks(self, name: str, *lines: str) -> None:
        (self.machine.docker / name).write_text("\n".join(lines))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine")) as started:
        yield started


@pytest.fixture
def operator(server: Machine, tmp_path: Path) -> Operator:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "deploy/hetzner", clone / "deploy/hetzner", ignore=shutil.ignore_patterns("terraform"))
    (clone / "docker").mkdir()
    for name in ("docker/Dockerfile", "docker/compose.yml", "source.txt"):
        (clone / name).write_text(f"{name}\n")
    git(clone, "init", "-q", "-b", "main")
    git(clone, "add", ".")
    git(clone, "commit", "-q", "-m", "Begin")
    git(clone, "tag", "v1.0.0")
    for folder in (server.opt, server.docker):
        for old in folder.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    (server.opt / ".env").write_text("AICD_MIN_FREE_DISK=1\n")
    return Operator(clone, server)


def test_what_is_healthy_runs_and_the_release_before_it_can_be_had_back(operator: Operator):
    there = operator.machine
    first = operator.commit("one")
    code, said = operator.does("deploy")
    assert (code, said.splitlines()[-1]) == (0, f"{first} runs."), said
    builds = [call for call in there.calls() if call.startswith("build")]
    assert [call.split()[5] for call in builds] == TARGETS
    steps = ["run --rm --no-TTY migrate", "up --detach --remove-orphans", GATE]
    assert there.calls() == builds + [f"next.env {step}" for step in steps]
    assert there.running() == images(first)
    assert code == 0

    second = operator.commit("two", "docker/compose.yml")
    assert operator.does("deploy")[0] == 0
    assert (operator.current(), there.running()) == (second, images(second))
    configs = sorted(path.name for path in (there.opt / "config").iterdir())
    assert len(configs) == 2
    assert all(str((there.opt / "config" / name / ".env").readlink()) == "/opt/aicd/.env" for name in configs)

    code, said = operator.does("rollback")
    assert code == 0, said
    assert (operator.current(), there.running()) == (first, images(first))
    assert operator.does("rollback")[0] == 0
    assert operator.current() == second

    third = operator.commit("three")
    assert operator.does("deploy")[0] == 0
    removed = [call.split()[-1] for call in there.calls() if call.startswith("image rm")]
    assert removed == images(first).split()
    assert [path.name for path in (there.opt / "config").iterdir()] == [
        git(operator.clone, "rev-parse", "HEAD:docker").decode().strip()
    ]
    assert operator.current() == third


def test_a_release_is_pulled_and_not_built(operator: Operator):
    code, said = operator.does("deploy", VERSION="1.0.0", IMAGES=REGISTRY)
    assert code == 0, said
    assert [call for call in operator.machine.calls() if call.startswith(("pull", "tag", "build"))] == [
        call
        for image in images("1.0.0", REGISTRY, TARGETS).split()
        for call in (f"pull --quiet {image}", f"tag {image} aicd{image.removeprefix(REGISTRY)}")
    ]
    assert operator.current() == "1.0.0"


def test_what_is_not_healthy_gives_way_to_what_ran_before(operator: Operator):
    assert operator.ships("1.1.0")[0] == 0
    operator.marks("unhealthy", "aicd-worker:1.2.0")
    code, said = operator.ships("1.2.0")
    assert code == 1
    assert "container is unhealthy" in said
    assert said.splitlines()[-1] == "1.1.0 runs again, as before."
    assert (operator.current(), operator.machine.running()) == ("1.1.0", images("1.1.0"))
    assert not (operator.machine.opt / "previous.env").exists()
    operator.marks("unhealthy", "aicd-worker:1.3.0", "aicd-worker:1.1.0")
    code, said = operator.ships("1.3.0")
    assert code == 4
    assert "What ran before is not healthy either." in said


def test_a_first_release_that_is_not_healthy_is_left_to_be_looked_at(operator: Operator):
    operator.marks("unhealthy", "aicd-worker:1.1.0")
    code, said = operator.ships("1.1.0")
    assert code == 4
    assert "nothing ran before it" in said
    assert not (operator.machine.opt / "current.env").exists()


def test_after_a_failed_migration_nothing_is_switched(operator: Operator):
    assert operator.ships("1.1.0")[0] == 0
    (operator.machine.docker / "calls").unlink()
    operator.marks("migration")
    code, said = operator.ships("1.2.0")
    assert code == 1
    assert "relation does not fit" in said
    assert said.splitlines()[-1] == "The migration failed. Nothing was switched: 1.1.0 runs."
    assert not [call for call in operator.machine.calls() if " up " in call]
    assert (operator.current(), operator.machine.running()) == ("1.1.0", images("1.1.0"))


def test_a_machine_that_runs_some_services_starts_those_alone(operator: Operator):
    (operator.machine.opt / "services").write_text("worker\n")
    (operator.machine.opt / "compose.override.yml").write_text("services: {}\n")
    assert operator.ships("1.1.0")[0] == 0
    started = [call for call in operator.machine.calls() if "next.env" in call]
    assert started == ["next.env up --detach --no-deps worker", f"next.env {APART} worker"]
    assert "--file /opt/aicd/compose.override.yml up" in (operator.machine.docker / "calls").read_text()
    (operator.machine.docker / "calls").unlink()
    (operator.machine.opt / "services").write_text("migrate api proxy grafana\n")
    assert operator.ships("1.2.0")[0] == 0
    started = [call for call in operator.machine.calls() if "next.env" in call]
    assert started == [
        "next.env run --rm --no-TTY --no-deps migrate",
        "next.env up --detach --no-deps api proxy grafana",
        f"next.env {APART} api proxy",
    ]


def test_a_dry_run_changes_nothing(operator: Operator):
    release = operator.commit("one")
    code, said = operator.does("deploy", DRY_RUN="1")
    assert code == 0
    assert f"Runs now: nothing. Is to run: {release}. Services: all. Migrates: yes." in said
    assert operator.machine.calls() == []
    assert sorted(path.name for path in operator.machine.opt.iterdir()) == [".env", "deploy.lock"]


def test_of_two_at_once_the_second_is_refused(operator: Operator):
    operator.commit("one")
    with (operator.machine.opt / "deploy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, said = operator.does("deploy")
    assert code == 2
    assert "Somebody else deploys to this machine at this moment." in said
    assert operator.machine.calls() == []


def test_a_lost_connection_leaves_nothing_half_done(operator: Operator):
    hold = operator.machine.docker / "hold"
    hold.touch()
    started = subprocess.Popen(
        **operator.command("deploy", VERSION="1.0.0", IMAGES=REGISTRY),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until((operator.machine.docker / "up").exists, "the machine to start containers", 60)
    finally:
        os.killpg(started.pid, 9)
        started.wait()
        hold.unlink()
    wait_until((operator.machine.opt / "current.env").exists, "the machine to finish alone", 60)
    assert operator.current() == "1.0.0"


@pytest.mark.parametrize(
    ("action", "given", "why"),
    [
        ("deploy", {"HOST": ""}, "Name the machine: make deploy HOST=deploy@203.0.113.7"),
        ("deploy", {"HOST": "-oProxyCommand=x"}, "HOST has characters that no image, version or number has"),
        ("deploy", {"VERSION": "1.0.0"}, "Say where the images are: make deploy HOST="),
        ("deploy", {"VERSION": "1;reboot", "IMAGES": "a", "REVISION": "HEAD"}, "VERSION has characters"),
        ("deploy", {"IMAGES": "registry.example.com/me/aicd"}, "IMAGES goes with VERSION."),
        ("deploy", {"REVISION": "nowhere"}, "There is no nowhere here. Fetch it: git fetch --tags"),
        ("deploy", {"WAIT": "long"}, "WAIT is a number of seconds, not: long"),
        ("rollback", {}, "Nothing was deployed here yet, so there is nothing to go back to."),
        ("destroy", {}, "usage: make deploy HOST=…"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(operator: Operator, action: str, given: dict[str, str], why: str):
    code, said = operator.does(action, **given)
    assert code == 2
    assert why in said
    assert operator.machine.calls() == []


def test_what_cannot_be_had_switches_nothing(operator: Operator):
    operator.marks("missing", *images("1.0.0", REGISTRY).split())
    code, said = operator.does("deploy", VERSION="1.0.0", IMAGES=REGISTRY)
    assert code == 1
    assert "manifest unknown" in said
    assert "that this machine can pull. Nothing was switched." in said
    (operator.machine.opt / ".env").unlink()
    code, said = operator.does("deploy")
    assert code == 2
    assert "There is no /opt/aicd/.env. Make it, and the secrets, by docker/init.sh." in said
