"""A machine to deploy to: Debian's own sshd on loopback, with an /opt/aicd of its own and a Docker that notes.

The Docker is no engine: it writes down how it is called, and answers by files in its folder:
`unhealthy` and `missing` list images, `migration` is there if a
migration is to fail, `hold` if `up` is to wait for its end.
"""

import getpass
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aicd_core.testing.chaos.installation import wait_until
from debian_programs import debian_program
from ssh_server import ssh_server

DOCKER = """#!/usr/bin/python3
import os, pathlib, sys, time
place = pathlib.Path({place!r})
asked = sys.argv[1:]
with (place / "calls").open("a") as calls:
    calls.write(" ".join(asked) + "\\n")

def listed(name):
    return (place / name).read_text().split() if (place / name).exists() else []

def given():
    files = [asked[at + 1] for at, word in enumerate(asked) if word == "--env-file"]
    pairs = dict(line.partition("=")[::2] for file in files for line in open(file).read().splitlines() if "=" in line)
    return [f"aicd-{{name}}:{{pairs['TAG']}}" for name in ("api", "worker", "proxy")]

here = place / "images"
if asked[:2] == ["image", "inspect"]:
    sys.exit(asked[2] not in listed("images"))
if asked[0] == "pull" and asked[-1] in listed("missing"):
    sys.exit("manifest unknown")
if asked[0] == "build":
    import tarfile
    names = tarfile.open(fileobj=sys.stdin.buffer, mode="r|").getnames()
    if "docker/Dockerfile" not in names:
        sys.exit("no Dockerfile")
if asked[0] in ("tag", "build"):
    image = asked[-1] if asked[0] == "tag" else asked[asked.index("--tag") + 1]
    here.write_text("\\n".join([*listed("images"), image]))
if "run" in asked and (place / "migration").exists():
    sys.exit("relation does not fit")
if "up" in asked:
    (place / "running").write_text(" ".join(given()))
    (place / "up").touch()
    while (place / "hold").exists():
        time.sleep(0.02)
    if "--wait" in asked and set(given()) & set(listed("unhealthy")):
        sys.exit("container is unhealthy")
"""


@dataclass(frozen=True)
class Machine:
    """The machine, seen from outside: `opt` is its /opt/aicd, `docker` the folder that its Docker answers from."""

    opt: Path
    docker: Path
    ssh: str
    host: str

    def calls(self) -> list[str]:
        """How its Docker was called, but for looking; `--env-file` and where Compose's files are left out."""
        kept = []
        for line in (self.docker / "calls").read_text().splitlines() if (self.docker / "calls").exists() else []:
            words = line.split()
            if words[0] == "compose" and "--env-file" in words:
                last = max(at for at, word in enumerate(words) if word in {"--env-file", "--file"})
                state = next(word for word in words if word.endswith(("/current.env", "/next.env", "/previous.env")))
                words = [Path(state).name, *words[last + 2 :]]
            if words != ["compose", "version"] and words[:2] != ["image", "inspect"]:
                kept.append(" ".join(words))
        return kept

    def running(self) -> str:
        """The images that run, with spaces between."""
        return (self.docker / "running").read_text() if (self.docker / "running").exists() else ""


@contextmanager
def machine(place: Path) -> Iterator[Machine]:
    """Starts it, and ends it."""
    for folder in ("bin", "opt", "docker"):
        (place / folder).mkdir()
    (place / "bin/docker").write_text(DOCKER.format(place=str(place / "docker")))
    (place / "bin/docker").chmod(0o755)
    client = debian_program("ssh")
    library = client.environment.get("LD_LIBRARY_PATH", "")
    host = f"{getpass.getuser()}@127.0.0.1"
    walls = ("--tmpfs", "/opt", "--bind", str(place / "opt"), "/opt/aicd")
    with (
        ssh_server(place, walls=walls, path=f"{place}/bin") as server,
        tempfile.TemporaryDirectory(prefix="ssh-") as shared,
    ):
        known = f"-o StrictHostKeyChecking=no -o UserKnownHostsFile={place}/known_hosts"
        options = f"-p {server.port} -i {server.key} {known} -F none"
        # One connection that all commands go through: a handshake costs a second on a busy machine.
        # Its socket needs a short path.
        ssh = f"env LD_LIBRARY_PATH={library} {client.path} {options} -S {shared}/master"
        master = subprocess.Popen([*ssh.split(), "-M", "-N", "-q", host], stdin=subprocess.DEVNULL)
        try:
            wait_until((Path(shared) / "master").exists, "ssh to connect", 30)
            yield Machine(place / "opt", place / "docker", ssh, host)
        finally:
            master.kill()
            master.wait()
