"""The Debian of whoever operates docker/compose.yml, in a container of podman's: its packages may change."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from bare_machine import Machine, podman
from docs_reader import ROOT, Reader

IMAGE = "localhost/aicd-stand-in-operator"
AT_TERMINAL = """
at_terminal() {{ podman exec --interactive --tty {name} bash -c "set -euo pipefail; $(cat)" </dev/tty; }}
"""


@contextmanager
def operators_debian(reader: Reader) -> Iterator[Machine]:
    """Starts one on this network, with the reader's home and Docker. The reader's `at_terminal` runs a block there."""
    name = f"aicd-operator-{os.getpid()}"
    docker, engine = shutil.which("docker"), os.environ["DOCKER_HOST"]
    shared = {
        docker: "/usr/local/bin/docker:ro",
        ROOT / ".venv/bin/docker-compose": "/usr/local/lib/docker/cli-plugins/docker-compose:ro",
        engine.removeprefix("unix://"): engine.removeprefix("unix://"),
        reader.home: reader.home,
    }
    volumes = [f"--volume={mine}:{there}" for mine, there in shared.items()]
    options = ("--network=host", "--init", f"--env=DOCKER_HOST={engine}", *volumes)
    podman("run", "--detach", f"--name={name}", *options, IMAGE, "sleep", "infinity")
    reader.beginning += AT_TERMINAL.format(name=name)
    try:
        yield Machine(name, reader.home, reader)
    finally:
        podman("rm", "--force", "--time", "5", name)
