"""Running a command's coroutine as a whole process: signals, errors, exit codes."""

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from aicd_cli.exit_codes import ExitCode, of_error
from aicd_core.errors import AicdError

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_process(work: Callable[[], Coroutine[Any, Any, ExitCode]], *, as_json: bool) -> None:
    """Runs `work` to its end and leaves the process with its exit code.

    The first SIGINT, SIGTERM or SIGHUP cancels the work, which then cleans up; a second one ends the process at
    once, leaving any job resumable. Errors become one sentence on stderr; with `as_json`, also an object on stdout.
    """
    try:
        code = asyncio.run(_guarded(work))
    except AicdError as error:
        code = of_error(error)
        complain(error.message, error.code, as_json=as_json)
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = ExitCode.CANCELLED
        complain("Stopped before a job was taken on.", "cancelled", as_json=as_json)
    except Exception as error:  # noqa: BLE001 # the last resort of a process: say it plainly and keep the trace
        code = ExitCode.UNEXPECTED
        traceback.print_exc()
        complain(
            f"Unexpected {type(error).__name__}: {error}. This is a defect of aicd; a job that had begun can be "
            "resumed by the same command. Please report the lines above.",
            "internal",
            as_json=as_json,
        )
    sys.stdout.flush()
    raise SystemExit(int(code))


def complain(message: str, code: str, *, as_json: bool) -> None:
    """Says on stderr what went wrong; programs read the same on stdout."""
    sys.stderr.write(f"aicd: {message}\n")
    if as_json:
        sys.stdout.write(json.dumps({"job_id": None, "state": None, "code": code, "reason": message}) + "\n")


async def _guarded(work: Callable[[], Coroutine[Any, Any, ExitCode]]) -> ExitCode:
    task = asyncio.ensure_future(work())
    loop = asyncio.get_running_loop()
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            os._exit(ExitCode.CANCELLED)
        asked = True
        sys.stderr.write("aicd: stopping; once more to leave at once\n")
        task.cancel()

    for sign in STOP_SIGNALS:
        loop.add_signal_handler(sign, stop)
    return await task
