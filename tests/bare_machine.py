"""A bare Debian 12 with systemd, in a container of podman's, and whoever types docs/deploy-hetzner.md there."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composed import until
from docs_reader import ROOT, Reader, environment_of
from histories import git

IMAGE = "localhost/aicd-bare-machine"
PATIENCE = 600.0
NAMED = "TEST_MACHINE"
"""`make test-host` sets it: the name of the machine to make."""
OPTIONS = (
    *("--systemd=always", "--hostname=machine", "--add-host=aicd.example.com:127.0.0.1", "--pids-limit=-1"),
    *(
        "--cap-add=SYS_ADMIN,NET_ADMIN,SYS_PTRACE,AUDIT_WRITE",
        "--security-opt=unmask=ALL",
        "--security-opt=seccomp=unconfined",
    ),
    "--volume=/home",
    *("--ulimit=nofile=16384:16384", "--ulimit=nproc=8192:8192"),
)
"""It stands for a machine, so that what an engine forbids is allowed: units make namespaces, and sandboxes a /proc.
Homes are on no overlay, since podman wants to lay one there."""
ON_MACHINE = """
on_machine() {{
    podman exec --user ada --workdir /srv/aicd --env USER=ada --env CHAT_URL {name} \
        bash -lc "set -euo pipefail; $(cat)" </dev/null \
        || {{ podman exec {name} journalctl --no-pager --lines 60 >&2; return 1; }}
}}
at_terminal() {{
    podman exec --interactive --tty --user ada --workdir /srv/aicd {name} bash -lc "set -euo pipefail; $(cat)" </dev/tty
}}
"""


@dataclass(frozen=True)
class Machine:
    """The container of that name. `upstream`: the repository that its clone of this project, /srv/aicd, pulls from."""

    name: str
    upstream: Path
    reader: Reader

    def sh(self, text: str, *, check: bool = True, given: str = "") -> str:
        """Runs something of the test's own as root; what it said on both streams."""
        done = subprocess.run(
            ["podman", "exec", "--interactive", self.name, "bash", "-euo", "pipefail", "-c", text],
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            text=True,
        )
        assert done.returncode == 0 or not check, f"{text}: {done.stdout[-4000:]}\n{self.told()}"
        return done.stdout

    def told(self) -> str:
        """The end of the journal."""
        return self.sh("journalctl --no-pager --lines 60", check=False)

    def unit(self, name: str, what: str) -> str:
        """A property of a unit's."""
        return self.sh(f"systemctl show --value --property {what} {name}").strip()

    def booted(self) -> bool:
        """Whether systemd has started all that it means to; a unit that failed fails the test."""
        state = self.sh("systemctl is-system-running", check=False).strip()
        assert state != "degraded", self.sh("systemctl --failed --no-pager; journalctl --no-pager --lines 60")
        return state == "running"

    def inspected(self, what: str) -> str:
        """Something that podman knows of its network."""
        return podman("inspect", "--format", f"{{{{.NetworkSettings.{what}}}}}", self.name)

    def reboot(self) -> None:
        """Turns it off, which ends all units as systemd does, and on again."""
        podman("restart", "--time", "180", self.name)
        until(self.booted, "it does not come up again")

    def jobs(self) -> dict[str, str]:
        """All jobs: title and state."""
        told = subprocess.run(
            ["podman", "exec", self.name, "/usr/local/sbin/aicd", "jobs", "--json"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert told.returncode == 0, told.stderr
        return {job["title"]: job["state"] for job in json.loads(told.stdout)["jobs"]}

    def ask(self, path: str, key: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """Asks the API by way of the proxy; status and answer."""
        posts = "" if body is None else "--json @-"
        address = f"https://aicd.example.com{path}"
        said = self.sh(
            f"curl -ksS {posts} -H 'Authorization: Bearer {key}' -w '\\n%{{http_code}}' {address}",
            given="" if body is None else json.dumps(body),
        )
        answer, _, status = said.rpartition("\n")
        return int(status), json.loads(answer)


def podman(*words: object) -> str:
    done = subprocess.run(["podman", *map(str, words)], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"podman {words}: {done.stderr}"
    return done.stdout.strip()


@contextmanager
def bare_machine(home: Path) -> Iterator[Machine]:
    """Starts one, with a clone of this tree's HEAD, and removes it."""
    git(home, "clone", "-q", "--bare", str(ROOT), "aicd.git")
    git(home / "aicd.git", "update-ref", "refs/heads/main", "HEAD")  # a checkout to be tested may be of no branch
    git(home / "aicd.git", "symbolic-ref", "HEAD", "refs/heads/main")
    name = os.environ[NAMED]
    reader = Reader(home, environment_of(home), beginning=ON_MACHINE.format(name=name), at="host", on="on_machine")
    made = Machine(name, home / "aicd.git", reader)
    podman("run", "--detach", f"--name={name}", f"--volume={made.upstream}:/srv/aicd.git:ro", *OPTIONS, IMAGE)
    try:
        until(made.booted, "it does not boot")
        made.sh("apt-get -qq update && runuser -u ada -- git clone -q /srv/aicd.git /srv/aicd")
        yield made
    finally:
        podman("rm", "--force", "--time", "5", "--volumes", name)


def reason_to_skip() -> str | None:
    """Why there can be none here; None where it can."""
    if NAMED not in os.environ:
        return "it changes a whole machine: `make test-host` makes one"
    if shutil.which("podman") is None or os.geteuid() != 0:
        return "a machine with systemd wants podman, and root"
    return None
