"""The sandbox made with a container engine, podman or docker, rootless or not; its socket never gets inside."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from uuid import uuid4

from aicd_core.contracts import CacheMount, SandboxLimits
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_sandbox.arguments import CACHE, HOME, OPEN_FILES, WORK, clamped
from aicd_sandbox.channel import Channel
from aicd_sandbox.command import StartError, to_the_end
from aicd_sandbox.container_box import ContainerBox
from aicd_sandbox.egress.proxy import Internet
from aicd_sandbox.engine import ENGINE_SECONDS, Engine, EngineFacts
from aicd_sandbox.host import read_host
from aicd_sandbox.launch import TMPFS_SHARE, server_source
from aicd_sandbox.programs import unavailable
from aicd_sandbox.seccomp import filter_program
from aicd_sandbox.session import CommandSession, Place, establish

INSIDE = "/run/aicd"
PER_USER = 16
NO_GROUPS = "as this user has no control group for memory and processes that the engine may write"


class ContainerSandbox:
    """Makes sandboxes with podman or docker (see `aicd_core.contracts.Sandbox`).

    Args:
        engine: the program's name, `podman` or `docker`.
        image: has /bin/sh and python3, and is on this machine already; nothing is pulled while a job runs.
    """

    def __init__(self, limits: SandboxLimits, *, engine: str, image: str, internet: Internet | None = None) -> None:
        self._limits = limits
        self._engine = Engine(engine)
        self._image = image
        self._internet = internet or Internet()

    @property
    def owner(self) -> tuple[int, int] | None:
        """As root, an account of its own; everybody else's commands run as they are."""
        host = read_host()
        return host.service if host.is_root else None

    async def check(self) -> str:
        """Asks the engine for its version and the image, and starts a container that does nothing.

        Raises:
            UnavailableError: `sandbox_unavailable`, saying what to type.
        """
        version = await self._engine.ask("version", "--format", "{{.Client.Version}}")
        try:
            await self._engine.ask("image", "inspect", "--format", "{{.Id}}", self._image)
        except UnavailableError as error:
            raise unavailable(
                f"{error.message} Is the image there? Type `{self._engine.name} pull {self._image}`."
            ) from error
        with tempfile.TemporaryDirectory(prefix="aicd-check-") as tree:
            if self.owner is not None:
                os.chown(tree, *self.owner)
            session = await self.open(Path(tree))
            try:
                result = await session.run("true", timeout=ENGINE_SECONDS)
            finally:
                await session.close()
        if not result.ok:
            raise unavailable(f"A container of {self._image} starts, but `true` in it ended with: {result.outcome()}.")
        facts = await self._engine.facts()
        mode = "rootless" if facts.rootless else "as root"
        limits = "control groups" if facts.counts else f"limits per process only, {NO_GROUPS}"
        return f"{self._engine.name} {version}, {mode}, image {self._image}, {limits}"

    async def open(self, tree: Path, *, cache: CacheMount | None = None, logs: Path | None = None) -> CommandSession:
        """See `aicd_core.contracts.Sandbox.open`."""
        tree, is_folder = await asyncio.to_thread(lambda: (tree.absolute(), tree.is_dir()))
        if not is_folder:
            raise InvalidInputError(f"The work tree {tree} is not a folder: create it before a command runs.")
        program, facts = self._engine.program(), await self._engine.facts()
        owner = self.owner
        folder = Path(tempfile.mkdtemp(prefix="aicd-container-"))
        listener = make_folder(folder, owner)
        name = f"aicd-{uuid4()}"
        mounts = [(str(folder), INSIDE, "ro"), (str(tree), WORK, "rw")]
        mounts += [] if cache is None else [(str(cache.folder), CACHE, "rw" if cache.writable else "ro")]
        try:
            child = start([program, *self._arguments(facts, name, mounts)])
        except OSError as error:
            listener.close()
            shutil.rmtree(folder)
            raise unavailable(f"{program} could not be started ({error}).") from error
        box = ContainerBox(program, name, child, folder)
        try:
            end = await box.connected(listener)
        except BaseException as error:
            await to_the_end(box.end())
            if isinstance(error, StartError):
                raise self._no_start(error) from error
            raise
        try:
            return await establish(Place(self._limits, tree, cache, logs, owner), box, Channel(end), self._internet)
        except StartError as error:
            raise self._no_start(error) from error

    def _no_start(self, error: StartError) -> UnavailableError:
        return unavailable(
            f"{self._engine.name} could not start a container of {self._image} ({error}). Put that right, then type "
            "`aicd doctor`."
        )

    def _arguments(self, facts: EngineFacts, name: str, mounts: list[tuple[str, str, str]]) -> list[str]:
        return [
            *["run", "--rm", "--name", name, "--pull", "never", "--network", "none", "--hostname", "sandbox"],
            *["--read-only", "--cap-drop", "all", *user_options(facts), "--workdir", WORK],
            *["--security-opt", "no-new-privileges"],
            # podman hands on the worker's proxy settings, credentials and all, unless told not to.
            *(("--http-proxy=false", "--read-only-tmpfs=false") if facts.podman else ()),
            *self._limiting(facts),
            *[word for mount in mounts for word in ("--volume", ":".join(mount))],
            *["--entrypoint", "python3", self._image, "-I", "-S", "-B", f"{INSIDE}/server.py"],
            # On top of the engine's own filter, which differs from engine to engine.
            *[f"{INSIDE}/control", f"{INSIDE}/seccomp"],
        ]

    def _limiting(self, facts: EngineFacts) -> list[str]:
        limits = self._limits
        size = f"size={limits.memory // TMPFS_SHARE}"
        hard = read_host().hard_limits
        # The kernel counts this one per user (and user namespace, since Linux 5.14), not per container: where
        # --pids-limit holds, it is left wide. Left out, podman asks for more than a worker without CAP_SYS_RESOURCE
        # may give.
        users = clamped(limits.processes * (PER_USER if facts.counts else 1), hard["nproc"])
        open_files = [clamped(count, hard["nofile"]) for count in OPEN_FILES]
        return [
            *["--memory", str(limits.memory), "--memory-swap", str(limits.memory)],
            *["--pids-limit", str(limits.processes), "--shm-size", str(limits.memory // TMPFS_SHARE)],
            *["--tmpfs", f"/tmp:rw,exec,mode=1777,{size}", "--tmpfs", f"{HOME}:rw,exec,mode=1777,{size}"],  # noqa: S108
            *["--ulimit", "core=0:0", "--ulimit", f"fsize={limits.file_size}:{limits.file_size}"],
            *["--ulimit", f"data={limits.memory}:{limits.memory}"],
            *["--ulimit", f"nofile={open_files[0]}:{open_files[1]}"],
            *["--ulimit", f"nproc={users}:{users}"],
        ]


def user_options(facts: EngineFacts) -> list[str]:
    """The commands' user: on the host, the owner of the tree."""
    uid, gid = read_host().sandbox_ids
    if facts.rootless and not facts.podman:
        # Docker has no `keep-id`. Its root inside is the user who runs it, without any capability.
        return ["--user", "0:0"]
    return [*(["--userns", "keep-id"] if facts.rootless else []), "--user", f"{uid}:{gid}"]


def start(words: list[str]) -> subprocess.Popen[bytes]:
    """The engine's process, away from our terminal; its complaints can be read."""
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        start_new_session=True,
    )


def make_folder(folder: Path, owner: tuple[int, int] | None) -> socket.socket:
    """Fills the folder that the container sees: the command server, its filter, and the socket to us.

    Returns the socket, listening; only the container's user can connect to it.
    """
    (folder / "server.py").write_bytes(server_source())
    (folder / "seccomp").write_bytes(filter_program())
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "control"))
    (folder / "control").chmod(0o600)
    if owner is not None:
        os.chown(folder / "control", *owner)
        os.chown(folder, *owner)
    for name in ("server.py", "seccomp"):
        (folder / name).chmod(0o644)
    listener.listen(1)
    listener.setblocking(False)
    return listener
