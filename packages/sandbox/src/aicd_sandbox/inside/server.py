"""The command server: the first process of a sandbox. It starts commands and ends all that they leave behind.

Nothing of AI-CD can be imported here. The worker sends frames (4 bytes of length, then JSON) over a stream socket:
`{"run": {"command", "env"}}` with two descriptors, the command's input and output, and `{"end": true}`. The answer to
`run` is `{"ended": code}`, sent when no process is left but this one. Being the first process of its namespace, it
cannot be killed from inside, orphans become its children, and when it ends the kernel ends all the others
(pid_namespaces(7)); it ends when the worker's end of the socket is closed.
"""

import ctypes
import json
import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress

HEADER = struct.Struct("!I")
PROXY_PORT = 3128
CANNOT_START = 126
SCRIPT = 3
"""The descriptor by which a script too long for an argument is handed over."""
LONGEST_ARGUMENT = 120_000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
SIZE_OF_INSTRUCTION = 8
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class Server:
    """Serves one worker until it goes away."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._command: int | None = None
        self._wake, wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def serve(self) -> None:
        listener = socket.create_server(("127.0.0.1", PROXY_PORT), backlog=128)
        self._say({"ready": True}, [listener.fileno()])
        listener.close()
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._wake in ready:
                with suppress(BlockingIOError):
                    os.read(self._wake, 4096)
                self._reap()
            if self._channel.fileno() in ready:
                self._listen()

    def _listen(self) -> None:
        frame, descriptors = self._receive()
        try:
            if "run" in frame:
                self._start(frame["run"], *descriptors)
            elif self._command is not None:
                self._finish(None)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _start(self, run: dict[str, object], stdin: int, output: int) -> None:
        script = str(run["command"]).encode()
        actions = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
        try:
            if len(script) > LONGEST_ARGUMENT:
                actions.append((os.POSIX_SPAWN_DUP2, memory_file(script), SCRIPT))
                script = f". /proc/self/fd/{SCRIPT}".encode()
            self._command = os.posix_spawn(
                "/bin/sh",
                [b"sh", b"-c", script],
                run["env"],  # type: ignore[arg-type]
                file_actions=actions,
                setsid=True,
                setsigdef=IGNORED_BY_PYTHON,
            )
        except OSError as error:
            os.write(output, f"The sandbox could not start the command: {error.strerror}.\n".encode())
            self._finish(CANNOT_START)
        finally:
            for _, descriptor, target in actions[3:]:
                if descriptor != target:
                    os.close(descriptor)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._command:
                    self._finish(exit_code(ended[1]))

    def _finish(self, code: int | None) -> None:
        """Ends everything but this process; of kill(-1) no process forks itself away (kill(2))."""
        command, self._command = self._command, None
        while True:
            with suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            try:
                process, status = os.waitpid(-1, 0)
            except ChildProcessError:
                break
            if process == command and code is None:
                code = exit_code(status)
        self._say({"ended": code})

    def _say(self, frame: dict[str, object], descriptors: list[int] | None = None) -> None:
        body = json.dumps(frame).encode()
        socket.send_fds(self._channel, [HEADER.pack(len(body)) + body], descriptors or [])

    def _receive(self) -> tuple[dict[str, dict[str, object]], list[int]]:
        head, descriptors, _, _ = socket.recv_fds(self._channel, HEADER.size, 2)
        if not head:
            os._exit(0)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        head += self._exactly(HEADER.size - len(head))
        return json.loads(self._exactly(HEADER.unpack(head)[0])), descriptors

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self._channel.recv(size - len(data))
            if not part:
                os._exit(0)
            data += part
        return bytes(data)


def exit_code(status: int) -> int:
    """The code as a shell tells it: 128 and the signal's number for what a signal ended."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def memory_file(content: bytes) -> int:
    """A descriptor above those that a command gets."""
    descriptor = os.memfd_create("script")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    return descriptor


def open_channel(word: str) -> socket.socket:
    """The socket that was inherited under this number, or listens at this path."""
    if word.isdigit():
        os.set_inheritable(int(word), False)
        return socket.socket(fileno=int(word))
    channel = socket.socket(socket.AF_UNIX)
    channel.connect(word)
    return channel


def become_unreachable() -> None:
    """Commands run as the same user: without this they could open our memory and descriptors through /proc."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_DUMPABLE, 0)


class FilterProgram(ctypes.Structure):
    """`struct sock_fprog` of seccomp(2)."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def take_on_filter(path: str) -> None:
    """Gives up the system calls that a program for the kernel refuses, for this process and all that it starts."""
    with open(path, "rb") as file:  # noqa: PTH123  (pathlib takes as long to load as all the rest)
        instructions = file.read()
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    program = FilterProgram(len(instructions) // SIZE_OF_INSTRUCTION, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the filter of system calls was refused")


def main() -> None:
    channel = open_channel(sys.argv[1])
    # When the machine's memory ends, the kernel shall end something of the sandbox and not the worker.
    score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    os.write(score, b"1000")
    os.close(score)
    become_unreachable()
    if len(sys.argv) > 2:
        take_on_filter(sys.argv[2])
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    Server(channel).serve()


if __name__ == "__main__":
    main()
