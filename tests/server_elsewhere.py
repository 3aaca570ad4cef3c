"""A Postgres of the operator's own: over TCP, with passwords, set up as Compose's, and of another major version."""

import os
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from aicd_core.backups.programs import Call
from aicd_core.db.embedded import binaries_dir
from aicd_core.db.embedded_account import in_mount_namespace, own_folder
from aicd_core.testing.chaos.installation import wait_until
from aicd_core.testing.databases import TestUrls

BINARIES = binaries_dir().parents[1] / "pginstall" / "bin"
"""The wheel's older server."""
ROLES = Path(__file__).parents[1] / "docker/postgres/roles.sh"
HBA = "local all all trust\nhost all all all scram-sha-256\n"
"""As the image of Postgres has it."""
PASSWORDS = {"postgres": "of-the-superuser", "app": "of-app", "system": "of-system", "backup": "of-backup"}


@dataclass
class ServerElsewhere:
    """One data folder, and the server on it, which listens on a port of the loopback address."""

    cluster: Path
    port: int
    socket: Path

    @classmethod
    def at(cls, cluster: Path) -> "ServerElsewhere":
        """On a free port."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return cls(cluster, free.getsockname()[1], Path(tempfile.mkdtemp(prefix="pg-")))

    def initialise(self, secrets: Path) -> None:
        """What the image does on an empty folder: a cluster, its password, and docker/postgres/roles.sh."""
        secrets.mkdir()
        for name, password in PASSWORDS.items():
            (secrets / f"{name}_password").write_text(password)
        own_folder(self.cluster)
        self._run("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-U", "postgres")
        (self.cluster / "pg_hba.conf").write_text(HBA)
        self.start(wait=True)
        self.sql(f"ALTER ROLE postgres PASSWORD '{PASSWORDS['postgres']}'")
        script = ROLES.read_text().replace("/run/secrets", str(secrets))
        subprocess.run(["sh", "-c", script], env=self._environment(), check=True, capture_output=True)
        self.sql("SELECT pg_reload_conf()")

    def start(self, *, wait: bool) -> None:
        """Starts it, and waits until it lets people in."""
        own_folder(self.socket)
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c max_slot_wal_keep_size=4GB -c fsync=off"
        place = "/mnt/socket" if os.geteuid() == 0 else self.socket
        self._run("pg_ctl", "-w" if wait else "-W", "-l", "server.log", "-o", f"-k {place} {options}", "start")

    def stop(self) -> None:
        """Ends it as its operator does."""
        self._run("pg_ctl", "-w", "-m", "fast", "stop")

    def kill(self) -> None:
        """Kills it, if it runs, and waits until it is gone."""
        try:
            number = int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(number, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            return
        wait_until(lambda: not Path(f"/proc/{number}").exists(), "the end of the server")

    def take_over(self, laid: Path) -> None:
        """Fills its folder, which is gone, as docs/deploy.md does: what one user reads, the server's own writes."""
        own_folder(self.cluster)
        account = self.cluster.stat()
        other = ("setpriv", f"--reuid={account.st_uid}", "--clear-groups") if os.geteuid() == 0 else ()
        with subprocess.Popen(["tar", "-C", str(laid), "-c", "."], stdout=subprocess.PIPE) as packed:
            subprocess.run([*other, "tar", "-xp"], stdin=packed.stdout, cwd=self.cluster, check=True)
        assert packed.returncode == 0

    def sql(self, statement: str) -> str:
        """Runs a statement as the superuser, on the server's socket."""
        call = Call((str(BINARIES / "psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement), self._environment())
        return subprocess.run(call.words, env=call.environment, check=True, capture_output=True, text=True).stdout

    @property
    def urls(self) -> TestUrls:
        return TestUrls(*(self.url(role, PASSWORDS[role.removeprefix("aicd_")]) for role in ("postgres", *_OURS)))

    def url(self, role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/aicd"

    def _environment(self) -> dict[str, str]:
        here = {"PGHOST": str(self.socket), "PGPORT": str(self.port), "PGUSER": "postgres", "PGDATABASE": "postgres"}
        return {"PATH": f"{BINARIES}:{os.environ['PATH']}", "PGDATA": str(self.cluster), "LC_ALL": "C.UTF-8", **here}

    def _run(self, program: str, *arguments: str) -> None:
        words = [str(BINARIES / program), *arguments]
        environment = {**self._environment()}
        if os.geteuid() == 0:  # which Postgres does not run as
            words = in_mount_namespace(BINARIES, self.cluster, self.socket, words)
            environment["PGDATA"] = "/mnt/data"
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(words, env=environment, cwd=self.cluster, stdout=output, stderr=output, check=False)
            output.seek(0)
            assert done.returncode == 0, output.read().decode()


_OURS = ("aicd_app", "aicd_system")
