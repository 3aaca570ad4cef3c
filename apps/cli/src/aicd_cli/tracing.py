"""Whether this process exports what it traces. OpenTelemetry's SDK is loaded only where it does."""

import importlib
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, cast

from aicd_core.orchestrator import Redaction, redaction_of
from aicd_core.settings import Settings

REMEMBERED = 256
"""Texts that come again, such as the names of spans, are masked once."""


class _TraceExport(Protocol):
    """What `aicd_cli.trace_export` offers."""

    def exporting(
        self, endpoint: str, ratio: float, service: str, redaction: Redaction
    ) -> AbstractAsyncContextManager[None]: ...


@asynccontextmanager
async def traced(settings: Settings, service: str) -> AsyncIterator[None]:
    """Exports spans for as long as the block lasts; does nothing without AICD_OTLP_ENDPOINT.

    Args:
        service: what this process is called in traces, unless OTEL_SERVICE_NAME says so.
    """
    if not settings.otlp_endpoint:
        yield
        return
    export = cast("_TraceExport", importlib.import_module("aicd_cli.trace_export"))
    redaction = redaction_of(settings, os.environ, remembered=REMEMBERED)
    async with export.exporting(settings.otlp_endpoint, settings.trace_ratio, service, redaction):
        yield
