"""The sandbox made with bubblewrap."""

import asyncio
import os
import tempfile
from pathlib import Path

from aicd_core.contracts import CacheMount, SandboxLimits
from aicd_core.errors import InvalidInputError
from aicd_sandbox.cgroups import make_cgroup
from aicd_sandbox.command import StartError
from aicd_sandbox.diagnosis import explain, read_restrictions
from aicd_sandbox.egress.proxy import Internet
from aicd_sandbox.host import read_host, service_ids
from aicd_sandbox.launch import launch
from aicd_sandbox.programs import Programs, find_programs, unavailable
from aicd_sandbox.seccomp import filter_program
from aicd_sandbox.session import CommandSession, Place, establish

CHECK_SECONDS = 30.0


class BubblewrapSandbox:
    """Makes sandboxes with bubblewrap (see `aicd_core.contracts.Sandbox`).

    Args:
        limits: what the commands may use; see there for the units.
        path: where bwrap, setpriv, prlimit and python3 are looked up, `:`-separated; None takes the process's PATH.
        internet: how the egress proxy gets out.
    """

    def __init__(self, limits: SandboxLimits, *, path: str | None = None, internet: Internet | None = None) -> None:
        self._limits = limits
        self._path = path
        self._internet = internet or Internet()
        self._programs: Programs | None = None

    @property
    def owner(self) -> tuple[int, int] | None:
        """Root's commands run as an account of their own, which must own the tree; everybody else's run as they are."""
        return service_ids() if os.geteuid() == 0 else None

    async def check(self) -> str:
        """Looks the programs up anew and starts a sandbox that does nothing.

        Raises:
            UnavailableError: `sandbox_unavailable`, saying what to type.
        """
        self._programs = None
        with tempfile.TemporaryDirectory(prefix="aicd-check-") as tree:
            session = await self.open(Path(tree))
            try:
                result = await session.run("true", timeout=CHECK_SECONDS)
            finally:
                await session.close()
        if not result.ok:
            raise unavailable(
                f"A sandbox starts, but `true` in it ended with: {result.outcome()} "
                f"({result.output.strip()[:500]}). Check that /bin/sh and the folders "
                "under /usr are readable for everybody."
            )
        host, programs = read_host(), await self._find_programs()
        mode = "" if host.is_root else " in a user namespace"
        limits = "control groups" if session.grouped else "limits per process only, no control group can be written"
        return f"bubblewrap {programs.version_text}, as uid {host.sandbox_ids[0]}{mode}, {limits}"

    async def open(self, tree: Path, *, cache: CacheMount | None = None, logs: Path | None = None) -> CommandSession:
        """See `aicd_core.contracts.Sandbox.open`."""
        tree, is_folder = await asyncio.to_thread(lambda: (tree.absolute(), tree.is_dir()))
        if not is_folder:
            raise InvalidInputError(f"The work tree {tree} is not a folder: create it before a command runs.")
        programs = await self._find_programs()
        await asyncio.to_thread(filter_program)
        # Not in a thread: nobody would remove the groups that it makes for a caller who was cancelled meanwhile.
        cgroup = make_cgroup(self._limits.memory, self._limits.processes)
        try:
            box, channel = launch(read_host(), programs, self._limits, cgroup, tree=tree, cache=cache)
        except OSError as error:
            if cgroup is not None:
                cgroup.remove()
            raise unavailable(
                f"The sandbox could not be started ({error}): this user is out of processes, memory or open "
                "files, or Linux is older than 5.3. Put that right, then type `aicd doctor`."
            ) from error
        try:
            place = Place(self._limits, tree, cache, logs, self.owner)
            return await establish(place, box, channel, self._internet, cgroup)
        except StartError as error:
            message = explain(str(error), read_restrictions(), is_root=os.geteuid() == 0)
            raise unavailable(message) from error

    async def _find_programs(self) -> Programs:
        if self._programs is None:
            self._programs = await asyncio.to_thread(find_programs, self._path)
        return self._programs
