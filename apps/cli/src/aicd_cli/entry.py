"""Where the `aicd` program begins."""

import gc
import importlib
import io
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

CANCELLED = 130
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NOT_BEGUN = "Stopped before anything was begun."


def main() -> None:
    """Loads the command line and runs it; the process's exit code is the one of design §8.

    While some 700 modules load, nothing becomes garbage, and looking for it costs a sixth of the start; afterwards
    they stay, so the collector need not look at them again.
    """
    for sign in STOP_SIGNALS:
        signal.signal(sign, _leave)
    _open_streams()
    gc.disable()
    command_line = importlib.import_module("aicd_cli.main")
    gc.freeze()
    gc.enable()
    command_line.run()


def _leave(_: int, __: FrameType | None) -> None:
    """Ends the process at once: nothing has been begun yet that would have to be ended well."""
    with suppress(OSError):
        os.write(2, f"aicd: {NOT_BEGUN}\n".encode())
    if "--json" in sys.argv:
        found = {"job_id": None, "state": None, "code": "cancelled", "reason": NOT_BEGUN}
        with suppress(OSError):
            os.write(1, json.dumps(found).encode() + b"\n")
    os._exit(CANCELLED)


def _open_streams() -> None:
    """Puts something in the place of a closed stream, and lets no character be one that a stream cannot take."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 # it stays open as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
