"""A line of a process's log, whatever is said in it: one record, not endless, and nothing that a terminal acts on."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aicd_cli.logs import formatter
from aicd_core.orchestrator import Redaction
from aicd_core.settings import Settings

FORGED = "2026-11-26T00:00:00Z [info] all is well"
SECRET = "kept-to-ourselves"


@contextmanager
def logging_as(log_format: str) -> Iterator[tuple[logging.Logger, io.StringIO]]:
    written, logger = io.StringIO(), logging.getLogger(f"aicd.test.{log_format}")
    handler = logging.StreamHandler(written)
    settings = Settings.model_validate({"log_format": log_format})
    handler.setFormatter(formatter(settings, Redaction([SECRET]), written))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield logger, written
    logger.removeHandler(handler)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_nobodys_text_makes_a_line_of_its_own_or_moves_a_cursor(log_format: str):
    hostile = f"a\n{FORGED}\r\n{FORGED}\u2028{FORGED}\x1b[2J\x1b]0;title\x07"
    with logging_as(log_format) as (logger, written):
        logger.warning("attempt failed: %s", hostile, extra={"client": hostile})
        logger.error("unforeseen", exc_info=ValueError(hostile + SECRET))
        logger.info("%s %s", SECRET, "\u00e4" * 1_000_000)
    lines = written.getvalue().splitlines()
    assert not any(line.startswith(FORGED) for line in lines)
    assert not set(written.getvalue()) & set("\x1b\x07\r\u2028")
    assert SECRET not in written.getvalue()
    begun = [line for line in lines if not line.startswith("  ")]
    assert len(begun) == 3, lines
    assert "characters more)" in begun[2]
    assert len(begun[2]) < 256_000
    if log_format == "json":
        assert json.loads(lines[0])["event"].startswith(f"attempt failed: a\n{FORGED}\n")
        assert len(lines) == 3
