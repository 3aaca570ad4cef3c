"""docker/compose.yml as its operator has it, on the machine that `scripts/compose_machine.sh` makes."""

import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from docs_reader import ROOT, Reader, environment_of
from histories import git

DOMAIN = "aicd.example.com"
MACHINE = "198.51.100.1"
WORLD = "198.51.100.2"
PATIENCE = 600.0
LEFT_OUT = frozenset({"grafana", "loki", "alloy", "tempo"})
"""Services whose programs are in no registry that is reached."""

T = TypeVar("T")


def docker(*words: object, check: bool = True) -> str:
    """Asks the engine; what it says on both streams."""
    command = ["docker", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0 or not check, f"docker {words}: {said[-4000:]}"
    return said


def until(look: Callable[[], T], what: str, told: Callable[[], str] = str) -> T:
    """Looks again and again until it finds something; that. What is `told` in the end goes with the failure."""
    end, found = time.monotonic() + PATIENCE, look()
    while not found:
        assert time.monotonic() < end, f"{what}\n{told()}"
        time.sleep(0.5)
        found = look()
    return found


ENGINE = """
c() {{
    case "$*" in
    "up -d") set -- up -d {services} ;;
    build) for role in api worker proxy; do docker tag aicd-$role:local aicd-$role:next; done; return ;;
    esac
    docker compose -f {folder}/docker/compose.yml "$@"
}}
"""
"""`c` of docs/deploy.md, for what can be started. Images are tagged: where there is no way out, none is built."""


def operators_reader(home: Path) -> Reader:
    """Who types docs/deploy.md: with Docker's Compose, and a name that leads to the machine."""
    plugins = home / ".docker/cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-compose").symlink_to(ROOT / ".venv/bin/docker-compose")
    (home / ".curlrc").write_text(f"resolve = {DOMAIN}:443:{MACHINE}\nretry = 20\nretry-connrefused\n")
    services = " ".join(sorted(images().keys() - LEFT_OUT))
    git(home, "clone", "-q", "--bare", str(ROOT), "aicd.git")
    git(home / "aicd.git", "update-ref", "refs/heads/main", "HEAD")  # a checkout to be tested may be of no branch
    git(home / "aicd.git", "symbolic-ref", "HEAD", "refs/heads/main")
    standing_in = {
        "https://github.com/OWNER/aicd.git": f"{home}/aicd.git",
        "/srv/aicd": f"{home}/aicd",
        "up -d --build": f"up -d {services}",
    }
    kept = {name: os.environ[name] for name in ("DOCKER_HOST", "LD_LIBRARY_PATH") if name in os.environ}
    environment = environment_of(home, AICD_OTLP_ENDPOINT="", **kept)
    beginning = ENGINE.format(services=services, folder=f"{home}/aicd")
    return Reader(home, environment, standing_in, beginning, at="engine")


def images() -> dict[str, str]:
    """The image of each service that is started without a profile, as compose.yml names it."""
    services = yaml.safe_load((ROOT / "docker/compose.yml").read_text())["services"]
    return {name: one["image"] for name, one in services.items() if "profiles" not in one}


@dataclass(frozen=True)
class Operator:
    """Somebody at the machine. `folder` is docker/ of a clone; who types what the documents say is `reader`."""

    folder: Path
    reader: Reader

    def compose(self, *words: str, check: bool = True) -> str:
        """`docker compose`; what it says on both streams."""
        command = [ROOT / ".venv/bin/docker-compose", "--file", self.folder / "compose.yml", "--progress", "plain"]
        done = subprocess.run(
            [*command, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
        )
        said = done.stdout.decode(errors="replace")
        if check and done.returncode != 0:
            states = docker("ps", "--all", "--format", "{{.Names}} {{.Status}}")
            raise AssertionError(f"compose {words}: {said[-4000:]}\n{states}\n{self.compose('logs', '--tail', '30')}")
        return said

    def services(self) -> list[str]:
        """All that are there to be started here."""
        return sorted(set(self.compose("config", "--services").split()) - LEFT_OUT)

    def up(self) -> None:
        """Starts all, and waits until they are healthy; `migrate` is to have ended well."""
        self.compose("up", "--detach", *self.services())
        until(self.all_healthy, "not all became healthy")

    def all_healthy(self) -> bool:
        states = {name: self.inspected(name)["State"] for name in self.services()}
        ended = states.pop("migrate")
        assert (ended["Running"], ended["ExitCode"]) == (False, 0) or ended["Running"], ended
        return not ended["Running"] and all(one["Health"]["Status"] == "healthy" for one in states.values())

    def inspected(self, service: str) -> dict[str, Any]:
        """What the engine says of a service's container."""
        (told,) = json.loads(docker("inspect", f"aicd-{service}-1"))
        assert isinstance(told, dict)
        return told

    def exec(self, service: str, *words: str, check: bool = True) -> str:
        """Runs a command in a service's container."""
        return self.compose("exec", "--no-TTY", service, *words, check=check)

    def keep(self, secret: str, value: str) -> None:
        """Writes a secret's file, as docs/deploy.md says."""
        path = self.folder / "secrets" / secret
        path.unlink(missing_ok=True)
        path.write_text(value)
        path.chmod(0o444)

    def set(self, **settings: str) -> None:
        """Adds lines to .env; later ones win."""
        with (self.folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())

    def visitor(self, key: str = "") -> httpx.Client:
        """Somebody out in the world, who believes the installation's certificate."""
        trusted = ssl.create_default_context(cafile=self.folder / "secrets/tls/fullchain.pem")
        headers = {"Host": DOMAIN} | ({"Authorization": f"Bearer {key}"} if key else {})

        def named(request: httpx.Request) -> None:
            request.extensions["sni_hostname"] = DOMAIN  # type: ignore[index]

        hooks = {"request": [named]}
        return httpx.Client(
            base_url=f"https://{MACHINE}",
            verify=trusted,
            headers=headers,
            event_hooks=hooks,
            timeout=60,
            trust_env=False,
        )


def load_images(names: dict[str, str]) -> None:
    """Gives the engine images of podman's, each under the name that compose.yml has for it."""
    save = ["podman", "save", "--quiet", "--multi-image-archive", *names]
    with subprocess.Popen(save, stdout=subprocess.PIPE) as saving:
        subprocess.run(["docker", "load"], stdin=saving.stdout, capture_output=True, timeout=PATIENCE, check=True)
    assert saving.returncode == 0, "podman could not save all images"
    for built, wanted in names.items():
        docker("tag", built, wanted)


def reason_to_skip() -> str | None:
    """Why nothing can be started here; None where it can."""
    if "DOCKER_HOST" not in os.environ or "world" not in {name for _, name in socket.if_nameindex()}:
        return "there is no machine for it: `make test-compose` makes one"
    return None
