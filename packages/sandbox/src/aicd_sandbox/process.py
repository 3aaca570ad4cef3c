"""One running sandbox: its pipes, and handles on its processes that outlive their numbers.

bubblewrap is two processes on the host: the one started here, which waits, and its child, the first process
of the sandbox's process namespace. When that child is dead, the kernel has already ended everything else in
the namespace (pid_namespaces(7)), so its handle (pidfd_open(2)) tells when nothing is left.
"""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from aicd_core.errors import UnavailableError
from aicd_sandbox.arguments import READY

CHUNK = 65536
"""Bytes; what a pipe holds."""

START_SECONDS = 30.0
"""A sandbox starts in 10 to 20 ms; only a machine that is stuck takes this long."""

GRACE_SECONDS = 2.0
"""Until a killed sandbox that is still there is ended in the second way, by its waiting process."""

DEATH_SECONDS = 10.0
"""A killed process is gone at once, unless the kernel waits for a device."""

LONGEST_COMPLAINT = 64 * 1024

T = TypeVar("T")


class StartError(Exception):
    """The sandbox ended, or hung, before its command began; the message is what its programs said."""


class SandboxProcess:
    """Takes ownership of the started bubblewrap and of the descriptors.

    Args:
        stdin: the pipe's end to write to, non-blocking.
        output: the pipe's end to read from, non-blocking.
        status: the file where bubblewrap writes, in lines of JSON, its child's number and its exit code.
    """

    def __init__(self, child: subprocess.Popen[bytes], *, stdin: int, output: int, status: int) -> None:
        self._child = child
        self._outer = os.pidfd_open(child.pid)
        self._init: int | None = None
        self._stdin: int | None = stdin
        self._output = output
        self._status = status
        self._early = b""

    async def ready(self) -> None:
        """Waits until the sandbox stands and its command waits at the gate.

        Raises:
            StartError: it does not stand.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                while not self._early.startswith(READY):
                    data = await _read(self._output)
                    self._early += data
                    if not data or len(self._early) > LONGEST_COMPLAINT:
                        raise StartError(self._early.decode(errors="replace").strip())
        except TimeoutError:
            raise StartError(f"nothing happened for {START_SECONDS:.0f} seconds") from None
        self._early = self._early[len(READY) :]
        number = self._reported("child-pid")
        if number is None:
            raise StartError("bubblewrap did not tell the number of its child process")
        # It waits at the gate for us, so the number cannot be another process's by now.
        self._init = os.pidfd_open(number)

    async def communicate(self, stdin: bytes, sink: Callable[[bytes], None], timeout: float) -> bool:
        """Lets the command go, feeds it, and hands its output to `sink` until all its processes are dead.

        Returns:
            Whether the time was over before the command was; it was killed then.
        """
        sink(self._early)
        feeding = asyncio.ensure_future(self._feed(b"\n" + stdin))
        pumping = asyncio.ensure_future(self._pump(sink))
        ending = asyncio.ensure_future(self._until_dead())
        tasks = (feeding, pumping, ending)
        try:
            await asyncio.wait((pumping, ending), timeout=timeout, return_when=asyncio.FIRST_EXCEPTION)
            timed_out = not ending.done()
            await self._finish(ending)
            # The pipe has no writer any more; only a copy of it made by a fork of this process could be left.
            await asyncio.wait((pumping,), timeout=GRACE_SECONDS)
            if pumping.done():
                pumping.result()
            return timed_out
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> int | None:
        """Ends whatever is left and waits until it is gone.

        Returns:
            The command's exit code, or None when bubblewrap was ended before the command.

        Raises:
            UnavailableError: `sandbox_stuck`; the kernel does not let go of a killed process.
        """
        ending = asyncio.ensure_future(self._until_dead())
        try:
            # Before it is ready a sandbox ends by itself when its gate sees the end of its input.
            self._close_stdin()
            await self._finish(ending)
            return self._reported("exit-code")
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
            for handle in (self._outer, self._init, self._output, self._status):
                if handle is not None:
                    os.close(handle)

    async def _finish(self, ending: asyncio.Future[None]) -> None:
        """Kills all there is; `ending` tells when it is gone."""
        if self._init is not None:
            # Its parent reaps it and ends by itself: no zombie is left to others.
            _kill(self._init)
        await asyncio.wait((ending,), timeout=GRACE_SECONDS)
        if not ending.done():
            self._child.kill()
            await asyncio.wait((ending,), timeout=DEATH_SECONDS)
        if not ending.done():
            raise UnavailableError(
                f"The processes of a sandbox could not be ended within {DEATH_SECONDS:.0f} seconds "
                f"(process {self._child.pid}): a disk or network file system hangs; look at `dmesg`.",
                code="sandbox_stuck",
            )

    async def _until_dead(self) -> None:
        await _readable(self._outer)
        self._child.wait()
        if self._init is None:
            return
        _kill(self._init)
        await _readable(self._init)
        _reap(self._init)

    async def _feed(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest and self._stdin is not None:
                await _writable(self._stdin)
                with suppress(BlockingIOError):
                    rest = rest[os.write(self._stdin, rest[:CHUNK]) :]
        except BrokenPipeError:
            return
        finally:
            self._close_stdin()

    async def _pump(self, sink: Callable[[bytes], None]) -> None:
        while data := await _read(self._output):
            sink(data)

    def _reported(self, key: str) -> int | None:
        """The number that bubblewrap has written by now under this key."""
        for line in os.pread(self._status, CHUNK, 0).splitlines():
            value = json.loads(line).get(key)
            if isinstance(value, int):
                return value
        return None

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Awaits the work until it is done, also when cancelled meanwhile: the cancellation comes after it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()


async def _read(fd: int) -> bytes:
    """The next bytes of a non-blocking pipe; empty at its end."""
    while True:
        await _readable(fd)
        with suppress(BlockingIOError):
            return os.read(fd, CHUNK)


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.add_reader(fd, _resolve, future)
    try:
        await future
    finally:
        loop.remove_reader(fd)


async def _writable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.add_writer(fd, _resolve, future)
    try:
        await future
    finally:
        loop.remove_writer(fd)


def _reap(handle: int) -> None:
    # The process became our own child if we are the first one of a container: leave no zombie behind.
    with suppress(ChildProcessError):
        os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOHANG)


def _kill(handle: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
