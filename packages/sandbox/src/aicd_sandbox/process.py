"""The processes of one bubblewrap, by handles that outlive their numbers.

bubblewrap is two processes on the host: the one started here, which waits, and its child, which becomes the command
server, the first process of the sandbox's process namespace. When that one is dead, the kernel has already ended
everything else in the namespace (pid_namespaces(7)), so its handle (pidfd_open(2)) tells when nothing is left.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
from contextlib import suppress

from aicd_core.errors import UnavailableError
from aicd_sandbox.channel import Channel, ChannelClosedError, readable
from aicd_sandbox.command import StartError

START_SECONDS = 30.0
"""A sandbox starts in 30 to 50 ms; only a machine that is stuck takes this long."""

GRACE_SECONDS = 1.0
"""Until a killed sandbox that is still there is ended in the second way, by its waiting process."""

DEATH_SECONDS = 10.0
"""A killed process is gone at once, unless the kernel waits for a device."""

LONGEST_COMPLAINT = 64 * 1024


class BubblewrapBox:
    """Takes ownership of the started bubblewrap and of the descriptors.

    Args:
        complaint: what bubblewrap and what follows it print, non-blocking.
        status: the file where bubblewrap writes, in lines of JSON, its child's number.
    """

    def __init__(self, child: subprocess.Popen[bytes], *, complaint: int, status: int) -> None:
        self._child = child
        self._outer = os.pidfd_open(child.pid)
        self._complaint = complaint
        self._status = status
        self._init: int | None = None
        self._ended = False
        self.init = 0

    async def ready(self, channel: Channel) -> socket.socket:
        """Waits until the command server is there; returns the listening socket of the sandbox's loopback.

        Raises:
            StartError: it does not come.
        """
        try:
            listener = await greeting(channel)
        except ChannelClosedError as error:
            raise StartError(await self._last_words() or str(error)) from error
        number = self._reported("child-pid")
        if number is None:
            listener.close()
            raise StartError("bubblewrap did not tell the number of its child process")
        # It waits for us to say something, so the number cannot be another process's by now.
        self.init, self._init = number, os.pidfd_open(number)
        return listener

    async def end(self) -> None:
        """Ends whatever is left and waits until it is gone; a second call does nothing.

        Raises:
            UnavailableError: `sandbox_stuck`; the kernel does not let go of a killed process.
        """
        if self._ended:
            return
        self._ended = True
        ending = asyncio.ensure_future(self._until_dead())
        try:
            await self._kill(ending)
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
            for handle in (self._outer, self._init, self._complaint, self._status):
                if handle is not None:
                    os.close(handle)

    async def _kill(self, ending: asyncio.Future[None]) -> None:
        if self._init is not None:
            # Its parent reaps it and ends by itself: no zombie is left to others.
            kill_by_handle(self._init)
        else:
            self._child.kill()
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
        await readable(self._outer)
        self._child.wait()
        if self._init is None:
            return
        kill_by_handle(self._init)
        await readable(self._init)
        # The process became our own child if we are the first one of a container: leave no zombie behind.
        _reap(self._init)

    async def _last_words(self) -> str:
        """What was printed; a program that complains ends right after."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await readable(self._outer)
        with suppress(BlockingIOError):
            return os.read(self._complaint, LONGEST_COMPLAINT).decode(errors="replace").strip()
        return ""

    def _reported(self, key: str) -> int | None:
        """The number that bubblewrap has written by now under this key."""
        for line in os.pread(self._status, LONGEST_COMPLAINT, 0).splitlines():
            value = json.loads(line).get(key)
            if isinstance(value, int):
                return value
        return None


async def greeting(channel: Channel) -> socket.socket:
    """The server's first frame, with the listening socket that comes along.

    Raises:
        ChannelClosedError: nothing came, or something else.
    """
    try:
        async with asyncio.timeout(START_SECONDS):
            frame, descriptors = await channel.receive()
    except TimeoutError:
        raise ChannelClosedError(f"nothing happened for {START_SECONDS:.0f} seconds") from None
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    if frame != {"ready": True} or len(sockets) != 1 or not _listens(sockets[0]):
        for one in sockets:
            one.close()
        raise ChannelClosedError("the command server did not begin with a listening socket")
    return sockets[0]


def _listens(candidate: socket.socket) -> bool:
    option = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    return candidate.family == socket.AF_INET and candidate.type == socket.SOCK_STREAM and option == 1


def _reap(handle: int) -> None:
    with suppress(ChildProcessError):
        os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOHANG)


def kill_by_handle(handle: int) -> bool:
    """Kills a process; whether that was ours to do. One that is dead already is fine."""
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True
