"""The images of docker/Dockerfile, built and run as docker/compose.yml says, where an engine and a base are.

make test-images     makes the base from Debian's packages (scripts/base_image.sh) and runs this
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from waf_proxy import certify

pytestmark = [pytest.mark.timeout(1800), pytest.mark.xdist_group("images")]
ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "docker/Dockerfile"
BASE = "localhost/aicd-base:latest"
TARGETS = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE.read_text(), re.MULTILINE))
ROLES = [name for name in ("api", "worker", "proxy") if name in TARGETS]
SERVICES: dict[str, dict[str, Any]] = YAML(typ="safe").load((ROOT / "docker/compose.yml").read_text())["services"]
BUILD_TOOLS = ("gcc", "cc", "make", "ld", "uv", "cyclonedx-py")
PATIENCE = 300.0
UNCOUNTED = ("--ulimit", "nofile=16384:16384", "--ulimit", "nproc=4096:4096")
"""The worker's own; others get them, too, since an engine's default may be more than a machine allows."""


@dataclass(frozen=True)
class Engine:
    """podman or docker, and its way to be asked."""

    name: str

    def __call__(self, *words: object, check: bool = True) -> "subprocess.CompletedProcess[str]":
        command = [self.name, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
        assert done.returncode == 0 or not check, f"{command}: {done.stdout[-2000:]} {done.stderr[-4000:]}"
        return done

    def hardened(self, service: str, left_out: str = "nothing") -> list[str]:
        """How a service of the compose file is run, without network, secrets and volumes, and with no `init`,
        which not every podman has.

        `left_out` begins a security option that it does not get.
        """
        told = SERVICES[service]
        words = ["--read-only", "--network", "none", *UNCOUNTED]
        words += [f"--cap-drop={name}" for name in told["cap_drop"]]
        for option in (option for option in told["security_opt"] if not option.startswith(left_out)):
            words += ["--security-opt", option.replace("./", f"{ROOT}/docker/").removesuffix(":true")]
        for mount in told.get("tmpfs", ()):
            words.append(f"--tmpfs={mount}")
        return words


Started = Callable[..., str]
"""Starts a container in the background; its id."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    reasons = []
    for name in ("podman", "docker"):
        if shutil.which(name) is None:
            reasons.append(f"{name} is not installed")
        elif subprocess.run([name, "image", "inspect", BASE], capture_output=True).returncode:
            reasons.append(f"{name} does not answer or has no {BASE}: `make test-images` makes it")
        else:
            return Engine(name)
    pytest.skip("; ".join(reasons))


@pytest.fixture(scope="module")
def images(engine: Engine) -> dict[str, str]:
    """The image of each role, by its name."""
    form = ["--format", "docker"] if engine.name == "podman" else []
    for role in ROLES:
        given = ["--network", "host", "--build-arg", f"BASE={BASE}", *form]
        engine("build", *given, "--target", role, "--tag", f"localhost/aicd-test-{role}", "--file", DOCKERFILE, ROOT)
    return {role: f"localhost/aicd-test-{role}" for role in ROLES}


@pytest.fixture
def volume(engine: Engine) -> Iterator[str]:
    """An empty volume, which takes on the owner of what it is mounted over."""
    name = engine("volume", "create").stdout.strip()
    yield name
    engine("volume", "rm", "--force", name)


@pytest.fixture
def started(engine: Engine) -> Iterator[Started]:
    """Starts containers, and removes them in the end."""
    made: list[str] = []

    def start(*words: str) -> str:
        made.append(engine("run", "--detach", *words).stdout.strip())
        return made[-1]

    yield start
    for container in reversed(made):
        engine("rm", "--force", container)


def until(engine: Engine, container: str, *command: str) -> None:
    """Waits until a command in the container succeeds; what the container said is told when it never does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if engine("exec", container, *command, check=False).returncode == 0:
            return
        if engine("inspect", "--format", "{{.State.Running}}", container).stdout.strip() != "true":
            break
        time.sleep(0.5)
    said = engine("logs", container, check=False)
    raise AssertionError(f"{command} never succeeded: {said.stdout[-2000:]} {said.stderr[-2000:]}")


def healthcheck_of(engine: Engine, image: str) -> list[str]:
    (told,) = json.loads(engine("image", "inspect", image).stdout)
    check = (told["Config"].get("Healthcheck") or told["Healthcheck"])["Test"]
    assert check[0] == "CMD"
    return list(check[1:])


def test_no_image_runs_as_root_or_has_what_builds_and_each_says_what_it_is(engine: Engine, images: dict[str, str]):
    for role, image in images.items():
        (told,) = json.loads(engine("image", "inspect", image).stdout)
        config = told["Config"]
        assert re.fullmatch(r"1000\d:1000\d", config["User"])
        assert config["Labels"]["org.opencontainers.image.title"] == f"aicd-{role}"
        assert {f"org.opencontainers.image.{name}" for name in ("version", "revision")} <= config["Labels"].keys()
        tools = " ".join(BUILD_TOOLS)
        look = (
            f"for tool in {tools}; do command -v $tool; done; touch /x /usr/x /opt/x 2>/dev/null && echo written; id -u"
        )
        found = engine("run", "--rm", *engine.hardened(role), "--entrypoint", "sh", image, "-c", look).stdout.split()
        assert found == [config["User"].partition(":")[0]]


def test_the_bill_of_materials_names_every_locked_package(engine: Engine, images: dict[str, str]):
    for role in {"api", "worker"} & images.keys():
        words = [*engine.hardened(role), "--entrypoint", "cat", images[role], "/opt/aicd/sbom.cdx.json"]
        listed = {
            part["name"]: part["version"] for part in json.loads(engine("run", "--rm", *words).stdout)["components"]
        }
        locked = re.findall(
            r"^([a-z0-9._-]+)==([^ ;\\]+)([^\\\n]*)", (ROOT / f"docker/{role}.lock").read_text(), re.MULTILINE
        )
        everywhere = {name: version for name, version, marker in locked if ";" not in marker}
        names = {name.lower().replace("_", "-").replace(".", "-"): version for name, version in listed.items()}
        assert {name: names.get(name.replace(".", "-")) for name in everywhere} == everywhere
        assert {"aicd-core", "aicd-cli"} <= names.keys()
        assert "pytest" not in names


def test_a_worker_carries_a_job_out_in_its_sandbox(engine: Engine, images: dict[str, str], volume: str):
    words = ["--rm", *engine.hardened("worker"), "--volume", f"{volume}:/var/lib/aicd", "--entrypoint", "sh"]
    done = engine("run", *words, images["worker"], "-c", "aicd doctor --json && aicd demo 2>&1")
    doctor, _ = json.JSONDecoder().raw_decode(done.stdout)
    checks = {check["name"]: check for check in doctor["checks"]}
    assert all(check["ok"] for check in checks.values()), checks
    assert "as uid 10001 in a user namespace" in checks["sandbox"]["detail"]
    assert "Pull request open" in done.stdout


@pytest.mark.parametrize("left_out", ["seccomp", "systempaths"])
def test_without_what_the_compose_file_gives_it_there_is_no_sandbox_and_the_worker_says_so(
    engine: Engine, images: dict[str, str], volume: str, left_out: str
):
    words = ["--rm", *engine.hardened("worker", left_out), "--volume", f"{volume}:/var/lib/aicd"]
    done = engine("run", *words, images["worker"], "doctor", "--json", check=False)
    (sandbox,) = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "sandbox")
    assert not sandbox["ok"]
    assert "docker/compose.yml" in sandbox["detail"]


def test_worker_and_api_pass_their_health_checks_and_end_when_told(
    engine: Engine, images: dict[str, str], volume: str, started: Started
):
    """Both on the Postgres that the worker's container brings along, through its socket in the volume."""
    mount = ["--volume", f"{volume}:/var/lib/aicd"]
    worker = started(*engine.hardened("worker"), *mount, images["worker"])
    until(engine, worker, *healthcheck_of(engine, images["worker"]))
    if "api" in images:
        database = "postgresql://{}@/postgres?host=/var/lib/aicd/postgres/socket"
        urls = {"AICD_DATABASE_URL": "aicd_app", "AICD_SYSTEM_DATABASE_URL": "aicd_system"}
        given = [word for name, role in urls.items() for word in ("--env", f"{name}={database.format(role)}")]
        plain = [word for word in engine.hardened("api") if "/var/lib/aicd" not in word]
        api = started(*plain, *mount, *given, images["api"])
        check = healthcheck_of(engine, images["api"])
        until(engine, api, *check)
        for path in ("readyz", "docs/"):
            until(engine, api, *(word.replace("healthz", path) for word in check))
        engine("stop", "--time", "60", api)
        assert engine("inspect", "--format", "{{.State.ExitCode}}", api).stdout.strip() == "0"
    engine("stop", "--time", "60", worker)
    assert engine("inspect", "--format", "{{.State.ExitCode}}", worker).stdout.strip() == "0"


def test_the_proxy_starts_with_its_rules_and_says_what_it_lacks(
    engine: Engine, images: dict[str, str], started: Started, tmp_path: Path
):
    lacking = engine("run", "--rm", *engine.hardened("proxy"), images["proxy"], check=False)
    assert lacking.returncode == 1
    assert "/etc/nginx/tls/fullchain.pem is not there" in lacking.stderr
    certify(tmp_path)
    tmp_path.chmod(0o755)
    for file in tmp_path.iterdir():
        file.chmod(0o444)
    proxy = started(*engine.hardened("proxy"), "--volume", f"{tmp_path}:/etc/nginx/tls:ro", images["proxy"])
    until(engine, proxy, *healthcheck_of(engine, images["proxy"]))
    said = engine("logs", proxy)
    assert "[emerg]" not in said.stderr
    assert "rules loaded inline/local/remote" in said.stderr
