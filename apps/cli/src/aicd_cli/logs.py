"""How processes that run until they are stopped write their logs: on stderr, for people or for programs, masked.

Whatever is logged by the standard library's way, by us or by a library, is written so.
"""

import logging
import os
import sys
from collections.abc import Mapping
from textwrap import indent
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from aicd_core.orchestrator import Redaction, redaction_of
from aicd_core.settings import Settings
from aicd_core.telemetry.tracing import current
from aicd_core.text import printable

TALKATIVE = ("httpx", "httpcore", "httpx2", "urllib3")
"""Loggers that tell of every request, which is told better elsewhere; they are heard at the level `debug` only."""
OURS = frozenset({"timestamp", "level", "logger", "trace_id", "span_id"})
"""What of a line is never anybody else's text."""
REMEMBERED = 256
"""Texts that come again, such as names of jobs, are masked once; most lines come once."""
FIELD_MOST = 32_000
"""Characters of a field that are written: Loki takes no line beyond 256 kB, and JSON may write six for one."""
EXTRA = ("job", "status", "seconds", "client")
"""What a line may say of itself besides what holds around it; our own lines name it by `extra`."""


def begin_to_log(settings: Settings) -> None:
    """Has this process write its logs as its settings say.

    Raises:
        InvalidInputError: code `bad_pattern`, as `redaction_of`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(settings, redaction_of(settings, os.environ, remembered=REMEMBERED), sys.stderr))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    logging.captureWarnings(capture=True)
    quiet = logging.NOTSET if settings.log_level == "debug" else logging.WARNING
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(quiet)


def formatter(settings: Settings, redaction: Redaction, stream: TextIO) -> logging.Formatter:
    """One line for each record (text: and its traceback), without secrets and without what a terminal would act on."""
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and stream.isatty())
    shown: Processor = structlog.processors.JSONRenderer()
    if as_text:
        shown = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0, pad_level=False
        )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ExtraAdder(EXTRA),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            add_trace,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            Masking(redaction, one_line_each=as_text),
            shown,
        ],
    )


def add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Names the span that the line was written in, where that is traced."""
    if (ids := current()) is not None:
        event["trace_id"], event["span_id"] = ids
    return event


class Masking:
    """A processor that takes secrets out of all that a line holds.

    Args:
        one_line_each: a line break is shown as `\\n`, as JSON does by itself, lest somebody's text looks like a line of
            the log; a traceback keeps its lines, each set in, so that none begins as a line of the log does.
    """

    def __init__(self, redaction: Redaction, *, one_line_each: bool = False) -> None:
        self._redaction = redaction
        self._one_line_each = one_line_each

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> Mapping[str, Any]:
        return {name: value if name in OURS else self._masked(name, value) for name, value in event.items()}

    def _masked(self, name: str, value: Any) -> Any:
        if value is None or isinstance(value, int | float):
            return value
        text = printable(self._redaction.text(str(value)))
        if len(text) > FIELD_MOST:  # only now: half of a secret would not be known as one
            text = f"{text[:FIELD_MOST]}… ({len(text) - FIELD_MOST:,} characters more)"
        if not self._one_line_each:
            return text
        return indent(text, "  ") if name == "exception" else text.replace("\n", "\\n")
