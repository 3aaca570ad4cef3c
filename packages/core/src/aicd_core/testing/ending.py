"""The end of a program that has servers and workers running: told to stop, it ends them first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

NUMBERS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class _State:
    undisturbed: int = 0
    told: int | None = None


_STATE = _State()


def clean_up_when_told_to_stop() -> None:
    """From now on SIGTERM and SIGINT leave every `with` and `finally` of the main thread, as exit code 128 + number.

    Only the first one does: a second would break off the cleaning up.
    """
    for number in NUMBERS:
        signal.signal(number, _leave)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Puts that off to its end: a process that is just being started is known to nobody yet who would end it."""
    _STATE.undisturbed += 1
    try:
        yield
    finally:
        _STATE.undisturbed -= 1
        if _STATE.told is not None and not _STATE.undisturbed:
            number, _STATE.told = _STATE.told, None
            raise SystemExit(128 + number)


def _leave(number: int, _: FrameType | None) -> None:
    for other in NUMBERS:
        # Not SIG_IGN, which whatever is started to end a server would inherit.
        signal.signal(other, lambda *_: None)
    if _STATE.undisturbed:
        _STATE.told = number
        return
    raise SystemExit(128 + number)
