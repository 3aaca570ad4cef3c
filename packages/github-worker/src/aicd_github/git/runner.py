"""Running git: argument lists only, an environment made from nothing, a deadline, clean cancellation."""

import asyncio
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from aicd_core.errors import StepFailedError, UnavailableError
from aicd_github.git.credentials import Login, Questions
from aicd_github.git.environment import Transport, git_environment, setting_flags

_GRACE = 2.0
_NO_QUESTIONS = Questions({}, ())
_LAST_WORDS_LIMIT = 400
_MAX_OUTPUT = 1024 * 1024 * 1024
_MAX_COMPLAINT = 16 * 1024 * 1024
# A pack or an object of a repository without end stops here.
_MAX_FILE = 16 * 1024 * 1024 * 1024
_PIECE = 256 * 1024
# Else git would search from `/` on, and obey the configuration of what it finds there.
_NO_REPOSITORY = {"GIT_DIR": "/nonexistent"}
_FULL_BELOW = 64 * 1024  # bytes; less than this and git cannot do anything useful


class GitFailedError(UnavailableError):
    """Git ended with an error. `stderr` is all it said, `returncode` how it ended."""

    default_code = "git_failed"

    def __init__(self, message: str, *, stderr: str, returncode: int, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.stderr = stderr
        self.returncode = returncode


class _TooMuchError(Exception):
    """Git said more than it was allowed to."""


@dataclass(frozen=True)
class Place:
    """Which repository, index and tree a call works on; all are given, none is searched for."""

    git_dir: Path
    work_tree: Path | None = None
    index: Path | None = None

    def environment(self) -> dict[str, str]:
        variables = {"GIT_DIR": str(self.git_dir)}
        if self.work_tree is not None:
            variables["GIT_WORK_TREE"] = str(self.work_tree)
        if self.index is not None:
            variables["GIT_INDEX_FILE"] = str(self.index)
        return variables

    def on_full_disk(self) -> bool:
        """Whether the disk that git writes to has no room left, in bytes or in files."""
        try:
            disk = os.statvfs(self.work_tree or self.git_dir)
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize < _FULL_BELOW or (disk.f_files > 0 and disk.f_favail == 0)


@dataclass(frozen=True)
class GitCall:
    """One run of git.

    Args:
        arguments: the sub-command and its arguments.
        place: None when `cwd` decides which repository it is.
        cwd: folder to run in; that of the work tree, else `/`.
        transport: what other repository is reached, and so what the process may know.
        settings: further `-c` settings.
        variables: further environment variables.
        lock: descriptor of a lock that must last as long as git itself.
        umask: for the files git makes; None leaves this process's own.
        max_output: bytes of standard output after which git is ended; None leaves the default of 1 GiB.
        login: answers git's question for a password; None answers none.
    """

    arguments: Sequence[str]
    place: Place | None = None
    cwd: Path | None = None
    transport: Transport | None = None
    settings: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    lock: int | None = None
    umask: int | None = None
    max_output: int | None = None
    login: Login | None = None

    def command(self) -> list[str]:
        login = () if self.login is None else self.login.settings()
        return ["git", *setting_flags((*self.settings, *login)), *self.arguments]

    def environment(self) -> dict[str, str]:
        own = self.place.environment() if self.place else _NO_REPOSITORY if self.cwd is None else {}
        return git_environment(os.environ, self.transport) | own | dict(self.variables)

    def folder(self) -> Path:
        if self.cwd is not None:
            return self.cwd
        return (self.place and self.place.work_tree) or Path("/")


@dataclass(frozen=True)
class GitResult:
    """How a run ended."""

    stdout: bytes
    stderr: str
    returncode: int

    def text(self) -> str:
        """Standard output as text without the last line's end; foreign bytes become surrogates."""
        return self.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


class Git:
    """Runs git.

    Args:
        deadline: seconds after which a run is ended.
        max_file: bytes of the largest file that a run may write, 16 GiB unless told; one that would write more ends.
    """

    def __init__(self, deadline: float = 600.0, max_file: int | None = None) -> None:
        self._deadline = deadline
        self._max_file = _MAX_FILE if max_file is None else max_file

    async def run(self, call: GitCall) -> GitResult:
        """Runs git to its end and returns how it ended, well or badly.

        Cancelling ends git and all its children first.

        Raises:
            UnavailableError: git is not installed (`git_missing`) or took too long (`git_timeout`).
            StepFailedError: code `output_too_large`.
        """
        with call.login.questions() if call.login else nullcontext(_NO_QUESTIONS) as questions:
            return await self._run(call, questions)

    async def _run(self, call: GitCall, questions: Questions) -> GitResult:
        try:
            process = await asyncio.create_subprocess_exec(
                *call.command(),
                stdin=asyncio.subprocess.PIPE if call.stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=call.environment() | dict(questions.variables),
                cwd=call.folder(),
                start_new_session=True,
                pass_fds=(*questions.descriptors, *(() if call.lock is None else (call.lock,))),
                umask=-1 if call.umask is None else call.umask,
            )
        except OSError as error:
            raise _cannot_start(error, call) from error
        with suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (self._max_file, self._max_file))
        try:
            async with asyncio.timeout(self._deadline):
                stdout, stderr = await _conversation(process, call)
        except TimeoutError as error:
            raise UnavailableError(
                f"git {call.arguments[0]} did not end within {self._deadline:.0f} s and was stopped. "
                "Try again; if it lasts, look at the disk or the network.",
                code="git_timeout",
            ) from error
        except _TooMuchError as error:
            raise StepFailedError(
                f"git {call.arguments[0]} said more than this product can take in and was stopped: the repository, or "
                "the change, has too many or too large files.",
                code="output_too_large",
            ) from error
        finally:
            if process.returncode is None:
                await _end(process)
        assert process.returncode is not None
        return GitResult(stdout, stderr.decode("utf-8", "replace"), process.returncode)

    async def do(self, call: GitCall, what: str) -> GitResult:
        """Runs git, which must succeed.

        Args:
            what: the start of the error's sentence, such as "The base commit could not be laid out".

        Raises:
            GitFailedError: `what` and git's own last words.
        """
        result = await self.run(call)
        if result.returncode != 0:
            raise failure(result, what, disk_full=call.place is not None and call.place.on_full_disk())
        return result


def failure(result: GitResult, what: str, *, disk_full: bool = False) -> GitFailedError:
    """The error for a run that ended badly; codes `no_disk_space`, `not_writable`, `git_failed`.

    Args:
        disk_full: what the caller saw of the disk: git does not always say why it could not write.
    """
    stderr = result.stderr
    code = None
    advice = ""
    if disk_full or "No space left on device" in stderr or "Disk quota exceeded" in stderr:
        code, advice = "no_disk_space", " Free some disk space and run the job again."
    elif "Permission denied" in stderr or "insufficient permission" in stderr or "Read-only file" in stderr:
        code, advice = "not_writable", " Give the user that runs AI-CD the right to."
    message = f"{what}: {last_words(stderr, result.returncode)}.{advice}"
    return GitFailedError(message, stderr=stderr, returncode=result.returncode, code=code)


def last_words(stderr: str, returncode: int) -> str:
    """The line that tells best why git gave up, without its prefix and full stop."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    for prefix in ("error: ", "fatal: ", "remote: error: ", "remote: "):
        for line in lines:
            if line.startswith(prefix) and line != prefix.strip():
                return line.removeprefix(prefix).rstrip(".")[:_LAST_WORDS_LIMIT]
    if lines:
        return lines[-1].rstrip(".")[:_LAST_WORDS_LIMIT]
    return f"git ended with {'signal' if returncode < 0 else 'exit code'} {abs(returncode)} and said nothing"


def _cannot_start(error: OSError, call: GitCall) -> UnavailableError:
    if isinstance(error, FileNotFoundError) and not call.folder().exists():
        return UnavailableError(f"The folder {call.folder()} is gone; run the job again.", code="folder_gone")
    if isinstance(error, FileNotFoundError):
        return UnavailableError(
            "git is not installed, or not on PATH. Install it (Debian: apt install git).", code="git_missing"
        )
    return UnavailableError(f"git could not be started: {error.strerror}.", code="git_missing")


async def _conversation(process: asyncio.subprocess.Process, call: GitCall) -> tuple[bytes, bytes]:
    """Feeds git and reads all it says, but no more than the call allows."""
    assert process.stdout is not None
    assert process.stderr is not None
    _, stdout, stderr, _ = await asyncio.gather(
        _feed(process, call.stdin),
        _read(process.stdout, call.max_output or _MAX_OUTPUT, process),
        _read(process.stderr, _MAX_COMPLAINT, process),
        process.wait(),
    )
    return stdout, stderr


async def _feed(process: asyncio.subprocess.Process, stdin: bytes) -> None:
    if process.stdin is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):  # git's exit code says why it stopped reading
        process.stdin.write(stdin)
        await process.stdin.drain()
    process.stdin.close()


async def _read(stream: asyncio.StreamReader, limit: int, process: asyncio.subprocess.Process) -> bytes:
    """All of a stream; beyond the limit git is ended, and what else it said is dropped."""
    pieces = []
    size = 0
    while piece := await stream.read(_PIECE):
        size += len(piece)
        if size <= limit:
            pieces.append(piece)
        else:
            pieces.clear()
            _signal_group(process.pid, signal.SIGKILL)
    if size > limit:
        raise _TooMuchError
    return b"".join(pieces)


async def _end(process: asyncio.subprocess.Process) -> None:
    # SIGTERM first: git then removes its own lock and temporary files.
    _signal_group(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(_GRACE):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            _signal_group(process.pid, signal.SIGKILL)
    await process.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
