"""Debian's own sshd, for whoever has its key."""

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aicd_core.testing.chaos.installation import wait_until
from debian_programs import debian_program

CONFIG = """
Port {port}
ListenAddress {address}
HostKey {place}/host_key
AuthorizedKeysFile {place}/key.pub
StrictModes no
UsePAM no
PidFile none
PasswordAuthentication no
PermitRootLogin yes
Subsystem sftp internal-sftp
SetEnv PATH={path}/usr/sbin:/usr/bin:/sbin:/bin
"""


@dataclass(frozen=True)
class SshServer:
    """Where it listens; `key` is the file that opens it, `known` its line for known_hosts, after the name."""

    port: int
    key: Path
    known: str


def free_port(address: str) -> int:
    with socket.socket() as found:
        found.bind((address, 0))
        return int(found.getsockname()[1])


@contextmanager
def ssh_server(
    place: Path, *, address: str = "127.0.0.1", walls: Sequence[str] = (), path: str = ""
) -> Iterator[SshServer]:
    """Starts it, and ends it.

    Args:
        place: a folder for its keys and its log.
        walls: what else bubblewrap is to do to the machine that who logs in finds.
        path: a folder with programs that go before the machine's.
    """
    keygen, sshd = debian_program("ssh-keygen"), debian_program("sshd")
    for name in ("host_key", "key"):
        command = [keygen.path, "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)]
        subprocess.run(command, env=keygen.environment, check=True)
    port = free_port(address)
    text = CONFIG.format(port=port, address=address, place=place, path=f"{path}:" if path else "")
    (place / "sshd_config").write_text(text)
    # sshd wants an account and a folder of its own, which a machine without the package does not have.
    others = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("sshd:")]
    (place / "passwd").write_text("\n".join([*others, "sshd:x:105:65534::/run/sshd:/usr/sbin/nologin\n"]))
    around = ["bwrap", "--die-with-parent", "--dev-bind", "/", "/", "--ro-bind", str(place / "passwd"), "/etc/passwd"]
    if os.geteuid() == 0:
        around += ["--tmpfs", "/run/sshd", "--chmod", "0755", "/run/sshd", "--cap-add", "ALL"]
    with (place / "sshd.log").open("wb") as log:
        command = [*around, *walls, "--", sshd.path, "-D", "-e", "-f", str(place / "sshd_config")]
        server = subprocess.Popen(command, env=sshd.environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: "Server listening" in (place / "sshd.log").read_text(), "sshd to listen", 30)
        yield SshServer(port, place / "key", " ".join((place / "host_key.pub").read_text().split()[:2]))
    finally:
        server.kill()
        server.wait()
