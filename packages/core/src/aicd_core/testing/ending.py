"""The end of a program that has servers and workers running: told to stop, it ends them first."""

import signal
from types import FrameType

NUMBERS = (signal.SIGTERM, signal.SIGINT)


def clean_up_when_told_to_stop() -> None:
    """From now on SIGTERM and SIGINT leave every `with` and `finally` of the main thread, as exit code 128 + number.

    Only the first one does: a second would break off the cleaning up.
    """
    for number in NUMBERS:
        signal.signal(number, _leave)


def _leave(number: int, _: FrameType | None) -> None:
    for other in NUMBERS:
        # Not SIG_IGN, which whatever is started to end a server would inherit.
        signal.signal(other, lambda *_: None)
    raise SystemExit(128 + number)
