"""Starting bubblewrap: an empty environment, options and files by descriptor, two pipes."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from aicd_core.contracts import SandboxLimits
from aicd_sandbox.arguments import inner_command, made_up_files, options
from aicd_sandbox.host import Host
from aicd_sandbox.process import SandboxProcess
from aicd_sandbox.programs import Programs


def launch(
    host: Host,
    programs: Programs,
    limits: SandboxLimits,
    *,
    command: bytes,
    tree: Path,
    env: Mapping[str, str],
) -> SandboxProcess:
    """Starts a sandbox whose command waits at its gate.

    To be called on the event loop's own thread: a sandbox dies with the thread that started it
    (PR_SET_PDEATHSIG in prctl(2)).

    Raises:
        OSError: out of processes, memory or file descriptors.
    """
    with ExitStack() as stack:
        files = [
            (_memory_file(stack, content), path) for path, content in made_up_files(host.sandbox_ids, command).items()
        ]
        size = limits.memory if programs.sized_tmpfs else None
        words = options(host, tree=str(tree), env=env, files=files, tmpfs_size=size)
        args = _memory_file(stack, b"\0".join(word.encode("utf-8", "surrogateescape") for word in words) + b"\0")
        return _start(
            programs.bwrap,
            ["--args", str(args), "--", *inner_command(host, programs, limits, command)],
            inherited=[args, *(fd for fd, _ in files)],
        )


def _start(bwrap: str, arguments: Sequence[bytes | str], *, inherited: Sequence[int]) -> SandboxProcess:
    with ExitStack() as theirs, ExitStack() as ours:
        stdin_theirs, stdin = _pipe(theirs, ours)
        output, output_theirs = _pipe(ours, theirs)
        # Not a pipe: bubblewrap, writing into one whose reader was killed, would die between making its child and
        # letting it go, and the child would wait for ever.
        status = _memory_file(ours)
        child = subprocess.Popen(
            [bwrap, "--json-status-fd", str(status), *arguments],
            stdin=stdin_theirs,
            stdout=output_theirs,
            stderr=subprocess.STDOUT,
            pass_fds=(status, *inherited),
            # bubblewrap's own environment can be read inside, as that of process 1.
            env={},
            cwd="/",
            # The terminal's Ctrl-C is the worker's to handle.
            start_new_session=True,
            umask=0o022,
        )
        for end in (stdin, output):
            os.set_blocking(end, False)
        try:
            process = SandboxProcess(child, stdin=stdin, output=output, status=status)
        except OSError:
            # Its gate sees the end of its input, and it ends by itself.
            ours.close()
            child.wait()
            raise
        ours.pop_all()
        return process


def _pipe(reading: ExitStack, writing: ExitStack) -> tuple[int, int]:
    """A pipe (read end, write end), each end closed with its stack."""
    read_end, write_end = os.pipe()
    reading.callback(os.close, read_end)
    writing.callback(os.close, write_end)
    return read_end, write_end


def _memory_file(stack: ExitStack, content: bytes = b"") -> int:
    fd = os.memfd_create("sandbox")
    stack.callback(os.close, fd)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
