"""Starting bubblewrap: an empty environment, everything it reads by descriptor, a socket to the command server."""

import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import resources
from pathlib import Path

from aicd_core.contracts import CacheMount, SandboxLimits
from aicd_sandbox.arguments import inner_command, made_up_files, options
from aicd_sandbox.cgroups import Cgroup
from aicd_sandbox.channel import Channel
from aicd_sandbox.host import Host
from aicd_sandbox.process import BubblewrapBox
from aicd_sandbox.programs import Programs
from aicd_sandbox.seccomp import filter_program

TMPFS_SHARE = 4
"""The private folders in memory may each take one part in so many of the memory, which they count against."""


def server_source() -> bytes:
    """The command server, as text."""
    return resources.files("aicd_sandbox.inside").joinpath("server.py").read_bytes()


def launch(
    host: Host,
    programs: Programs,
    limits: SandboxLimits,
    cgroup: Cgroup | None,
    *,
    tree: Path,
    cache: CacheMount | None,
) -> tuple[BubblewrapBox, Channel]:
    """Starts a sandbox whose command server is about to say that it is ready.

    To be called on the event loop's own thread: a sandbox dies with the thread that started it
    (PR_SET_PDEATHSIG in prctl(2)).

    Raises:
        OSError: out of processes, memory or file descriptors.
        UnavailableError: `sandbox_unavailable`; there is no libseccomp.
    """
    with ExitStack() as stack:
        made_up = made_up_files(host.sandbox_ids, server_source())
        files = [(_memory_file(stack, content), path) for path, content in made_up.items()]
        seccomp = _memory_file(stack, filter_program())
        size = limits.memory // TMPFS_SHARE if programs.sized_tmpfs else None
        words = options(host, tree=str(tree), cache=cache, files=files, tmpfs_size=size)
        args = _memory_file(stack, b"\0".join(word.encode("utf-8", "surrogateescape") for word in words) + b"\0")
        theirs = stack.enter_context(ExitStack())
        end, their_end = socket.socketpair()
        theirs.callback(their_end.close)
        inner = inner_command(host, programs, limits, their_end.fileno(), grouped=cgroup is not None)
        command = [programs.bwrap, "--args", str(args), "--seccomp", str(seccomp), "--", *inner]
        try:
            box = _start(command, cgroup, [args, seccomp, their_end.fileno(), *(fd for fd, _ in files)])
        except BaseException:
            end.close()
            raise
        return box, Channel(end)


def _start(command: list[str], cgroup: Cgroup | None, inherited: Sequence[int]) -> BubblewrapBox:
    with ExitStack() as ours:
        complaint, complaint_theirs = os.pipe()
        ours.callback(os.close, complaint)
        # Not a pipe: bubblewrap, writing into one whose reader was killed, would die between making its child and
        # letting it go, and the child would wait for ever.
        status = _memory_file(ours)
        words = [command[0], "--json-status-fd", str(status), *command[1:]]
        try:
            child = subprocess.Popen(
                words if cgroup is None else cgroup.entering(words),
                stdin=subprocess.DEVNULL,
                stdout=complaint_theirs,
                stderr=subprocess.STDOUT,
                pass_fds=(status, *inherited),
                # bubblewrap's own environment can be read inside, as that of process 1.
                env={},
                cwd="/",
                # The terminal's Ctrl-C is the worker's to handle.
                start_new_session=True,
                umask=0o022,
            )
        finally:
            os.close(complaint_theirs)
        os.set_blocking(complaint, False)
        try:
            box = BubblewrapBox(child, complaint=complaint, status=status)
        except OSError:
            child.kill()
            child.wait()
            raise
        ours.pop_all()
        return box


def _memory_file(stack: ExitStack, content: bytes = b"") -> int:
    fd = os.memfd_create("sandbox")
    stack.callback(os.close, fd)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
