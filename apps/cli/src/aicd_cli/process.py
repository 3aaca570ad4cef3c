"""Running a command as a whole process: signals, errors, exit codes, and output that nobody may be reading."""

import asyncio
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from aicd_cli.exit_codes import ExitCode, of_error
from aicd_core.errors import AicdError

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_log = logging.getLogger(__name__)

Work = Coroutine[Any, Any, ExitCode]


class ProcessEnd(SystemExit):  # it is no error
    """The end of a command that has said all there is to say."""


class InterruptedJobError(Exception):
    """Something went wrong, its `__cause__`, while a job was worked on; the job can be resumed."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id


def run_process(begin: Callable[[], Work], *, as_json: bool) -> None:
    """Runs a command to its end and leaves the process with its exit code.

    `begin` does what may block (reading input) while Ctrl-C still means what it usually does, and returns the
    coroutine of the work. During the work the first SIGINT, SIGTERM or SIGHUP cancels it, and it cleans up; a second
    one ends the process at once, leaving any job resumable. Errors become one sentence on stderr; with `as_json`, also
    an object on stdout.
    """
    _await_children_without_threads()
    try:
        code = asyncio.run(_guarded(begin()))
    except InterruptedJobError as error:
        code = _explain(error.__cause__, as_json=as_json, job_id=error.job_id)
    except (Exception, KeyboardInterrupt, asyncio.CancelledError) as error:  # noqa: BLE001 # the process's last resort
        code = _explain(error, as_json=as_json, job_id=None)
    for sign in STOP_SIGNALS:  # the work is done and told; nothing is left to be stopped
        signal.signal(sign, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Nobody reads there any more: what is still buffered has no place to go, and that is no error of ours.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise ProcessEnd(int(code))


def _await_children_without_threads() -> None:
    """Has asyncio hear of a child's end from the kernel (pidfd_open(2)), as it does by itself from Python 3.12 on.

    Before, each child costs a thread that waits for it: 1 ms for each run of git.
    """
    if sys.version_info < (3, 12):
        with suppress(OSError):  # a kernel before 5.3
            os.close(os.pidfd_open(os.getpid()))
            asyncio.set_child_watcher(asyncio.PidfdChildWatcher())


def _explain(error: BaseException | None, *, as_json: bool, job_id: str | None) -> ExitCode:
    """Says what ended the command; returns its exit code."""
    if isinstance(error, AicdError):
        complain(error.message, error.code, as_json=as_json, job_id=job_id)
        return of_error(error)
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        complain("Stopped before a job was taken on.", "cancelled", as_json=as_json)
        return ExitCode.CANCELLED
    told = f"Unexpected {type(error).__name__}"
    if logging.getLogger().handlers:  # a process that keeps a log, without secrets
        _log.critical("%s ended the process", told, exc_info=error)
    else:
        told = f"{told}: {error}"
        with suppress(OSError):
            traceback.print_exception(error)
    complain(
        f"{told}. This is a defect of aicd; a job that had begun can be resumed by the same command. Please report the "
        "lines above.",
        "internal",
        as_json=as_json,
        job_id=job_id,
    )
    return ExitCode.UNEXPECTED


def complain(message: str, code: str, *, as_json: bool, job_id: str | None = None) -> None:
    """Says on stderr what went wrong; programs read the same on stdout."""
    with suppress(OSError):
        sys.stderr.write(f"aicd: {message}\n")
    if as_json:
        complain_as_json(message, code, job_id=job_id)


def complain_as_json(message: str, code: str, *, job_id: str | None = None) -> None:
    """The JSON object of a command that came to no result; `job_id` is null when no job was made."""
    show({"job_id": job_id, "state": None, "code": code, "reason": message})


def show(found: dict[str, Any]) -> None:
    """Writes the one JSON object of a command to stdout, if anybody reads there; ASCII, whatever the locale is."""
    with suppress(OSError):
        sys.stdout.write(json.dumps(found) + "\n")


@contextmanager
def interruptible() -> Iterator[None]:
    """Gives the stop signals their plain meaning back while something blocks the event loop: a question at a terminal.

    Within the block each raises KeyboardInterrupt.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for sign in STOP_SIGNALS:
        loop.remove_signal_handler(sign)
        signal.signal(sign, signal.default_int_handler)
    try:
        yield
    finally:
        _listen(loop, task, STOP_SIGNALS)


async def _guarded(work: Work) -> ExitCode:
    task = asyncio.current_task()
    assert task is not None
    _listen(asyncio.get_running_loop(), task, STOP_SIGNALS)
    return await work


def _listen(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], signals: tuple[signal.Signals, ...]) -> None:
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            os._exit(ExitCode.CANCELLED)
        asked = True
        task.cancel()
        with suppress(OSError):  # the terminal may be what went away
            sys.stderr.write("aicd: stopping; once more to leave at once\n")

    for sign in signals:
        loop.add_signal_handler(sign, stop)
