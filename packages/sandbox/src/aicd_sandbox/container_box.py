"""The processes of one container, by a handle on its first one and by its engine."""

import asyncio
import os
import shutil
import socket
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

from aicd_core.errors import UnavailableError
from aicd_sandbox.channel import Channel, ChannelClosedError, readable
from aicd_sandbox.command import StartError
from aicd_sandbox.process import DEATH_SECONDS, START_SECONDS, greeting, kill_by_handle

LONGEST_COMPLAINT = 64 * 1024


class ContainerBox:
    """Takes ownership of the engine's process, which lives as long as the container, and of the folder."""

    def __init__(self, program: str, name: str, child: subprocess.Popen[bytes], folder: Path) -> None:
        self._program = program
        self._name = name
        self._child = child
        self._outer = os.pidfd_open(child.pid)
        self._folder = folder
        self._first: int | None = None
        self._ended = False
        self.init = 0

    async def connected(self, listener: socket.socket) -> socket.socket:
        """Waits for the command server to connect; takes ownership of the listener. A server that comes too late finds
        nobody and ends, and its container with it.

        Raises:
            StartError: the container ended or hung before.
        """
        accepting = asyncio.ensure_future(asyncio.get_running_loop().sock_accept(listener))
        dying = asyncio.ensure_future(readable(self._outer))
        try:
            await asyncio.wait((accepting, dying), timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not accepting.done():
                raise StartError(await self._last_words(dying.done()))
        finally:
            for task in (accepting, dying):
                task.cancel()
            await asyncio.gather(accepting, dying, return_exceptions=True)
            listener.close()
        end, _ = accepting.result()
        self.init, self._first = _first_process(end)
        return end

    async def ready(self, channel: Channel) -> socket.socket:
        """See `Box.ready`."""
        try:
            return await greeting(channel)
        except ChannelClosedError as error:
            raise StartError(str(error)) from error

    async def end(self) -> None:
        """See `Box.end`; a second call does nothing."""
        if self._ended:
            return
        self._ended = True
        gone = asyncio.ensure_future(readable(self._outer))
        try:
            await self._kill(gone)
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            if self._child.stderr is not None:
                self._child.stderr.close()
            for handle in (self._outer, self._first):
                if handle is not None:
                    os.close(handle)
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _kill(self, gone: asyncio.Future[None]) -> None:
        # Not ours to signal where the engine is a server of root's; the engine is asked then.
        if self._first is not None and not kill_by_handle(self._first):
            await self._tell("kill", self._name)
        await asyncio.wait((gone,), timeout=DEATH_SECONDS)
        if not gone.done():
            await self._tell("rm", "--force", self._name)
            self._child.kill()
            await asyncio.wait((gone,), timeout=DEATH_SECONDS)
        if not gone.done():
            raise UnavailableError(
                f"The container {self._name} could not be ended; look at `{self._program} ps`.", code="sandbox_stuck"
            )
        self._child.wait()

    async def _tell(self, *words: str) -> None:
        """Has the engine do something that may be done already."""
        process = await asyncio.create_subprocess_exec(
            self._program, *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(DEATH_SECONDS):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()

    async def _last_words(self, dead: bool) -> str:
        if not dead or self._child.stderr is None:
            return f"nothing happened for {START_SECONDS:.0f} seconds"
        said = os.read(self._child.stderr.fileno(), LONGEST_COMPLAINT)
        return said.decode(errors="replace").strip() or "it ended without a word"


def _first_process(end: socket.socket) -> tuple[int, int]:
    """The number, in our own namespace (unix(7)), of the process that connected, and a handle on it.

    It waits for us to say something, so the number cannot be another process's by now.
    """
    raw = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    process, _, _ = struct.unpack("3i", raw)
    return process, os.pidfd_open(process)
